/* Lists of files as a worker sends them: what is accepted has exactly one form. */
#include <stdint.h>
#include <string.h>

#include "image/tree.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(tree) tree = {0};
	AUTO(buf) again = BUF_INIT(2 * size + 64);
	struct err e = ERR_INIT;
	if (tree_parse((const char *)data, size, &tree, &e) < 0)
		return 0;
	tree_serialise(&tree, &again);
	BUG_IF(again.len != size || memcmp(again.data, data, size) != 0);
	return 0;
}
