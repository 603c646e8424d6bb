/*
 * JSON in and out: whatever json_read accepts, json_write turns into bytes that json_read
 * accepts again and that json_write then leaves as they are, and the recipe profile is a subset
 * of it.
 */
#include <stdint.h>
#include <string.h>

#include "util/err.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"

enum { INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(json_doc) doc = {NULL};
	AUTO(json_doc) again = {NULL};
	AUTO(buf) first = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	AUTO(buf) second = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	AUTO(buf) profile = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	struct err e = ERR_INIT;

	if (json_read((const char *)data, size, INPUT_MAX, "input", &doc, &e) < 0) {
		BUG_IF(e.code != ERR_INPUT || doc.root);
		return 0;
	}
	json_write(doc.root, &first);
	BUG_IF(first.overflowed);
	BUG_IF(json_read(first.data, first.len, LIMIT_JSON_CANON_BYTES, "ours", &again, &e) <
	       0);
	BUG_IF(!json_equal(doc.root, again.root));
	json_write(again.root, &second);
	BUG_IF(second.len != first.len || memcmp(second.data, first.data, first.len) != 0);
	if (json_write_profile(doc.root, &profile, &e) < 0)
		BUG_IF(strcmp(e.id, "json/profile") != 0);
	else
		BUG_IF(profile.len != first.len ||
		       memcmp(profile.data, first.data, first.len) != 0);
	return 0;
}
