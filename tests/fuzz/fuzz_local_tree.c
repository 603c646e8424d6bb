/*
 * Tree documents of strangers: what the reader accepts, the writer writes as the very same
 * bytes, and every path in it stays inside.
 */
#include <stdint.h>
#include <string.h>

#include "inputs/local_tree_internal.h"
#include "util/limits.h"
#include "util/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(local_tree) t = {0};
	AUTO(buf) b = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	struct err e = ERR_INIT;

	if (local_tree_read((const char *)data, size, &t, &e) < 0) {
		BUG_IF(t.items);
		return 0;
	}
	for (size_t i = 0; i < t.len; i++)
		BUG_IF(t.items[i].path[0] == '/' || path_has_dotdot(t.items[i].path));
	BUG_IF(local_tree_write(&t, &b, &e) < 0);
	BUG_IF(b.len != size || memcmp(b.data, data, size) != 0);
	return 0;
}
