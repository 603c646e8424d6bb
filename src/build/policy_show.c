/*
 * Shows the policy from the bytes that are embedded, not from what was made of them: the
 * reasons are for readers and are kept nowhere else, and whoever checks the digest needs these
 * very bytes.
 */
#include "build/policy_show.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "build/policy.h"
#include "recipe/canon.h"
#include "recipe/yaml.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/mem.h"
#include "util/num.h"

#define POLICY_SCHEMA STACKER_BASE_URI "sandbox-policy/v1"
/* The largest that every reader of JSON keeps exactly. */
#define JSON_NUMBER_MAX ((UINT64_C(1) << 53) - 1)

static uint64_t capabilities_of(const struct sandbox_policy *p, enum policy_role role)
{
	return role == POLICY_STEP ? p->step_caps : p->worker_caps[role];
}

/* pid 1 keeps all capabilities over its namespace, lest the step could trace it; the fetcher
 * has what its user has, which no_new_privs holds it to. */
static bool has_capability_list(enum policy_role role)
{
	return role != POLICY_INIT && role != POLICY_FETCHER;
}

static void add_role(const struct sandbox_policy *p, enum policy_role role, struct buf *out)
{
	const struct policy_rule_vec *rules = &p->seccomp[role];
	size_t allowing = 0;
	for (size_t i = 0; i < rules->len; i++)
		allowing += rules->items[i].errno_ == 0;
	buf_addf(out, "# %-10s %5zu %8zu  ", policy_role_name(role), allowing,
		 rules->len - allowing);
	if (has_capability_list(role))
		buf_addf(out, "0x%" PRIx64 "\n", capabilities_of(p, role));
	else
		buf_add_c(out, "-\n");
}

int policy_show_text(struct buf *out, struct err *e)
{
	AUTO(sandbox_policy) policy = {0};
	struct digest digest;
	char text[DIGEST_TEXT_MAX];
	if (policy_load(&policy, &digest, e) < 0)
		return -1;
	digest_format(&digest, text);
	buf_addf(
		out,
		"# What this stacker enforces. The digest is part of every recipe digest.\n"
		"# digest: %s\n"
		"# It is the sha256 over \"NAME LENGTH\\n\" and the bytes of each file below, in "
		"this order.\n#\n"
		"# Rules of each kind of process; a call without one fails with ENOSYS, one of "
		"another ABI kills.\n"
		"# %-10s %5s %8s  %s\n",
		text, "role", "allow", "refuse", "capabilities");
	for (enum policy_role role = POLICY_STEP; role < POLICY_ROLES; role++)
		add_role(&policy, role, out);
	for (size_t i = 0; i < POLICY_FILES; i++) {
		struct policy_text file = policy_text(i);
		buf_addf(out, "--- # %s\n", file.name);
		buf_add(out, file.bytes, file.len);
	}
	return buf_check(out, "policy", e);
}

static json_t *scalar_json(const struct node *n)
{
	uint64_t number;
	if (!n->quoted && num_parse_u64(n->text, strlen(n->text), JSON_NUMBER_MAX, &number))
		return json_integer((json_int_t)number);
	return json_string(n->text);
}

/* The reader has limited depth, sizes and texts already. */
static json_t *node_json(const struct node *n)
{
	json_t *value = n->kind == NODE_MAPPING	   ? json_object()
			: n->kind == NODE_SEQUENCE ? json_array()
						   : scalar_json(n);
	BUG_IF(!value);
	for (size_t i = 0; n->kind != NODE_SCALAR && i < n->len; i++) {
		json_t *item = node_json(n->items[i]);
		int failed = n->kind == NODE_MAPPING
				     ? json_object_set_new(value, n->keys[i]->text, item)
				     : json_array_append_new(value, item);
		BUG_IF(failed != 0);
	}
	return value;
}

/* "policy/seccomp.yaml" -> "seccomp" */
static char *key_of(const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *start = slash ? slash + 1 : name;
	return mem_strndup(start, strcspn(start, "."));
}

int policy_show_json(struct buf *out, struct err *e)
{
	AUTO(sandbox_policy) policy = {0};
	struct digest digest;
	char text[DIGEST_TEXT_MAX];
	if (policy_load(&policy, &digest, e) < 0)
		return -1;
	digest_format(&digest, text);
	AUTO(json_doc)
	doc = {.root = json_pack("{s:s, s:s, s:{s:s, s:s}}", "schema", POLICY_SCHEMA, "digest",
				 text, "otherwise", "unlisted", "ENOSYS", "other_abi", "kill")};
	BUG_IF(!doc.root);
	for (size_t i = 0; i < POLICY_FILES; i++) {
		AUTO(yaml_document) document = {0};
		struct policy_text file = policy_text(i);
		if (yaml_parse(file.bytes, file.len, file.name, &document, e) < 0)
			return -1;
		AUTO_FREE char *key = key_of(file.name);
		BUG_IF(json_object_set_new(doc.root, key, node_json(document.root)) != 0);
	}
	json_write(doc.root, out);
	buf_add_byte(out, '\n');
	return buf_check(out, "policy", e);
}
