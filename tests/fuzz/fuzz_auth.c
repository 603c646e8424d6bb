/* Files of credentials, answers of helpers and of token services: a secret that is taken can be
 * sent in one header field. */
#include <stdint.h>
#include <string.h>

#include "inputs/auth_internal.h"
#include "inputs/registry_exchange_internal.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_secret(const char *text)
{
	BUG_IF(text && !auth_is_secret(text));
}

static void expect_sendable(const struct credential *c)
{
	expect_secret(c->username);
	expect_secret(c->password);
	expect_secret(c->identity_token);
	BUG_IF(c->username && (!c->password || strchr(c->username, ':')));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	AUTO(reference) where = {0};
	AUTO(credential) of_file = {0};
	AUTO(credential) of_helper = {0};
	AUTO_FREE char *helper = NULL;
	char *token = NULL;
	uint64_t lifetime_s;
	struct err e = ERR_INIT;

	BUG_IF(reference_parse("h.example/a/b:t", &where, &e) < 0);
	if (auth_file_read(bytes, size, "auth.json", &where, &of_file, &helper, &e) == 0)
		expect_sendable(&of_file);
	BUG_IF(helper && strchr(helper, '/'));
	if (auth_helper_read(bytes, size, "test", &of_helper, &e) == 0)
		expect_sendable(&of_helper);
	if (registry_token_read(bytes, size, &token, &lifetime_s)) {
		expect_secret(token);
		BUG_IF(lifetime_s == 0);
	}
	registry_auth_wipe(&token);
	return 0;
}
