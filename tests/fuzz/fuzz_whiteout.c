/*
 * Whiteouts on a root file system, against a model: nine files d/f beneath, then an archive of
 * files, directories, whiteouts and opaque markers in any order. Afterwards there are the
 * archive's own files and those beneath that it does not hide, and nothing else.
 */
#include "fuzz_scratch.h"

#include "fuzz_blob.h"
#include "util/limits.h"

enum { DIRS = 3, FILES = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* By bit: is there "abc"[d] / "xyz"[f]? */
struct model {
	unsigned beneath, own;
};

static unsigned bit_of(unsigned dir, unsigned file)
{
	return 1u << (dir * FILES + file);
}

static unsigned bits_of_dir(unsigned dir)
{
	return bit_of(dir, 0) | bit_of(dir, 1) | bit_of(dir, 2);
}

static void make_beneath(int root_fd, unsigned bits)
{
	for (unsigned d = 0; d < DIRS; d++) {
		struct err e = ERR_INIT;
		AUTO_CLOSE int dir = -1;
		const char name[2] = {"abc"[d], '\0'};
		if (!(bits & bits_of_dir(d)))
			continue;
		BUG_IF(path_make_dir(root_fd, name, 0755, &dir, &e) < 0);
		for (unsigned f = 0; f < FILES; f++) {
			const char file[2] = {"xyz"[f], '\0'};
			AUTO_CLOSE int fd = -1;
			if (bits & bit_of(d, f))
				fd = openat(dir, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		}
	}
}

/* One entry, and what it does to the model. */
static void add_entry(uint8_t op, struct buf *tar, struct model *m)
{
	unsigned dir = (op >> 2) % DIRS, file = (op >> 4) % FILES;
	char name[32];
	switch (op & 3) {
	case 0:
		snprintf(name, sizeof(name), "%c/%c", "abc"[dir], "xyz"[file]);
		m->own |= bit_of(dir, file);
		break;
	case 1:
		snprintf(name, sizeof(name), "%c/.wh.%c", "abc"[dir], "xyz"[file]);
		m->beneath &= ~bit_of(dir, file);
		break;
	case 2:
		snprintf(name, sizeof(name), "%c/.wh..wh..opq", "abc"[dir]);
		m->beneath &= ~bits_of_dir(dir);
		break;
	default:
		snprintf(name, sizeof(name), op & 64 ? ".wh.%c" : "%c", "abc"[dir]);
		if (op & 64)
			m->beneath &= ~bits_of_dir(dir);
		break;
	}
	fuzz_tar_header(tar, name, (op & 3) == 3 && !(op & 64) ? '5' : '0', 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_scratch s;
	struct err e = ERR_INIT;
	AUTO(buf) tar = BUF_INIT(MIB);
	if (size < 2 || size > 200)
		return 0;
	struct model m = {.beneath = (data[0] | (unsigned)data[1] << 8) & 0x1ff};
	const struct unpack_archive_options options = {.name = "input",
						       .dest = "/",
						       .whiteouts = true,
						       .uid = geteuid(),
						       .gid = getegid(),
						       .mode = -1};
	fuzz_scratch_open(&s);
	make_beneath(s.root_fd, m.beneath);
	for (size_t i = 2; i < size; i++)
		add_entry(data[i], &tar, &m);
	fuzz_tar_end(&tar);
	AUTO_CLOSE int fd = fuzz_memory_fd(tar.data, tar.len);
	BUG_IF(unpack_archive(fd, &options, &fuzz_limits, s.root_fd, &e) < 0);
	for (unsigned d = 0; d < DIRS; d++)
		for (unsigned f = 0; f < FILES; f++) {
			char name[4] = {"abc"[d], '/', "xyz"[f], '\0'};
			bool is_there = faccessat(s.root_fd, name, F_OK, 0) == 0;
			BUG_IF(is_there != (((m.beneath | m.own) & bit_of(d, f)) != 0));
		}
	fuzz_scratch_close(&s);
	return 0;
}
