/* Reading auth.json and config.json, and choosing among their entries. */
#include "inputs/auth_internal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "util/json_read.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

static void wipe(char **text)
{
	if (*text)
		OPENSSL_cleanse(*text, strlen(*text));
	mem_free_cleanup(text);
}

void credential_cleanup(struct credential *c)
{
	wipe(&c->username);
	wipe(&c->password);
	wipe(&c->identity_token);
}

const char *auth_environment_get(const char *const *environment, const char *name)
{
	size_t len = strlen(name);

	for (; environment && *environment; environment++)
		if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=' &&
		    (*environment)[len + 1] != '\0')
			return *environment + len + 1;
	return NULL;
}

bool auth_is_secret(const char *text)
{
	size_t len = 0;

	for (const char *p = text; *p; p++, len++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return false;
	return len <= LIMIT_REGISTRY_TOKEN_BYTES;
}

static int err_file(const char *name, const char *key, const char *why, struct err *e)
{
	AUTO_FREE char *shown = str_printable(key, strnlen(key, 256));

	err_set(e, ERR_INPUT, "registry/auth-file", "entry '%s' of '%s' %s", shown, name, why);
	return err_hint(e, "log in again with the tool that wrote it");
}

/* "https://index.docker.io/v1/" and "docker.io" are one; of other URLs the host counts. */
static char *normal_key(const char *key)
{
	const char *scheme = strstr(key, "://");
	const char *start = scheme ? scheme + 3 : key;
	size_t len = scheme ? strcspn(start, "/") : strlen(start);

	while (len > 0 && start[len - 1] == '/')
		len--;
	AUTO_FREE char *text = mem_strndup(start, len);

	if (str_same(text, "index.docker.io") || str_same(text, "registry-1.docker.io"))
		return mem_strdup("docker.io");
	return TAKE_PTR(text);
}

/* How many bytes of "HOST/REPOSITORY" the key stands for; 0: it is of another. */
static size_t match(const char *key, const struct reference *r)
{
	AUTO_FREE char *prefix = normal_key(key);
	AUTO_FREE char *full = mem_printf("%s/%s", r->host, r->repository);
	size_t len = strlen(prefix);

	if (len == 0 || !str_has_prefix(full, prefix))
		return 0;
	return full[len] == '/' || full[len] == '\0' ? len : 0;
}

static const char *best_key(json_t *auths, const struct reference *r, json_t **ret_entry)
{
	const char *best = NULL;
	size_t best_len = 0;

	for (void *i = json_object_iter(auths); i; i = json_object_iter_next(auths, i)) {
		const char *key = json_object_iter_key(i);
		size_t len = match(key, r);

		if (len > best_len) {
			best = key;
			best_len = len;
			*ret_entry = json_object_iter_value(i);
		}
	}
	return best;
}

/* "USER:PASSWORD" in base64; a password may hold ":". */
static int decode_auth(const char *auth, const char *key, const char *name,
		       struct credential *ret, struct err *e)
{
	size_t len = strlen(auth);
	AUTO_FREE char *plain = mem_zalloc(1, len + 4);

	if (len % 4 != 0 || len > LIMIT_REGISTRY_TOKEN_BYTES || strspn(auth, " \t\r\n") > 0 ||
	    EVP_DecodeBlock((unsigned char *)plain, (const unsigned char *)auth, (int)len) < 0)
		return err_file(name, key, "is not base64", e);
	char *colon = strchr(plain, ':');
	bool usable = colon && colon != plain && auth_is_secret(plain);

	if (usable) {
		ret->username = mem_strndup(plain, (size_t)(colon - plain));
		ret->password = mem_strdup(colon + 1);
	}
	OPENSSL_cleanse(plain, len);
	return usable ? 0 : err_file(name, key, "does not hold USER:PASSWORD", e);
}

static int read_entry(const json_t *entry, const char *key, const char *name,
		      struct credential *ret, struct err *e)
{
	const char *auth, *token, *user, *password;

	if (!json_is_object(entry))
		return err_file(name, key, "is not an object", e);
	if (json_opt_text(entry, "auth", name, &auth, e) < 0 ||
	    json_opt_text(entry, "identitytoken", name, &token, e) < 0 ||
	    json_opt_text(entry, "username", name, &user, e) < 0 ||
	    json_opt_text(entry, "password", name, &password, e) < 0)
		return -1;
	if (token && *token) {
		if (!auth_is_secret(token))
			return err_file(name, key, "holds an unusable token", e);
		ret->identity_token = mem_strdup(token);
		return 0;
	}
	if (auth && *auth)
		return decode_auth(auth, key, name, ret, e);
	if (user && *user && password) {
		if (!auth_is_secret(user) || !auth_is_secret(password) || strchr(user, ':'))
			return err_file(name, key, "holds an unusable password", e);
		ret->username = mem_strdup(user);
		ret->password = mem_strdup(password);
	}
	return 0;
}

static bool is_helper_name(const char *text)
{
	return *text && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789._-") == strlen(text);
}

static int take_helper(const char *helper, const char *name, char **ret, struct err *e)
{
	if (!is_helper_name(helper))
		return err_file(name, helper, "names no credential helper", e);
	*ret = mem_strdup(helper);
	return 0;
}

/* *ret NULL: no helper is named for this host. */
static int host_helper(json_t *helpers, const char *name, const struct reference *r,
		       const char **ret, struct err *e)
{
	*ret = NULL;
	for (void *i = json_object_iter(helpers); i; i = json_object_iter_next(helpers, i)) {
		AUTO_FREE char *key = normal_key(json_object_iter_key(i));

		if (!str_same(key, r->host))
			continue;
		return json_get_text(helpers, json_object_iter_key(i), name, ret, e);
	}
	return 0;
}

int auth_file_read(const char *text, size_t len, const char *name, const struct reference *r,
		   struct credential *ret, char **ret_helper, struct err *e)
{
	AUTO(json_doc) doc = {0};
	json_t *auths, *helpers, *entry = NULL;
	const char *helper, *store;

	if (json_read(text, len, LIMIT_AUTH_FILE_BYTES, name, &doc, e) < 0 ||
	    json_opt_object(doc.root, "auths", name, &auths, e) < 0 ||
	    json_opt_object(doc.root, "credHelpers", name, &helpers, e) < 0 ||
	    json_opt_text(doc.root, "credsStore", name, &store, e) < 0 ||
	    host_helper(helpers, name, r, &helper, e) < 0)
		return -1;
	if (helper && *helper)
		return take_helper(helper, name, ret_helper, e);
	const char *key = best_key(auths, r, &entry);
	AUTO(credential) found = {0};

	if (key && read_entry(entry, key, name, &found, e) < 0)
		return -1;
	/* Docker leaves an empty entry where the secret is in the store. */
	if (!found.username && !found.identity_token && store && *store)
		return take_helper(store, name, ret_helper, e);
	*ret = found;
	found = (struct credential){0};
	return 0;
}

/* An absent file knows nobody, unless it `must_exist`. */
static int try_file(const char *path, bool must_exist, const char *const *environment,
		    const struct reference *r, struct credential *ret, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_AUTH_FILE_BYTES);
	AUTO_FREE char *helper = NULL;
	struct err why = ERR_INIT;

	if (path_read_file(AT_FDCWD, path, &text, &why) < 0) {
		if (!must_exist && (why.saved_errno == ENOENT || why.saved_errno == ENOTDIR))
			return 0;
		if (e)
			*e = why;
		return -1;
	}
	int result = auth_file_read(buf_text(&text), text.len, path, r, ret, &helper, e);

	OPENSSL_cleanse(text.data, text.len);
	if (result == 0 && helper)
		return auth_helper_get(helper, environment, r->host, ret, e);
	return result;
}

static bool is_anonymous(const struct credential *c)
{
	return !c->username && !c->identity_token;
}

int auth_find(const char *const *environment, const struct reference *r, struct credential *ret,
	      struct err *e)
{
	const char *named = auth_environment_get(environment, "REGISTRY_AUTH_FILE");
	const char *runtime = auth_environment_get(environment, "XDG_RUNTIME_DIR");
	const char *docker = auth_environment_get(environment, "DOCKER_CONFIG");
	const char *home = auth_environment_get(environment, "HOME");

	*ret = (struct credential){0};
	if (named)
		return try_file(named, true, environment, r, ret, e);
	if (runtime) {
		AUTO_FREE char *path = path_join(runtime, "containers/auth.json");

		if (try_file(path, false, environment, r, ret, e) < 0)
			return -1;
	}
	if (!is_anonymous(ret) || (!docker && !home))
		return 0;
	AUTO_FREE char *path = path_join(docker ? docker : home,
					 docker ? "config.json" : ".docker/config.json");

	return try_file(path, false, environment, r, ret, e);
}
