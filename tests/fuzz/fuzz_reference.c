/* Names of images: what is taken is written as a name that is taken as the same, and nothing in
 * it could change the path of a request. */
#include <stdint.h>
#include <string.h>

#include "inputs/reference.h"
#include "util/mem.h"
#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *format(const struct reference *r)
{
	char digest[DIGEST_TEXT_MAX] = "";

	if (r->digest.alg != DIGEST_NONE)
		digest_format(&r->digest, digest);
	return mem_printf("%s/%s%s%s%s%s", r->host, r->repository, r->tag ? ":" : "",
			  r->tag ? r->tag : "", *digest ? "@" : "", digest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = mem_strndup((const char *)data, size);
	AUTO(reference) r = {0};
	AUTO(reference) again = {0};
	struct err e = ERR_INIT;

	if (reference_parse(text, &r, &e) < 0)
		return 0;
	BUG_IF(!r.host || !r.repository || strpbrk(r.host, "/?#@%\\ "));
	BUG_IF(strpbrk(r.repository, "?#@:%\\ ") || strstr(r.repository, "..") ||
	       strstr(r.repository, "//"));
	BUG_IF(r.tag && !reference_is_tag(r.tag));
	AUTO_FREE char *written = format(&r);

	BUG_IF(reference_parse(written, &again, &e) < 0);
	BUG_IF(!str_same(r.host, again.host) || !str_same(r.repository, again.repository) ||
	       !str_same(r.tag, again.tag) || r.digest.alg != again.digest.alg);
	BUG_IF(r.digest.alg != DIGEST_NONE && !digest_eq(&r.digest, &again.digest));
	return 0;
}
