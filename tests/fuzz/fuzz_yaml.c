/*
 * Stackerfiles: bytes to nodes, to images, to canonical recipes. Besides not crashing: whatever
 * parses has a canonical recipe, since nothing that the JSON profile refuses may get that far.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/recipe_parse.h"
#include "recipe/canon.h"
#include "util/limits.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void canonise(const struct recipe_image *image)
{
	AUTO(buf) out = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	AUTO_FREE struct digest *imports = mem_zalloc(image->imports.len + 1, sizeof(*imports));
	struct recipe_resolution resolution = {
		.imports = imports,
		.imports_len = image->imports.len,
	};
	struct err e = ERR_INIT;

	digest_bytes(DIGEST_SHA256, "", 0, &resolution.policy);
	resolution.base = resolution.policy;
	for (size_t i = 0; i < image->imports.len; i++)
		imports[i] = resolution.policy;
	BUG_IF(recipe_canon(image, &resolution, &out, &e) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(yaml_document) document = {0};
	AUTO(stackerfile) s = {0};
	struct err e = ERR_INIT;

	if (yaml_parse((const char *)data, size, "f", &document, &e) != 0) {
		BUG_IF(e.code != ERR_RECIPE || document.root);
		e = (struct err)
			ERR_INIT; /* a stackerfile may have aliases, so it may still be one */
	}
	if (recipe_parse((const char *)data, size, &s, &e) != 0) {
		BUG_IF(e.code != ERR_RECIPE || e.line == 0);
		return 0;
	}
	for (size_t i = 0; i < s.images.len; i++)
		canonise(&s.images.items[i]);
	return 0;
}
