/*
 * What a registry wants to see: nothing, a password (Basic), or a token (Bearer) that another
 * service gives out for it. That service is named by whoever answers for the registry, so it
 * sees the password only if it is of the registry's own host or of one that is known to serve
 * it (SEC DL11, CVE-2020-15157); from any other a token is asked for as nobody.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "inputs/auth_internal.h"
#include "inputs/registry_exchange_internal.h"
#include "util/clock.h"
#include "util/json_read.h"
#include "util/mem.h"
#include "util/str.h"

/* The specification's default, and the least that is believed. */
#define LIFETIME_DEFAULT_S 60
#define LIFETIME_MAX_S (24 * 3600)
/* A token that ends while its request is on the way is of no use. */
#define LIFETIME_MARGIN_MS 5000

/* Public registries whose token service has another host's name. */
static const struct {
	const char *host, *service;
} known_services[] = {
	{"docker.io", "auth.docker.io"},
	{"registry.gitlab.com", "gitlab.com"},
};

void registry_auth_wipe(char **text)
{
	if (*text)
		OPENSSL_cleanse(*text, strlen(*text));
	mem_free_cleanup(text);
}

static struct registry_token *find_token(struct registry_auth *a, const char *scope)
{
	for (size_t i = 0; i < a->tokens.len; i++)
		if (str_same(a->tokens.items[i].scope, scope))
			return &a->tokens.items[i];
	return NULL;
}

static void keep_token(struct registry_auth *a, const char *scope, char *text,
		       uint64_t lifetime_s)
{
	struct registry_token *t = find_token(a, scope);
	uint64_t lifetime_ms = lifetime_s * 1000;

	if (!t) {
		vec_push(&a->tokens, ((struct registry_token){.scope = mem_strdup(scope)}));
		t = &a->tokens.items[a->tokens.len - 1];
	}
	registry_auth_wipe(&t->text);
	t->text = text;
	t->expires_ms = clock_monotonic_ms() + lifetime_ms;
	if (lifetime_ms > 2 * LIFETIME_MARGIN_MS)
		t->expires_ms -= LIFETIME_MARGIN_MS;
	t->number = ++a->number;
}

/* "Basic ..." */
static char *basic_field(const struct credential *c)
{
	char *plain = mem_printf("%s:%s", c->username, c->password);
	size_t len = strlen(plain);
	char *text = mem_zalloc(1, 4 * ((len + 2) / 3) + 1);

	EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)plain, (int)len);
	char *field = mem_printf("Basic %s", text);

	registry_auth_wipe(&plain);
	registry_auth_wipe(&text);
	return field;
}

char *registry_auth_field(struct registry_lane *lane, const char *scope, uint64_t *ret_number)
{
	struct registry_auth *a = &lane->fetcher->auth;
	char *field = NULL;

	pthread_mutex_lock(&a->lock);
	*ret_number = a->number;
	if (a->scheme == REGISTRY_BASIC) {
		field = basic_field(&lane->fetcher->config->credential);
	} else if (a->scheme == REGISTRY_BEARER) {
		const struct registry_token *t = find_token(a, scope);

		if (t && clock_monotonic_ms() < t->expires_ms)
			field = mem_printf("Bearer %s", t->text);
	}
	pthread_mutex_unlock(&a->lock);
	return field;
}

static bool has_password(const struct credential *c)
{
	return c->username && c->password;
}

int registry_auth_refused(const struct registry_lane *lane, struct registry_failure *f)
{
	const struct credential *c = &lane->fetcher->config->credential;

	registry_fail(f, REGISTRY_CAUSE_DENIED, false,
		      has_password(c) || c->identity_token
			      ? "the registry does not accept the credentials for it"
			      : "the registry wants a login");
	return -1;
}

/* What is not known to come from the registry gets no password: an unchecked certificate or
 * plain http say nothing, but on this machine. */
static int check_exposure(const struct registry_lane *lane, struct registry_failure *f)
{
	const struct registry_config *config = lane->fetcher->config;

	if (!config->options->insecure || config->is_loopback)
		return 0;
	registry_fail(f, REGISTRY_CAUSE_INSECURE, false,
		      "the registry wants a login, and no password is sent over an insecure "
		      "connection");
	return -1;
}

static bool same_host_name(const char *authority, const char *host)
{
	size_t len = strlen(host);

	return strncasecmp(authority, host, len) == 0 &&
	       (authority[len] == '\0' || authority[len] == ':');
}

/* Whether that host may learn the password. */
static bool may_know(const struct registry_config *config, const struct url *realm)
{
	if (same_host_name(config->authority, realm->host))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(known_services); i++)
		if (str_same(config->host, known_services[i].host) &&
		    str_same(realm->host, known_services[i].service))
			return true;
	const char *const *hosts = config->options->token_hosts;

	for (; hosts && *hosts; hosts++)
		if (strcasecmp(*hosts, realm->host) == 0)
			return true;
	return false;
}

static void add_parameter(struct buf *to, char separator, const char *name, const char *value,
			  size_t value_len)
{
	char *escaped = curl_easy_escape(NULL, value, (int)value_len);

	BUG_IF(!escaped);
	buf_addf(to, "%c%s=%s", separator, name, escaped);
	curl_free(escaped);
}

/* "a b" becomes two scopes. */
static void add_scopes(struct buf *to, const char *scope)
{
	while (*scope) {
		size_t len = strcspn(scope, " ");

		add_parameter(to, '&', "scope", scope, len);
		scope += len + (scope[len] == ' ');
	}
}

bool registry_token_read(const char *text, size_t len, char **ret_token,
			 uint64_t *ret_lifetime_s)
{
	AUTO(json_doc) doc = {0};
	const char *token, *access;
	const char *what = "answer of the token service";

	if (json_read(text, len, 2 * LIMIT_REGISTRY_TOKEN_BYTES, what, &doc, NULL) < 0 ||
	    json_opt_text(doc.root, "token", what, &token, NULL) < 0 ||
	    json_opt_text(doc.root, "access_token", what, &access, NULL) < 0)
		return false;
	if (!token || !*token)
		token = access;
	if (!token || !*token || !auth_is_secret(token))
		return false;
	json_int_t lifetime = json_integer_value(json_object_get(doc.root, "expires_in"));

	*ret_lifetime_s = lifetime <= 0		      ? LIFETIME_DEFAULT_S
			  : lifetime > LIFETIME_MAX_S ? LIFETIME_MAX_S
						      : (uint64_t)lifetime;
	*ret_token = mem_strdup(token);
	return true;
}

/* Asks by GET, with the password if it may be known there. */
static int ask_by_get(struct registry_exchange *x, const struct registry_auth *a,
		      const char *scope, bool with_password)
{
	AUTO(buf) url = BUF_INIT(LIMIT_URL_BYTES);
	char *password =
		with_password ? basic_field(&x->lane->fetcher->config->credential) : NULL;

	buf_add_c(&url, a->realm);
	add_parameter(&url, strchr(a->realm, '?') ? '&' : '?', "service", a->service,
		      strlen(a->service));
	add_scopes(&url, scope);
	x->method = "GET";
	x->password = password;
	int result = -1;

	if (url.overflowed) /* cut, it would ask for something else */
		registry_fail(&x->fail, REGISTRY_CAUSE_TOKEN, false,
			      "its address and the scope make too long a URL");
	else
		result = registry_exchange_run(x, buf_text(&url));
	x->password = NULL;
	registry_auth_wipe(&password);
	return result;
}

/* Asks by POST with the refresh token (OAuth2). */
static int ask_by_post(struct registry_exchange *x, const struct registry_auth *a,
		       const char *scope)
{
	const char *token = x->lane->fetcher->config->credential.identity_token;
	AUTO(buf) form = BUF_INIT(4 * LIMIT_REGISTRY_TOKEN_BYTES);

	buf_add_c(&form, "grant_type=refresh_token");
	add_parameter(&form, '&', "service", a->service, strlen(a->service));
	add_parameter(&form, '&', "client_id", "stacker", strlen("stacker"));
	add_scopes(&form, scope);
	add_parameter(&form, '&', "refresh_token", token, strlen(token));
	x->method = "POST";
	x->content_type = "application/x-www-form-urlencoded";
	x->has_body = true;
	x->body_text = buf_text(&form);
	x->body_len = form.len;
	int result = registry_exchange_run(x, a->realm);

	OPENSSL_cleanse(form.data, form.len);
	return result;
}

/* Why there is none. */
static int explain_no_token(const struct registry_exchange *x, const struct url *realm,
			    bool withheld, struct registry_failure *f)
{
	enum registry_cause cause = withheld && x->fail.cause == REGISTRY_CAUSE_DENIED
					    ? REGISTRY_CAUSE_REALM
					    : x->fail.cause;

	registry_fail(f, cause, false, "token service '%s': %s", realm->host, x->fail.text);
	return -1;
}

/* `x` is fresh; its answer goes to `answer`. */
static int ask_for_token(struct registry_exchange *x, const char *scope,
			 const struct url *realm, struct buf *answer,
			 struct registry_failure *f)
{
	const struct registry_lane *lane = x->lane;
	const struct credential *c = &lane->fetcher->config->credential;
	const struct registry_auth *a = &lane->fetcher->auth;
	bool known = has_password(c) || c->identity_token;
	bool may_send = known && may_know(lane->fetcher->config, realm);

	if (may_send && check_exposure(lane, f) < 0)
		return -1;
	x->to_token_service = true;
	x->scope = scope;
	x->out_text = answer;
	x->out_max = answer->max_bytes;
	int result = may_send && c->identity_token ? ask_by_post(x, a, scope)
						   : ask_by_get(x, a, scope, may_send);

	if (result == 0 && x->head.http.status != 200)
		result = registry_exchange_unexpected(x, "for a token");
	return result < 0 ? explain_no_token(x, realm, known && !may_send, f) : 0;
}

static int fetch_token(struct registry_lane *lane, const char *scope, const struct url *realm,
		       struct registry_failure *f)
{
	AUTO(buf) answer = BUF_INIT(2 * LIMIT_REGISTRY_TOKEN_BYTES);
	AUTO_FREE struct registry_exchange *x = mem_zalloc(1, sizeof(*x));
	char *token = NULL;
	uint64_t lifetime_s = 0;

	*x = (struct registry_exchange)REGISTRY_EXCHANGE_INIT(lane);
	int result = ask_for_token(x, scope, realm, &answer, f);

	registry_exchange_cleanup(x);
	if (result == 0 &&
	    !registry_token_read(buf_text(&answer), answer.len, &token, &lifetime_s)) {
		registry_fail(f, REGISTRY_CAUSE_TOKEN, false,
			      "the token service '%s' gives no token", realm->host);
		result = -1;
	}
	if (answer.data)
		OPENSSL_cleanse(answer.data, answer.len);
	if (result == 0)
		keep_token(&lane->fetcher->auth, scope, token, lifetime_s);
	return result;
}

static int check_realm(const struct registry_lane *lane, const char *text, struct url *ret,
		       struct registry_failure *f)
{
	struct err e = ERR_INIT;
	const struct registry_config *config = lane->fetcher->config;

	if (url_parse(text, ret, &e) < 0) {
		registry_fail(f, REGISTRY_CAUSE_TOKEN, false,
			      "the registry names a token service that is no URL");
		return -1;
	}
	if (str_same(ret->scheme, "https") ||
	    (config->options->insecure && str_same(lane->fetcher->origin.scheme, "http")))
		return 0;
	registry_fail(f, REGISTRY_CAUSE_TOKEN, false,
		      "the registry names a token service without TLS, at '%s'", ret->host);
	return -1;
}

static int learn_bearer(struct registry_lane *lane, const char *scope,
			const struct registry_challenge *c, struct registry_failure *f)
{
	struct registry_auth *a = &lane->fetcher->auth;
	AUTO(url) realm = {0};

	if (check_realm(lane, c->realm, &realm, f) < 0)
		return -1;
	a->scheme = REGISTRY_BEARER;
	mem_free_cleanup(&a->realm);
	mem_free_cleanup(&a->service);
	a->realm = mem_strdup(realm.text);
	a->service = mem_strdup(c->service);
	return fetch_token(lane, scope, &realm, f);
}

static int learn_basic(struct registry_lane *lane, struct registry_failure *f)
{
	struct registry_auth *a = &lane->fetcher->auth;

	if (a->scheme == REGISTRY_BASIC || !has_password(&lane->fetcher->config->credential))
		return registry_auth_refused(lane, f);
	if (check_exposure(lane, f) < 0)
		return -1;
	a->scheme = REGISTRY_BASIC;
	a->number++;
	return 0;
}

static int learn(struct registry_lane *lane, const char *scope, const char *challenges,
		 struct registry_failure *f)
{
	struct registry_challenge *c = mem_zalloc(1, sizeof(*c));
	struct str rest = str_of(challenges);
	bool has_basic = false;
	int result = -1;
	bool found = false;

	while (!found && registry_next_challenge(&rest, c)) {
		found = str_same(c->scheme, "bearer") && c->realm[0];
		has_basic |= str_same(c->scheme, "basic");
	}
	if (found)
		result = learn_bearer(lane, scope, c, f);
	else if (has_basic)
		result = learn_basic(lane, f);
	else
		registry_fail(f, REGISTRY_CAUSE_DENIED, false,
			      "the registry refuses (401) and does not say what it wants");
	free(c);
	return result;
}

int registry_auth_renew(struct registry_lane *lane, const char *scope, const char *challenges,
			uint64_t number, struct registry_failure *f)
{
	struct registry_auth *a = &lane->fetcher->auth;
	int result = 0;

	pthread_mutex_lock(&a->lock);
	const struct registry_token *t = find_token(a, scope);
	bool other_was_first =
		a->scheme == REGISTRY_BASIC ? a->number > number : t && t->number > number;

	if (!other_was_first)
		result = learn(lane, scope, challenges, f);
	pthread_mutex_unlock(&a->lock);
	return result;
}
