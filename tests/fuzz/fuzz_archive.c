/* Archives of any format onto a root file system that has links to the outside in it. */
#include "fuzz_scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_scratch s;
	struct err e = ERR_INIT;
	if (size == 0)
		return 0;
	const struct unpack_archive_options options = {
		.name = "input",
		.dest = data[0] & 1 ? "/" : "/lib/dest",
		.whiteouts = (data[0] & 2) != 0,
		.uid = data[0] & 4 ? 1 : -1,
		.gid = data[0] & 4 ? 1 : -1,
		.mode = data[0] & 8 ? 0644 : -1,
		.epoch_s = 1000000000,
	};
	AUTO_CLOSE int fd = fuzz_blob(data + 1, size - 1);
	fuzz_scratch_open(&s);
	fuzz_scratch_populate(&s);
	int result = unpack_archive(fd, &options, &fuzz_limits, s.root_fd, &e);
	BUG_IF(result < 0 && e.id[0] == '\0');
	fuzz_scratch_close(&s);
	return 0;
}
