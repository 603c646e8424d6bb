/*
 * policy/ as data: read with the strict YAML reader, checked against the schema that each
 * file's head describes. A mistake here is a mistake of ours, but it is reported like a user's,
 * with file and line, since these files are meant to be edited.
 */
#include "build/policy.h"

#include <errno.h>
#include <string.h>

#include "recipe/yaml.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

extern const char policy_seccomp[], policy_seccomp_end[];
extern const char policy_capabilities[], policy_capabilities_end[];
extern const char policy_proc[], policy_proc_end[];
extern const char policy_limits[], policy_limits_end[];
extern const char policy_volatile[], policy_volatile_end[];

static int policy_error(const struct node *n, struct err *e, const char *what)
{
	return err_at(e, &n->pos, "policy/malformed", "%s", what);
}

static int require_kind(const struct node *n, enum node_kind kind, struct err *e)
{
	if (n && n->kind == kind)
		return 0;
	static const struct node nowhere = {0};
	return policy_error(n ? n : &nowhere, e,
			    "policy entry is missing or of the wrong kind");
}

static int get_text(const struct node *map, const char *key, const char **ret, struct err *e)
{
	const struct node *n = node_get(map, key);
	if (!n || n->kind != NODE_SCALAR || n->text[0] == '\0')
		return policy_error(map, e, "policy entry lacks a text it must have");
	*ret = n->text;
	return 0;
}

static int get_u64(const struct node *map, const char *key, uint64_t *ret, struct err *e)
{
	const char *text;
	if (get_text(map, key, &text, e) < 0)
		return -1;
	if (!num_parse_u64(text, strlen(text), UINT64_MAX, ret))
		return policy_error(map, e, "policy entry holds a malformed number");
	return 0;
}

/* "0x" and up to 16 hex digits. */
static int get_hex(const struct node *map, const char *key, uint64_t *ret, struct err *e)
{
	const char *text;
	if (get_text(map, key, &text, e) < 0)
		return -1;
	size_t len = strlen(text);
	char digits[17];
	uint8_t bytes[8];
	if (!str_has_prefix(text, "0x") || len < 3 || len > 18)
		return policy_error(map, e, "policy entry holds a malformed mask");
	memset(digits, '0', 16);
	memcpy(digits + 16 - (len - 2), text + 2, len - 2);
	if (!num_parse_hex(digits, 16, bytes, sizeof(bytes)))
		return policy_error(map, e, "policy entry holds a malformed mask");
	*ret = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		*ret = *ret << 8 | bytes[i];
	return 0;
}

static int read_arg(const struct node *n, struct policy_arg *ret, struct err *e)
{
	uint64_t arg;
	if (require_kind(n, NODE_MAPPING, e) < 0 || get_u64(n, "arg", &arg, e) < 0 ||
	    get_hex(n, "mask", &ret->mask, e) < 0)
		return -1;
	if (arg > 5)
		return policy_error(n, e, "a system call has arguments 0 to 5");
	ret->arg = (unsigned)arg;
	ret->negate = node_get(n, "differs") != NULL;
	return get_hex(n, ret->negate ? "differs" : "equals", &ret->value, e);
}

static int read_errno(const struct node *entry, int *ret, struct err *e)
{
	static const struct {
		const char *name;
		int value;
	} names[] = {{"EPERM", EPERM},
		     {"EACCES", EACCES},
		     {"ENOSYS", ENOSYS},
		     {"EINVAL", EINVAL},
		     {"EAFNOSUPPORT", EAFNOSUPPORT}};
	*ret = 0;
	if (!node_get(entry, "errno"))
		return 0;
	const char *text;
	if (get_text(entry, "errno", &text, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_same(text, names[i].name))
			*ret = names[i].value;
	return *ret ? 0 : policy_error(entry, e, "policy entry names an unknown errno");
}

static int read_names(const struct node *entry, const struct policy_rule *like,
		      struct policy_rule_vec *ret, struct err *e)
{
	const struct node *names = node_get(entry, "names");
	if (!names)
		return 0;
	if (require_kind(names, NODE_SEQUENCE, e) < 0)
		return -1;
	for (size_t i = 0; i < names->len; i++) {
		if (require_kind(names->items[i], NODE_SCALAR, e) < 0)
			return -1;
		struct policy_rule rule = *like;
		rule.name = mem_strdup(names->items[i]->text);
		rule.number = -1;
		vec_push(ret, rule);
	}
	return 0;
}

static int read_numbers(const struct node *entry, const struct policy_rule *like,
			struct policy_rule_vec *ret, struct err *e)
{
	const struct node *numbers = node_get(entry, "numbers");
	if (!numbers)
		return 0;
	if (require_kind(numbers, NODE_SEQUENCE, e) < 0)
		return -1;
	for (size_t i = 0; i < numbers->len; i++) {
		const struct node *n = numbers->items[i];
		uint64_t number;
		if (require_kind(n, NODE_SCALAR, e) < 0)
			return -1;
		if (!num_parse_u64(n->text, strlen(n->text), 4096, &number))
			return policy_error(n, e, "malformed system call number");
		struct policy_rule rule = *like;
		rule.number = (int)number;
		vec_push(ret, rule);
	}
	return 0;
}

static int read_rules(const struct node *entry, struct policy_rule_vec *ret, struct err *e)
{
	struct policy_rule like = {0};
	const char *reason, *tool; /* for readers: policy_show.c */
	if (require_kind(entry, NODE_MAPPING, e) < 0 ||
	    get_text(entry, "reason", &reason, e) < 0 ||
	    (node_get(entry, "tool") && get_text(entry, "tool", &tool, e) < 0) ||
	    read_errno(entry, &like.errno_, e) < 0)
		return -1;
	const struct node *args = node_get(entry, "args");
	for (size_t i = 0; args && i < args->len; i++) {
		if (i == ARRAY_LEN(like.args))
			return policy_error(args, e, "too many argument checks");
		if (read_arg(args->items[i], &like.args[like.args_len++], e) < 0)
			return -1;
	}
	if (!node_get(entry, "names") && !node_get(entry, "numbers"))
		return policy_error(entry, e, "policy entry has neither names nor numbers");
	if (read_names(entry, &like, ret, e) < 0)
		return -1;
	return read_numbers(entry, &like, ret, e);
}

static int read_seccomp(const struct node *root, struct sandbox_policy *ret, struct err *e)
{
	for (enum policy_role role = 0; role < POLICY_ROLES; role++) {
		const struct node *list = node_get(root, policy_role_name(role));
		if (require_kind(list, NODE_SEQUENCE, e) < 0)
			return -1;
		for (size_t i = 0; i < list->len; i++)
			if (read_rules(list->items[i], &ret->seccomp[role], e) < 0)
				return -1;
	}
	return 0;
}

static int read_caps(const struct node *root, enum policy_role role, uint64_t *ret,
		     struct err *e)
{
	const struct node *list = node_get(root, policy_role_name(role));
	if (require_kind(list, NODE_SEQUENCE, e) < 0)
		return -1;
	for (size_t i = 0; i < list->len; i++) {
		uint64_t bit;
		if (require_kind(list->items[i], NODE_MAPPING, e) < 0 ||
		    get_u64(list->items[i], "bit", &bit, e) < 0)
			return -1;
		if (bit > 63)
			return policy_error(list->items[i], e,
					    "a capability is a bit from 0 to 63");
		*ret |= UINT64_C(1) << bit;
	}
	return 0;
}

static int read_capabilities(const struct node *root, struct sandbox_policy *ret, struct err *e)
{
	if (read_caps(root, POLICY_STEP, &ret->step_caps, e) < 0)
		return -1;
	for (enum policy_role role = POLICY_UNPACKER; role <= POLICY_REMOVER; role++)
		if (read_caps(root, role, &ret->worker_caps[role], e) < 0)
			return -1;
	return 0;
}

static int read_paths(const struct node *root, const char *key, struct strvec *ret,
		      struct err *e)
{
	const struct node *list = node_get(root, key);
	if (require_kind(list, NODE_SEQUENCE, e) < 0)
		return -1;
	for (size_t i = 0; i < list->len; i++) {
		const char *path;
		if (require_kind(list->items[i], NODE_MAPPING, e) < 0 ||
		    get_text(list->items[i], "path", &path, e) < 0)
			return -1;
		strvec_push(ret, path);
	}
	return 0;
}

static int read_proc(const struct node *root, struct sandbox_policy *ret, struct err *e)
{
	if (read_paths(root, "masked", &ret->proc_masked, e) < 0)
		return -1;
	return read_paths(root, "readonly", &ret->proc_readonly, e);
}

struct limit_entry {
	const char *name;
	uint64_t *value;
	uint64_t *most; /* NULL: the entry has none */
};

static int read_limit_list(const struct node *root, const char *key,
			   const struct limit_entry *limits, size_t len, struct err *e)
{
	const struct node *list = node_get(root, key);
	if (require_kind(list, NODE_SEQUENCE, e) < 0)
		return -1;
	if (list->len != len)
		return policy_error(list, e, "each limit must be given exactly once");
	for (size_t i = 0; i < len; i++) {
		bool found = false;
		for (size_t j = 0; j < list->len && !found; j++) {
			const char *name;
			const struct node *entry = list->items[j];
			if (require_kind(entry, NODE_MAPPING, e) < 0 ||
			    get_text(entry, "name", &name, e) < 0)
				return -1;
			found = str_same(name, limits[i].name);
			if (found &&
			    (get_u64(entry, "value", limits[i].value, e) < 0 ||
			     (limits[i].most && get_u64(entry, "most", limits[i].most, e) < 0)))
				return -1;
		}
		if (!found)
			return policy_error(list, e, "a limit is missing");
	}
	return 0;
}

static int read_limits(const struct node *root, struct sandbox_policy *ret, struct err *e)
{
	struct sandbox_limits *value = &ret->defaults, *most = &ret->most;
	const struct limit_entry fixed[] = {
		{"nproc", &ret->limits.nproc, NULL},
		{"nofile", &ret->limits.nofile, NULL},
		{"fsize_bytes", &ret->limits.fsize_bytes, NULL},
		{"memlock_bytes", &ret->limits.memlock_bytes, NULL},
		{"stack_bytes", &ret->limits.stack_bytes, NULL},
		{"as_bytes", &ret->limits.as_bytes, NULL},
		{"tmp_bytes", &ret->limits.tmp_bytes, NULL},
		{"shm_bytes", &ret->limits.shm_bytes, NULL},
		{"disk_reserve_bytes", &ret->limits.disk_reserve_bytes, NULL},
	};
	const struct limit_entry raisable[] = {
		{"memory_bytes", &value->memory_bytes, &most->memory_bytes},
		{"processes", &value->processes, &most->processes},
		{"disk_bytes", &value->disk_bytes, &most->disk_bytes},
		{"files", &value->files, &most->files},
		{"wall_ms", &value->wall_ms, &most->wall_ms},
		{"log_bytes", &value->log_bytes, &most->log_bytes},
	};
	if (read_limit_list(root, "step", fixed, ARRAY_LEN(fixed), e) < 0)
		return -1;
	return read_limit_list(root, "raisable", raisable, ARRAY_LEN(raisable), e);
}

static int read_volatile_entry(const struct node *entry, struct volatile_list *ret,
			       struct err *e)
{
	const char *name, *reason, *content = NULL;
	enum volatile_rule rule;
	if (require_kind(entry, NODE_MAPPING, e) < 0 || get_text(entry, "rule", &name, e) < 0 ||
	    get_text(entry, "reason", &reason, e) < 0)
		return -1;
	if (!volatile_rule_parse(name, &rule))
		return policy_error(entry, e, "policy entry has an unknown rule");
	if (rule == VOLATILE_SET && get_text(entry, "content", &content, e) < 0)
		return -1;
	const struct node *list = node_get(entry, "paths");
	if (require_kind(list, NODE_SEQUENCE, e) < 0)
		return -1;
	for (size_t i = 0; i < list->len; i++) {
		if (require_kind(list->items[i], NODE_SCALAR, e) < 0)
			return -1;
		volatile_list_add(ret, list->items[i]->text, rule, content);
	}
	return 0;
}

static int read_volatile(const struct node *root, struct volatile_list *ret, struct err *e)
{
	const struct node *list = node_get(root, "files");
	if (require_kind(list, NODE_SEQUENCE, e) < 0)
		return -1;
	for (size_t i = 0; i < list->len; i++)
		if (read_volatile_entry(list->items[i], ret, e) < 0)
			return -1;
	return 0;
}

/* The sandbox has no part in it. */
static int check_volatile(const struct node *root, struct sandbox_policy *ret, struct err *e)
{
	(void)ret;
	AUTO(volatile_list) list = {0};
	return read_volatile(root, &list, e);
}

static const struct policy_file {
	const char *name;
	const char *start, *end;
	int (*read)(const struct node *root, struct sandbox_policy *ret, struct err *e);
} files[POLICY_FILES] = {
	{"policy/capabilities.yaml", policy_capabilities, policy_capabilities_end,
	 read_capabilities},
	{"policy/limits.yaml", policy_limits, policy_limits_end, read_limits},
	{"policy/proc.yaml", policy_proc, policy_proc_end, read_proc},
	{"policy/seccomp.yaml", policy_seccomp, policy_seccomp_end, read_seccomp},
	{"policy/volatile.yaml", policy_volatile, policy_volatile_end, check_volatile},
};

struct policy_text policy_text(size_t index)
{
	BUG_IF(index >= POLICY_FILES);
	const struct policy_file *f = &files[index];
	return (struct policy_text){f->name, f->start, (size_t)(f->end - f->start)};
}

static int read_file(const struct policy_file *file, struct sandbox_policy *ret, struct err *e)
{
	struct policy_text text = policy_text((size_t)(file - files));
	AUTO(yaml_document) document = {0};
	if (yaml_parse(text.bytes, text.len, text.name, &document, e) < 0 ||
	    require_kind(document.root, NODE_MAPPING, e) < 0)
		return -1;
	return file->read(document.root, ret, e);
}

int policy_load(struct sandbox_policy *ret, struct digest *ret_digest, struct err *e)
{
	AUTO(digest_stream) all = {0};
	digest_stream_init(&all, DIGEST_SHA256);
	for (size_t i = 0; i < POLICY_FILES; i++) {
		struct policy_text text = policy_text(i);
		if (read_file(&files[i], ret, e) < 0)
			return -1;
		/* Name, length and bytes, so that no two sets of files run together alike. */
		AUTO_FREE char *head = mem_printf("%s %zu\n", text.name, text.len);
		digest_stream_add(&all, head, strlen(head));
		digest_stream_add(&all, text.bytes, text.len);
	}
	digest_stream_final(&all, ret_digest);
	return 0;
}

int policy_load_volatile(struct volatile_list *ret, struct err *e)
{
	AUTO(yaml_document) document = {0};
	AUTO(volatile_list) list = {0};
	struct policy_text text = {.name = "policy/volatile.yaml",
				   .bytes = policy_volatile,
				   .len = (size_t)(policy_volatile_end - policy_volatile)};
	if (yaml_parse(text.bytes, text.len, text.name, &document, e) < 0 ||
	    require_kind(document.root, NODE_MAPPING, e) < 0 ||
	    read_volatile(document.root, &list, e) < 0)
		return -1;
	*ret = list;
	list = (struct volatile_list){0};
	return 0;
}
