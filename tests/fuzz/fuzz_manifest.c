/*
 * Manifests and configurations of anyone's images. What is accepted must be written in a form
 * that is accepted again and written the same: one meaning, one set of bytes.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "image/config.h"
#include "image/manifest.h"
#include "util/limits.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_manifest(const char *text, size_t len)
{
	struct err e = ERR_INIT;
	AUTO(manifest) m = {0};
	AUTO(manifest) again = {0};
	AUTO(buf) once = BUF_INIT(2 * LIMIT_MANIFEST_BYTES);
	AUTO(buf) twice = BUF_INIT(2 * LIMIT_MANIFEST_BYTES);

	if (manifest_parse(text, len, "fuzz", &m, &e) < 0)
		return;
	manifest_write(&m, &once);
	BUG_IF(manifest_parse(buf_text(&once), once.len, "fuzz", &again, &e) < 0);
	manifest_write(&again, &twice);
	BUG_IF(strcmp(buf_text(&once), buf_text(&twice)) != 0);
}

static void try_config(const char *text, size_t len)
{
	struct err e = ERR_INIT;
	AUTO(image_config) c = {0};
	AUTO(image_config) again = {0};
	AUTO(buf) once = BUF_INIT(2 * LIMIT_CONFIG_BYTES);
	AUTO(buf) twice = BUF_INIT(2 * LIMIT_CONFIG_BYTES);
	const struct config_directives none = {.os = "linux", .architecture = "amd64"};

	if (image_config_parse(text, len, "fuzz", &c, &e) < 0)
		return;
	image_config_write(&c, &once);
	BUG_IF(image_config_parse(buf_text(&once), once.len, "fuzz", &again, &e) < 0);
	image_config_write(&again, &twice);
	BUG_IF(strcmp(buf_text(&once), buf_text(&twice)) != 0);
	image_config_apply(&c, &none);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_manifest((const char *)data, size);
	try_config((const char *)data, size);
	return 0;
}
