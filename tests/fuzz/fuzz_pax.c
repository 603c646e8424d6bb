/*
 * Records of a pax header, before a file of known content. What is accepted gives one entry
 * whose fields are all within bounds, and as many bytes as it promises; the same header read
 * again gives the same entry.
 */
#include <string.h>
#include <unistd.h>

#include "fuzz_blob.h"
#include "image/tar_read.h"
#include "util/limits.h"
#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct entry *x)
{
	BUG_IF(x->path[0] == '/' || path_has_dotdot(x->path) ||
	       strlen(x->path) > LIMIT_PATH_BYTES);
	BUG_IF(x->uid > 65535 || x->gid > 65535 || x->mode > 07777 || x->mtime_s < 0);
	BUG_IF(x->type != ENTRY_FILE && x->size != 0);
	for (size_t i = 0; i < x->xattrs.len; i++)
		BUG_IF(entry_xattr_rule(x->xattrs.items[i].name) != ENTRY_XATTR_KEEP ||
		       x->xattrs.items[i].value_len > LIMIT_XATTR_BYTES);
}

static void read_archive(int fd, uint64_t len)
{
	struct err e = ERR_INIT;
	AUTO(byte_source) source = {.what = NULL};
	struct entry_gate gate = {.what = "input", .limits = unpack_default_limits};
	struct tar_reader tar;
	const struct byte_source_options options = {
		.fd = fd, .len = len, .coding = BYTE_PLAIN, .max_bytes = GIB, .what = "input"};
	BUG_IF(byte_source_open(&source, &options, &e) < 0);
	tar_reader_init(&tar, &source, &gate);
	for (;;) {
		AUTO(entry) entry = {0};
		bool end = false;
		uint64_t total = 0;
		const uint8_t *bytes = NULL;
		size_t n = 0;
		if (tar_reader_next(&tar, &entry, &end, &e) < 0) {
			BUG_IF(e.code != ERR_INPUT || !str_has_prefix(e.id, "unpack/"));
			return;
		}
		if (end)
			return;
		check_entry(&entry);
		do {
			if (tar_reader_data(&tar, &bytes, &n, &e) < 0)
				return;
			total += n;
		} while (n > 0);
		BUG_IF(total != entry.size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf) b = BUF_INIT(4 * MIB);
	if (size == 0 || size > MIB)
		return 0;
	fuzz_tar_header(&b, "pax", data[0] & 1 ? 'g' : 'x', size - 1);
	fuzz_tar_data(&b, data + 1, size - 1);
	fuzz_tar_header(&b, "file", data[0] & 2 ? '2' : '0', data[0] & 4 ? 6 : 0);
	fuzz_tar_data(&b, "inner\n", data[0] & 4 ? 6 : 0);
	fuzz_tar_end(&b);
	AUTO_CLOSE int fd = fuzz_memory_fd(b.data, b.len);
	read_archive(fd, b.len);
	return 0;
}
