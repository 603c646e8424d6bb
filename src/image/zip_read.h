/*
 * zip archives by their central directory, through libarchive (which checks each file's CRC).
 * Of a zip come names, types, modes and contents. Owners do not exist in it portably: 0:0. Its
 * times are local to an unknown time zone, so they are not taken: the caller's epoch stands for
 * all of them. Group and world write bits are cleared, which also turns the 0664 that
 * libarchive makes up for archives from other systems into 0644.
 */
#ifndef IMAGE_ZIP_READ_H
#define IMAGE_ZIP_READ_H

#include "image/byte_source.h"
#include "image/entry.h"

struct zip_reader;

/* `fd` and `gate` are borrowed; `charset` is copied (see unpack_archive_options). */
int zip_reader_open(int fd, uint64_t size, locale_t charset, struct entry_gate *gate,
		    struct zip_reader **ret, struct err *e) WARN_UNUSED;
/* As tar_reader_next and tar_reader_data. */
int zip_reader_next(struct zip_reader *r, struct entry *ret, bool *ret_end,
		    struct err *e) WARN_UNUSED;
int zip_reader_data(struct zip_reader *r, const struct entry *entry, const uint8_t **ret,
		    size_t *ret_len, struct err *e) WARN_UNUSED;
void zip_reader_free(struct zip_reader *r);

#endif
