/*
 * gzip over zlib. zlib's gzip mode checks each member's header, CRC-32 and length (libarchive's
 * reader checks neither, SEC UN15); what is added here is that every byte belongs to a member.
 */
#include <zlib.h>

#include "image/byte_coder.h"
#include "util/mem.h"

enum { GZIP_WINDOW_BITS = 15 + 16 }; /* 16: gzip framing and nothing else */

static int gzip_open(struct byte_source *s, struct err *e)
{
	z_stream *z = mem_zalloc(1, sizeof(*z));
	if (inflateInit2(z, GZIP_WINDOW_BITS) != Z_OK) {
		mem_free_cleanup(&z);
		return err_set(e, ERR_SYSTEM, "unpack/decoder", "cannot set up zlib for '%s'",
			       s->what);
	}
	s->state = z;
	return 0;
}

/* A member begins here, or the input ends. */
static int gzip_member_begin(struct byte_source *s, struct err *e)
{
	if (byte_input_fill(s, 2, e) < 0)
		return -1;
	size_t len = byte_input_len(s);
	if (len == 0)
		return s->frames > 0 ? 0 : byte_error_truncated(s, e);
	const uint8_t *p = byte_input_ptr(s);
	if (len < 2 || p[0] != 0x1f || p[1] != 0x8b)
		return s->frames > 0 ? byte_error_trailing(s, e)
				     : byte_error_corrupt(s, "not gzip", e);
	BUG_IF(inflateReset(s->state) != Z_OK);
	s->in_frame = true;
	return 0;
}

static int gzip_decode(struct byte_source *s, size_t *ret_len, struct err *e)
{
	z_stream *z = s->state;
	z->next_out = s->out;
	z->avail_out = BYTE_CHUNK_BYTES;
	while (z->avail_out == BYTE_CHUNK_BYTES) {
		if (!s->in_frame) {
			if (gzip_member_begin(s, e) < 0)
				return -1;
			if (!s->in_frame)
				break;
		}
		if (byte_input_fill(s, 1, e) < 0)
			return -1;
		if (byte_input_len(s) == 0)
			return byte_error_truncated(s, e);
		z->next_in = s->in.bytes + s->in.pos;
		z->avail_in = (unsigned)byte_input_len(s);
		int r = inflate(z, Z_NO_FLUSH);
		s->in.pos = s->in.len - z->avail_in;
		if (r == Z_STREAM_END) {
			s->in_frame = false;
			s->frames++;
		} else if (r != Z_OK) {
			return byte_error_corrupt(s, z->msg ? z->msg : "bad gzip data", e);
		}
	}
	*ret_len = BYTE_CHUNK_BYTES - z->avail_out;
	return 0;
}

static void gzip_close(struct byte_source *s)
{
	if (s->state)
		(void)inflateEnd(s->state); /* nothing of it is needed any more */
	mem_free_cleanup(&s->state);
}

const struct byte_coder byte_coder_gzip = {gzip_open, gzip_decode, gzip_close};
