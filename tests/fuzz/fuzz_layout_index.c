/* Indexes: parsed, searched in every way, changed; a changed one must still be an index. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "image/layout_index.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void search(const struct layout_index *x)
{
	struct err e = ERR_INIT;
	const struct index_entry *found = NULL;
	const struct digest *d = x->len > 0 ? &x->items[0].descriptor.digest : NULL;

	(void)!layout_index_find_tag(x, "latest", "fuzz", &found, &e);
	(void)!layout_index_find_platform(x, "linux", "amd64", "fuzz", &found, &e);
	(void)!layout_index_find_platform(x, NULL, NULL, "fuzz", &found, &e);
	BUG_IF(d && layout_index_find_digest(x, d) != &x->items[0]);
}

static void change(struct layout_index *x)
{
	char type[] = OCI_MANIFEST_TYPE;
	const struct descriptor d = {.media_type = type, .digest = {.alg = DIGEST_SHA256}};
	struct err e = ERR_INIT;
	AUTO(layout_index) again = {0};
	AUTO(buf) text = BUF_INIT(2 * LIMIT_INDEX_BYTES);
	const struct index_entry *found = NULL;

	const struct layout_tag tag = {"latest", &d, "linux", "amd64"};
	(void)layout_index_set_tags(x, &tag, 1);
	json_write(x->doc.root, &text);
	if (layout_index_parse(buf_text(&text), text.len, "fuzz", &again, &e) < 0)
		return; /* one entry or byte over a limit */
	BUG_IF(layout_index_find_tag(&again, "latest", "fuzz", &found, &e) < 0);
	BUG_IF(found != &again.items[again.len - 1]);
	BUG_IF(layout_index_set_tags(&again, &tag, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	AUTO(layout_index) x = {0};

	if (layout_index_parse((const char *)data, size, "fuzz", &x, &e) < 0)
		return 0;
	search(&x);
	change(&x);
	return 0;
}
