/* Formats of any number of frames, one behind the other, with nothing between or after them. */
#include "image/byte_coder.h"

/* A frame begins here, or the input ends. */
static int frame_begin(struct byte_source *s, const struct byte_frames *f, struct err *e)
{
	if (byte_input_fill(s, f->magic_len, e) < 0)
		return -1;
	size_t len = byte_input_len(s);
	if (len == 0)
		return s->frames > 0 ? 0 : byte_error_truncated(s, e);
	if (len < f->magic_len || !f->is_magic(byte_input_ptr(s)))
		return s->frames > 0 ? byte_error_trailing(s, e)
				     : byte_error_corrupt(s, f->otherwise, e);
	if (f->begin && f->begin(s, e) < 0)
		return -1;
	s->in_frame = true;
	return 0;
}

int byte_frames_decode(struct byte_source *s, size_t *ret_len, struct err *e)
{
	const struct byte_frames *f = s->coder->frames;
	size_t len = 0;
	while (len == 0) {
		bool frame_ended = false;
		if (!s->in_frame) {
			if (frame_begin(s, f, e) < 0)
				return -1;
			if (!s->in_frame)
				break;
		}
		if (byte_input_fill(s, 1, e) < 0 || f->step(s, &len, &frame_ended, e) < 0)
			return -1;
		if (frame_ended) {
			s->in_frame = false;
			s->frames++;
		}
	}
	*ret_len = len;
	return 0;
}
