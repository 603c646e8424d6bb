/* Digest texts: what is accepted has one printed form, which reads back as the same digest. */
#include <stdint.h>
#include <string.h>

#include "util/digest.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = mem_strndup((const char *)data, size);
	char printed[DIGEST_TEXT_MAX];
	struct digest pin = {0}, again = {0};
	struct err e = ERR_INIT;

	if (digest_parse(text, &pin, &e) == 0) {
		digest_format(&pin, printed);
		BUG_IF(strcmp(printed, text) != 0);
	}
	if (digest_parse_pin(text, &pin, &e) < 0)
		return 0;
	digest_format(&pin, printed);
	BUG_IF(digest_parse_pin(printed, &again, &e) < 0);
	BUG_IF(!digest_eq(&pin, &again));
	return 0;
}
