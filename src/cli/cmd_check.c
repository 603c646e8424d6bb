/* stacker check */
#include <stdio.h>

#include "cli/command.h"
#include "build/policy.h"
#include "sandbox/check.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"

struct check_command {
	bool json;
	json_t *results;
	struct buf out;
};

static void check_command_cleanup(struct check_command *c)
{
	json_decref(c->results);
	buf_cleanup(&c->out);
}

static void report(void *ctx, const struct sandbox_requirement *r)
{
	struct check_command *c = ctx;
	if (c->json) {
		json_array_append_new(c->results,
				      json_pack("{s:s, s:s, s:b, s:b, s:s, s:s}", "id", r->id,
						"title", r->title, "required", (int)r->required,
						"ok", (int)r->ok, "detail", r->detail, "remedy",
						r->remedy));
		return;
	}
	const char *word = r->ok ? "ok" : r->required ? "MISSING" : "absent";
	buf_addf(&c->out, "%-8s %-14s %s: %s\n", word, r->id, r->title, r->detail);
	if (!r->ok && r->remedy[0])
		buf_addf(&c->out, "         remedy: %s\n", r->remedy);
}

/* As a build would. Without ids for a sandbox it cannot be given to them, and the probes say
 * so. */
static int open_roots(const struct cli *cli, int *ret_fd, struct err *e)
{
	AUTO(sandbox_idmap) idmap = {0};
	struct err no_ids = ERR_INIT;
	if (sandbox_idmap_find(&idmap, &no_ids) < 0)
		return path_make_dir(AT_FDCWD, cli->dirs.roots, 0700, ret_fd, e);
	return build_open_roots(cli->dirs.roots, &idmap, ret_fd, e);
}

static int run_probes(const struct cli *cli, struct check_command *c, unsigned *ret_failed,
		      struct err *e)
{
	AUTO(sandbox_policy) policy = {0};
	struct digest digest;
	AUTO_CLOSE int roots = -1;
	if (policy_load(&policy, &digest, e) < 0 || open_roots(cli, &roots, e) < 0)
		return -1;
	*ret_failed = sandbox_check(&policy, roots, report, c);
	if (c->json) {
		json_write(c->results, &c->out);
		buf_add_byte(&c->out, '\n');
	}
	if (buf_check(&c->out, "report", e) < 0)
		return -1;
	return command_print(buf_text(&c->out), c->out.len, e);
}

static const struct opt options[] = {
	{"json", 0, OPT_FLAG, offsetof(struct check_command, json), NULL,
	 "print the results as JSON"},
	{0},
};

static int run_check(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	AUTO(check_command)
	c = {.results = json_array(), .out = BUF_INIT(LIMIT_JSON_CANON_BYTES)};
	int status = command_options(self, argc, argv, &c, NULL);
	if (status >= 0)
		return status;
	struct err e = ERR_INIT;
	unsigned failed = 0;
	if (run_probes(cli, &c, &failed, &e) < 0)
		return command_failed(&e);
	return failed ? EXIT_FAILED : EXIT_OK;
}

const struct command command_check = {
	.name = "check",
	.summary = "Says what the sandbox needs of this machine and whether it is there.",
	.options = options,
	.help = "Each requirement is probed by doing it. Exit status: 0 all there, 1 something\n"
		"required is missing (with its remedy), 2 wrong usage.\n",
	.run = run_check,
};
