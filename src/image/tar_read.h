/*
 * The one tar reader, for layers and for imported archives: ustar, pax and GNU long names, in a
 * strict profile. Wherever two of the common readers disagree about what an archive says (SEC
 * 2g), this one refuses it: competing names, NULs in names, sizes that contradict, data on
 * links, prefix fields without the format that defines them, sparse files, global overrides,
 * octal garbage, a missing end, bytes after the end.
 */
#ifndef IMAGE_TAR_READ_H
#define IMAGE_TAR_READ_H

#include "image/byte_source.h"
#include "image/entry.h"

enum { TAR_BLOCK_BYTES = 512 };

/* An archive of many entries is read to its end once before the next entry is given out, so
 * that a bomb of entries is refused while little is written (SEC UN19). Reading twice costs
 * time, so "many" is more than most layers have; or fewer, if they or their names took hardly
 * any input. */
enum {
	TAR_LOOK_AHEAD_ENTRIES = 65536,
	TAR_LOOK_AHEAD_CHEAP_ENTRIES = 4096,
	TAR_CHEAP_ENTRY_BYTES = 64,
	TAR_LOOK_AHEAD_NAMES_BYTES = 512 * 1024,
};

struct tar_reader {
	struct byte_source *source; /* borrowed */
	struct entry_gate *gate;    /* borrowed */
	const uint8_t *chunk;	    /* unread rest of the source's last chunk */
	size_t chunk_len;
	uint64_t data_left; /* of the current entry */
	size_t padding_left;
	bool looked_ahead;
};

void tar_reader_init(struct tar_reader *r, struct byte_source *source, struct entry_gate *gate);
/* Skips what is unread of the last entry. At the end of the archive *ret_end is true and the
 * source is drained: nothing but zeros may follow. `ret` is filled otherwise; the caller cleans
 * it up. ERR_INPUT "unpack/tar-header", "unpack/truncated", "unpack/device", ... */
int tar_reader_next(struct tar_reader *r, struct entry *ret, bool *ret_end,
		    struct err *e) WARN_UNUSED;
/* More data of the current entry; *ret_len 0 at its end. */
int tar_reader_data(struct tar_reader *r, const uint8_t **ret, size_t *ret_len,
		    struct err *e) WARN_UNUSED;
/* True for bytes that a tar archive may begin with: a header, or the zeros of an empty one. */
bool tar_block_plausible(const uint8_t block[TAR_BLOCK_BYTES]);

#endif
