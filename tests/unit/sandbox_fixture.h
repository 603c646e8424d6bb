/*
 * What the sandbox tests share: the policy as it is in policy/, a directory of roots, and a
 * small root file system made of this machine's own shell and tools. Each test binary runs
 * twice when started by root: as root, and again as the ordinary user `stackertest`.
 */
#ifndef SANDBOX_FIXTURE_H
#define SANDBOX_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <yaml.h>

#include "sandbox/idmap.h"
#include "sandbox/policy.h"
#include "sandbox/run.h"
#include "sandbox/worker.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"
#include "util/proc.h"

#define UNUSED __attribute__((unused))

#define expect_ok(call)                                                                        \
	do {                                                                                   \
		struct err *e_ = &err;                                                         \
		*e_ = (struct err)ERR_INIT;                                                    \
		if ((call) < 0)                                                                \
			fail_msg("%s: %s [%s] (hint: %s)", #call, err.message, err.id,         \
				 err.hint);                                                    \
	} while (0)

#define expect_err(call, wanted)                                                               \
	do {                                                                                   \
		err = (struct err)ERR_INIT;                                                    \
		assert_int_equal((call), -1);                                                  \
		assert_string_equal(err.id, (wanted));                                         \
	} while (0)

/* ---- policy/ as written, by the generic reading that its files promise ---- */

struct yaml_tree {
	yaml_document_t doc;
};

static inline yaml_node_t *tree_get(struct yaml_tree *t, yaml_node_t *map, const char *key)
{
	assert_int_equal(map->type, YAML_MAPPING_NODE);
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start;
	     p < map->data.mapping.pairs.top; p++)
		if (strcmp((char *)yaml_document_get_node(&t->doc, p->key)->data.scalar.value,
			   key) == 0)
			return yaml_document_get_node(&t->doc, p->value);
	return NULL;
}

static inline const char *tree_text(yaml_node_t *node)
{
	assert_non_null(node);
	assert_int_equal(node->type, YAML_SCALAR_NODE);
	return (char *)node->data.scalar.value;
}

static inline size_t tree_len(yaml_node_t *list)
{
	assert_int_equal(list->type, YAML_SEQUENCE_NODE);
	return (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
}

static inline yaml_node_t *tree_at(struct yaml_tree *t, yaml_node_t *list, size_t i)
{
	return yaml_document_get_node(&t->doc, list->data.sequence.items.start[i]);
}

static inline uint64_t number_of(const char *text)
{
	uint64_t n = 0;
	if (text[0] == '0' && text[1] == 'x') {
		for (const char *p = text + 2; *p; p++)
			n = n * 16 +
			    (uint64_t)(strchr("0123456789abcdef", *p) - "0123456789abcdef");
		return n;
	}
	assert_true(num_parse_u64(text, strlen(text), UINT64_MAX, &n));
	return n;
}

static inline void tree_load(const char *path, struct yaml_tree *t)
{
	yaml_parser_t parser;
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	assert_true(yaml_parser_initialize(&parser));
	yaml_parser_set_input_file(&parser, f);
	assert_true(yaml_parser_load(&parser, &t->doc));
	yaml_parser_delete(&parser);
	fclose(f);
}

static inline int errno_of(const char *name)
{
	static const struct {
		const char *name;
		int value;
	} all[] = {{"EPERM", EPERM},
		   {"EACCES", EACCES},
		   {"ENOSYS", ENOSYS},
		   {"EINVAL", EINVAL},
		   {"EAFNOSUPPORT", EAFNOSUPPORT}};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (strcmp(name, all[i].name) == 0)
			return all[i].value;
	fail_msg("errno %s", name);
	return -1;
}

static inline void load_args(struct yaml_tree *t, yaml_node_t *entry, struct policy_rule *rule)
{
	yaml_node_t *args = tree_get(t, entry, "args");
	if (args == NULL)
		return;
	rule->args_len = tree_len(args);
	assert_true(rule->args_len <= ARRAY_LEN(rule->args));
	for (size_t i = 0; i < rule->args_len; i++) {
		yaml_node_t *a = tree_at(t, args, i);
		yaml_node_t *differs = tree_get(t, a, "differs");
		rule->args[i] = (struct policy_arg){
			.arg = (unsigned)number_of(tree_text(tree_get(t, a, "arg"))),
			.mask = number_of(tree_text(tree_get(t, a, "mask"))),
			.value = number_of(
				tree_text(differs ? differs : tree_get(t, a, "equals"))),
			.negate = differs != NULL,
		};
	}
}

static inline void load_rules(struct yaml_tree *t, yaml_node_t *list,
			      struct policy_rule_vec *rules)
{
	for (size_t i = 0; i < tree_len(list); i++) {
		yaml_node_t *entry = tree_at(t, list, i);
		yaml_node_t *names = tree_get(t, entry, "names");
		yaml_node_t *numbers = tree_get(t, entry, "numbers");
		yaml_node_t *errno_ = tree_get(t, entry, "errno");
		struct policy_rule rule = {.number = -1,
					   .errno_ = errno_ ? errno_of(tree_text(errno_)) : 0};
		load_args(t, entry, &rule);
		for (size_t k = 0; names && k < tree_len(names); k++) {
			rule.name = mem_strdup(tree_text(tree_at(t, names, k)));
			vec_push(rules, rule);
		}
		rule.name = NULL;
		for (size_t k = 0; numbers && k < tree_len(numbers); k++) {
			rule.number = (int)number_of(tree_text(tree_at(t, numbers, k)));
			vec_push(rules, rule);
		}
	}
}

static inline void load_paths(struct yaml_tree *t, const char *key, struct strvec *ret)
{
	yaml_node_t *list = tree_get(t, yaml_document_get_root_node(&t->doc), key);
	for (size_t i = 0; i < tree_len(list); i++)
		strvec_push(ret, tree_text(tree_get(t, tree_at(t, list, i), "path")));
}

struct limit_place {
	const char *name;
	uint64_t *value, *most;
};

static inline void load_limit_list(struct yaml_tree *t, const char *key,
				   const struct limit_place *all, size_t len)
{
	yaml_node_t *list = tree_get(t, yaml_document_get_root_node(&t->doc), key);
	assert_int_equal(tree_len(list), len);
	for (size_t i = 0; i < len; i++) {
		yaml_node_t *entry = tree_at(t, list, i);
		assert_string_equal(tree_text(tree_get(t, entry, "name")), all[i].name);
		*all[i].value = number_of(tree_text(tree_get(t, entry, "value")));
		if (all[i].most)
			*all[i].most = number_of(tree_text(tree_get(t, entry, "most")));
	}
}

static inline void load_limits(struct sandbox_policy *p)
{
	struct yaml_tree t;
	const struct limit_place fixed[] = {
		{"nproc", &p->limits.nproc, NULL},
		{"nofile", &p->limits.nofile, NULL},
		{"fsize_bytes", &p->limits.fsize_bytes, NULL},
		{"memlock_bytes", &p->limits.memlock_bytes, NULL},
		{"stack_bytes", &p->limits.stack_bytes, NULL},
		{"as_bytes", &p->limits.as_bytes, NULL},
		{"tmp_bytes", &p->limits.tmp_bytes, NULL},
		{"shm_bytes", &p->limits.shm_bytes, NULL},
		{"disk_reserve_bytes", &p->limits.disk_reserve_bytes, NULL}};
	const struct limit_place raisable[] = {
		{"memory_bytes", &p->defaults.memory_bytes, &p->most.memory_bytes},
		{"processes", &p->defaults.processes, &p->most.processes},
		{"disk_bytes", &p->defaults.disk_bytes, &p->most.disk_bytes},
		{"files", &p->defaults.files, &p->most.files},
		{"wall_ms", &p->defaults.wall_ms, &p->most.wall_ms},
		{"log_bytes", &p->defaults.log_bytes, &p->most.log_bytes}};
	tree_load("policy/limits.yaml", &t);
	load_limit_list(&t, "step", fixed, ARRAY_LEN(fixed));
	load_limit_list(&t, "raisable", raisable, ARRAY_LEN(raisable));
	yaml_document_delete(&t.doc);
}

static inline uint64_t load_caps(struct yaml_tree *t, enum policy_role role)
{
	yaml_node_t *caps =
		tree_get(t, yaml_document_get_root_node(&t->doc), policy_role_name(role));
	uint64_t set = 0;
	for (size_t i = 0; i < tree_len(caps); i++)
		set |= UINT64_C(1)
		       << number_of(tree_text(tree_get(t, tree_at(t, caps, i), "bit")));
	return set;
}

static inline void fixture_policy(struct sandbox_policy *p)
{
	struct yaml_tree t;
	*p = (struct sandbox_policy){0};
	tree_load("policy/seccomp.yaml", &t);
	for (size_t i = 0; i < POLICY_ROLES; i++)
		load_rules(&t,
			   tree_get(&t, yaml_document_get_root_node(&t.doc),
				    policy_role_name((enum policy_role)i)),
			   &p->seccomp[i]);
	yaml_document_delete(&t.doc);
	tree_load("policy/capabilities.yaml", &t);
	p->step_caps = load_caps(&t, POLICY_STEP);
	for (enum policy_role role = POLICY_UNPACKER; role <= POLICY_REMOVER; role++)
		p->worker_caps[role] = load_caps(&t, role);
	yaml_document_delete(&t.doc);
	tree_load("policy/proc.yaml", &t);
	load_paths(&t, "masked", &p->proc_masked);
	load_paths(&t, "readonly", &p->proc_readonly);
	yaml_document_delete(&t.doc);
	load_limits(p);
}

/* ---- a directory of roots ---- */

struct fixture {
	char dir[64];
	int roots_fd;
	struct sandbox_policy policy;
	struct sandbox_idmap ids;
	struct buf output; /* of the last step */
};

static inline int run_command(const char *const *argv)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline void shell(const char *script, const char *arg)
{
	const char *const argv[] = {"/bin/sh", "-ec", script, "sh", arg, NULL};
	assert_int_equal(run_command(argv), 0);
}

/* Owner 0 of the sandbox for all below the roots, made by whoever we are. */
static inline void fixture_own(struct fixture *f)
{
	char owner[64];
	if (geteuid() != 0)
		return;
	snprintf(owner, sizeof(owner), "%u:%u", f->ids.uid_first, f->ids.gid_first);
	const char *const argv[] = {"chown", "-hR", owner, f->dir, NULL};
	const char *const top[] = {"chown", "0:0", f->dir, NULL};
	assert_int_equal(run_command(argv), 0);
	assert_int_equal(run_command(top), 0);
}

static inline void fixture_dir(struct fixture *f, const char *name)
{
	assert_int_equal(mkdirat(f->roots_fd, name, 0755), 0);
	if (geteuid() == 0)
		assert_int_equal(
			fchownat(f->roots_fd, name, f->ids.uid_first, f->ids.gid_first, 0), 0);
}

static inline void fixture_start(struct fixture *f)
{
	struct err err = ERR_INIT;
	*f = (struct fixture){.dir = "/tmp/stacker-test-XXXXXX", .roots_fd = -1};
	f->output = (struct buf)BUF_INIT(8 * MIB);
	assert_non_null(mkdtemp(f->dir));
	fixture_policy(&f->policy);
	expect_ok(sandbox_idmap_find(&f->ids, &err));
	AUTO_FREE char *roots = path_join(f->dir, "roots");
	assert_int_equal(mkdirat(AT_FDCWD, roots, 0755), 0);
	f->roots_fd = openat(AT_FDCWD, roots, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->roots_fd >= 0);
	fixture_own(f);
}

/* Lower "base": a shell and tools. Upper "upper", work "work". */
static inline void fixture_shell_root(struct fixture *f)
{
	AUTO_FREE char *root = path_join(f->dir, "roots/base");
	shell("r=$1; mkdir -p $r/bin $r/etc; echo base > $r/etc/issue;"
	      "for b in sh cat id ls mkdir touch rm sleep chown chmod stat mknod ln env grep "
	      "head tr wc"
	      " seq mv setsid readlink chroot stty; do p=$(command -v $b); cp -L $p $r/bin/;"
	      " ldd $p | grep -o '/[^ ]*'; done | sort -u |"
	      " while read l; do mkdir -p $r$(dirname $l); cp -L $l $r$l; done",
	      root);
	fixture_dir(f, "upper");
	fixture_dir(f, "work");
	fixture_own(f);
}

static inline int remove_roots(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)reply;
	AUTO_CLOSE int top = -1;
	if (path_open_dir(AT_FDCWD, "top", &top, e) < 0)
		return -1;
	return path_remove_tree(top, "roots", e);
}

/* Files of mapped ids can be removed by their root only. */
static inline void fixture_end(struct fixture *f)
{
	struct err err = ERR_INIT;
	AUTO_CLOSE int dir = openat(AT_FDCWD, f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sandbox_bind bind = {dir, "top", false, false};
	struct sandbox_worker w = {.idmap = &f->ids,
				   .policy = &f->policy,
				   .binds = &bind,
				   .binds_len = 1,
				   .role = POLICY_REMOVER,
				   .run = remove_roots};
	if (geteuid() == 0)
		assert_int_equal(chown(f->dir, f->ids.uid_first, f->ids.gid_first), 0);
	expect_ok(sandbox_worker_run(&w, NULL, &err));
	assert_int_equal(rmdir(f->dir), 0);
	close(f->roots_fd);
	sandbox_idmap_cleanup(&f->ids);
	sandbox_policy_cleanup(&f->policy);
	buf_cleanup(&f->output);
}

/* Empty upper and work directories for the next step. */
static inline int renew(void *ctx, struct buf *reply, struct err *e)
{
	static const char *const names[] = {"upper", "work"};
	(void)ctx;
	(void)reply;
	AUTO_CLOSE int roots = -1;
	if (path_open_dir(AT_FDCWD, "roots", &roots, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (path_remove_tree(roots, names[i], e) < 0)
			return -1;
		if (mkdirat(roots, names[i], 0755) < 0)
			return err_sys(e, "mkdir %s", names[i]);
	}
	return 0;
}

static inline void fixture_renew(struct fixture *f)
{
	struct err err = ERR_INIT;
	struct sandbox_bind bind = {f->roots_fd, "roots", false, false};
	struct sandbox_worker w = {.idmap = &f->ids,
				   .policy = &f->policy,
				   .binds = &bind,
				   .binds_len = 1,
				   .role = POLICY_UNPACKER,
				   .run = renew};
	expect_ok(sandbox_worker_run(&w, NULL, &err));
	buf_clear(&f->output);
}

static inline void keep_output(void *ctx, const char *bytes, size_t len)
{
	buf_add(ctx, bytes, len);
}

static const char *const fixture_lowers[] = {"base"};
static const char *const fixture_env[] = {"PATH=/bin", "HOME=/root", NULL};

static inline struct sandbox_spec fixture_spec(struct fixture *f, const char *script)
{
	return (struct sandbox_spec){
		.idmap = &f->ids,
		.policy = &f->policy,
		.roots_fd = f->roots_fd,
		.lowers = fixture_lowers,
		.lowers_len = 1,
		.upper = "upper",
		.work = "work",
		.script = script,
		.env = fixture_env,
		.label = "test",
		.output = keep_output,
		.ctx = &f->output,
	};
}

/* Runs `script` in a fresh layer; its exit code. */
static inline int fixture_step(struct fixture *f, const char *script)
{
	struct err err = ERR_INIT;
	struct sandbox_result result;
	fixture_renew(f);
	struct sandbox_spec spec = fixture_spec(f, script);
	expect_ok(sandbox_run(&spec, &result, &err));
	return result.exit_code;
}

/* ---- the one of a test program ---- */

static struct fixture fx UNUSED;
static struct err err UNUSED;

static inline int fixture_setup(void **state)
{
	(void)state;
	fixture_start(&fx);
	return 0;
}

static inline int fixture_setup_shell(void **state)
{
	(void)state;
	fixture_start(&fx);
	fixture_shell_root(&fx);
	return 0;
}

static inline int fixture_teardown(void **state)
{
	(void)state;
	fixture_end(&fx);
	return 0;
}

/* For a worker of which only the start matters. */
static inline int fixture_do_nothing(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)reply;
	(void)e;
	return 0;
}

/* ---- main ---- */

/* As root, runs this very binary again as an ordinary user. */
static inline int again_as_user(void)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam("stackertest") : NULL;
	int status;
	if (geteuid() != 0)
		return 0;
	if (pw == NULL) {
		printf("# not run as an ordinary user: there is no user 'stackertest'\n");
		return 0;
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		char *const argv[] = {(char *)(uintptr_t) "self", NULL};
		if (initgroups(pw->pw_name, pw->pw_gid) == 0 &&
		    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == 0 &&
		    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == 0)
			execv("/proc/self/exe", argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

#endif
