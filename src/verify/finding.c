/* Differences and what probably caused them. A cause is a hint; it never softens a verdict. */
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/str.h"
#include "verify/compare.h"

/* Files that distributions rewrite at every run (reference/audit.md 5.2, "known caches"). */
static const char *const known_caches[] = {
	"var/cache/ldconfig/aux-cache",
	"var/log/",
	"var/lib/apt/lists/",
	"var/cache/fontconfig/",
	"etc/machine-id",
	"var/lib/dbus/machine-id",
	"etc/ssh/ssh_host_",
	"var/lib/systemd/random-seed",
};

struct cause {
	const char *name, *confidence;
};

static struct cause cause_of_field(const char *field)
{
	if (str_same(field, "mtime"))
		return (struct cause){"timestamp", "certain"};
	if (str_same(field, "mode"))
		return (struct cause){"umask", "likely"};
	if (str_same(field, "uid") || str_same(field, "gid"))
		return (struct cause){"user", "likely"};
	return (struct cause){"unexplained", "unknown"};
}

static struct cause cause_of(const char *path, const char *kind, const char *field)
{
	if (str_same(kind, "damaged"))
		return (struct cause){"damage", "certain"};
	for (size_t i = 0; i < ARRAY_LEN(known_caches); i++)
		if (str_has_prefix(path, known_caches[i]))
			return (struct cause){"known-cache", "likely"};
	if (str_has_suffix(path, ".pyc"))
		return (struct cause){"timestamp", "likely"};
	return cause_of_field(field);
}

void finding_add(struct finding_vec *v, const char *path, long layer, const char *kind,
		 const char *field, const char *evidence)
{
	struct cause cause = cause_of(path, kind, field);
	vec_push(v, ((struct finding){.path = mem_strdup(path),
				      .layer = layer,
				      .kind = kind,
				      .field = field ? mem_strdup(field) : NULL,
				      .cause = cause.name,
				      .confidence = cause.confidence,
				      .evidence = evidence ? mem_strdup(evidence) : NULL}));
}

void findings_cleanup(struct finding_vec *v)
{
	for (size_t i = 0; i < v->len; i++) {
		free(v->items[i].path);
		free(v->items[i].field);
		free(v->items[i].evidence);
	}
	vec_free(v);
}

void comparison_cleanup(struct comparison *c)
{
	findings_cleanup(&c->findings);
	for (size_t i = 0; i < c->layers.len; i++)
		free(c->layers.items[i].step);
	vec_free(&c->layers);
}

bool comparison_content_equal(const struct comparison *c)
{
	for (size_t i = 0; i < c->layers.len; i++)
		if (!c->layers.items[i].diff_id_equal)
			return false;
	return c->config_equal && !c->damaged;
}

bool comparison_equal(const struct comparison *c)
{
	return comparison_content_equal(c) && c->index_equal && c->manifest_equal;
}
