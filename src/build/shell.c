/* See shell.h. The work directory is one of the run's own and goes at its end. */
#include "build/shell.h"

#include <string.h>

#include "build/job.h"
#include "sandbox/run.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

static int make_work(void *ctx, struct buf *reply, struct err *e)
{
	(void)reply;
	AUTO_CLOSE int work = -1;
	return job_make_work(ctx, &work, e);
}

/* Entries without a value are dropped, as from a step's. */
static void environment(const struct shell_place *place, const char *term, struct map *env,
			struct strvec *ret)
{
	map_set_text(env, "PATH", JOB_STEP_PATH);
	map_set_text(env, "container", "stacker");
	map_set_text(env, "STACKER_LAYER_NAME", place->label);
	map_set_text(env, "TZ", "UTC");
	map_set_text(env, "LC_ALL", "C.UTF-8");
	map_set_text(env, "HOME", "/root");
	map_set_text(env, "TERM", term ? term : "");
	for (size_t i = 0; place->env && i < place->env->len; i++)
		map_set_text(env, place->env->entries[i].key, place->env->entries[i].value);
	for (size_t i = 0; i < env->len; i++) {
		const char *value = env->entries[i].value;
		AUTO_FREE char *text = mem_printf("%s=%s", env->entries[i].key, value);
		if (value[0] != '\0')
			strvec_push(ret, text);
	}
	vec_push(ret, NULL);
}

/* Where a shell would look for it; NULL-terminated. */
static void candidates(const char *name, const char *path, struct strvec *ret)
{
	if (strchr(name, '/'))
		strvec_push(ret, name);
	else
		for (const char *dir = path; *dir;) {
			size_t len = strcspn(dir, ":");
			AUTO_FREE char *file = mem_printf("%.*s/%s", (int)len, dir, name);
			if (len > 0)
				strvec_push(ret, file);
			dir += len + (dir[len] == ':');
		}
	vec_push(ret, NULL);
}

static int run(struct build_context *c, const struct shell_place *place,
	       const struct shell_command *command, const char *work, int *ret_exit_code,
	       struct err *e)
{
	AUTO_FREE char *upper = path_join(work, "upper");
	AUTO_FREE char *overlay = path_join(work, "work");
	AUTO(map) env = MAP_INIT(free);
	AUTO(strvec) env_texts = {0};
	AUTO(strvec) programs = {0};
	AUTO(strvec) argv = {0};
	environment(place, command->term, &env, &env_texts);
	candidates(command->words[0], map_get(&env, "PATH"), &programs);
	for (size_t i = 0; i < command->words_len; i++)
		strvec_push(&argv, command->words[i]);
	vec_push(&argv, NULL);
	/* Who looks around may take his time, and may print what he likes. */
	struct sandbox_limits limits = c->policy.defaults;
	limits.wall_ms = 0;
	limits.log_bytes = 0;
	const struct sandbox_spec spec = {
		.idmap = &c->idmap,
		.policy = &c->policy,
		.roots_fd = c->roots_fd,
		.lowers = (const char *const *)place->lowers->items,
		.lowers_len = place->lowers->len,
		.upper = upper,
		.work = overlay,
		.imports = place->imports,
		.imports_beside = place->imports_beside,
		.argv = (const char *const *)argv.items,
		.programs = (const char *const *)programs.items,
		.attached = true,
		.env = (const char *const *)env_texts.items,
		.label = place->label,
		.output = command->output,
		.ctx = command->ctx,
		.limits = &limits,
	};
	struct sandbox_result result = {0};
	if (sandbox_run(&spec, &result, e) < 0)
		return -1;
	*ret_exit_code = result.exit_code;
	return 0;
}

int shell_run(struct build_context *c, const struct shell_place *place,
	      const struct shell_command *command, int *ret_exit_code, struct err *e)
{
	char work[ROOTS_NAME_MAX];
	roots_work_name(c, work);
	const struct roots_worker worker = {
		.c = c, .role = POLICY_UNPACKER, .run = make_work, .ctx = work};
	if (roots_worker_run(&worker, NULL, e) < 0)
		return -1;
	int r = run(c, place, command, work, ret_exit_code, e);
	struct err late = ERR_INIT;
	if (build_remove_hostile(c, c->roots_fd, work, &late) < 0 && r == 0) {
		*e = late;
		return -1;
	}
	return r;
}
