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

static bool gzip_is_magic(const uint8_t *magic)
{
	return magic[0] == 0x1f && magic[1] == 0x8b;
}

static int gzip_begin(struct byte_source *s, struct err *e)
{
	BUG_IF(inflateReset(s->state) != Z_OK);
	(void)e;
	return 0;
}

static int gzip_step(struct byte_source *s, size_t *ret_len, bool *ret_frame_ended,
		     struct err *e)
{
	z_stream *z = s->state;
	if (byte_input_len(s) == 0)
		return byte_error_truncated(s, e);
	z->next_in = s->in.bytes + s->in.pos;
	z->avail_in = (unsigned)byte_input_len(s);
	z->next_out = s->out;
	z->avail_out = BYTE_CHUNK_BYTES;
	int r = inflate(z, Z_NO_FLUSH);
	if (r != Z_OK && r != Z_STREAM_END)
		return byte_error_corrupt(s, z->msg ? z->msg : "bad gzip data", e);
	s->in.pos = s->in.len - z->avail_in;
	*ret_len = BYTE_CHUNK_BYTES - z->avail_out;
	*ret_frame_ended = r == Z_STREAM_END;
	return 0;
}

static void gzip_close(struct byte_source *s)
{
	if (s->state)
		(void)inflateEnd(s->state); /* nothing of it is needed any more */
	mem_free_cleanup(&s->state);
}

static const struct byte_frames gzip_frames = {2, gzip_is_magic, "not gzip", gzip_begin,
					       gzip_step};
const struct byte_coder byte_coder_gzip = {gzip_open, byte_frames_decode, gzip_close,
					   &gzip_frames};
