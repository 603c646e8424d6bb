/* The beginnings of a few files of a layer, for whoever asks why two layers differ. */
#include <string.h>

#include "image/layer_read.h"
#include "image/tree.h"
#include "util/mem.h"
#include "util/str.h"

static struct buf *find(const struct tree_samples *samples, const char *path)
{
	for (size_t i = 0; i < samples->len; i++)
		if (str_same(samples->paths[i], path))
			return &samples->contents[i];
	return NULL;
}

static int sample_entry(struct layer_reader *r, struct buf *ret, struct err *e)
{
	for (;;) {
		const uint8_t *bytes = NULL;
		size_t len = 0;
		if (tar_reader_data(&r->tar, &bytes, &len, e) < 0)
			return -1;
		if (len == 0)
			return 0;
		size_t room = ret->max_bytes - ret->len;
		buf_add(ret, bytes, len < room ? len : room);
	}
}

int tree_sample_layer(int blob_fd, enum layer_compression compression,
		      const struct tree_samples *samples, struct err *e)
{
	AUTO(layer_reader) r = {.gate = {.what = NULL}};
	if (layer_reader_open(&r, blob_fd, compression, DIGEST_SHA256, &unpack_default_limits,
			      "layer", e) < 0)
		return -1;
	for (;;) {
		AUTO(entry) entry = {0};
		bool end = false;
		if (tar_reader_next(&r.tar, &entry, &end, e) < 0)
			return -1;
		if (end)
			return 0;
		struct buf *into = entry.type == ENTRY_FILE ? find(samples, entry.path) : NULL;
		if (!into)
			continue;
		buf_clear(into); /* the last of a name is the one that counts */
		if (sample_entry(&r, into, e) < 0)
			return -1;
	}
}
