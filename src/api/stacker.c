/* The public C API: the same calls that the command line makes, behind opaque handles. */
#include "stacker/stacker.h"

#include <stdlib.h>
#include <string.h>

#include "build/build.h"
#include "build/substitutions.h"
#include "util/limits.h"
#include "util/mem.h"
#include "verify/verify.h"

struct stacker {
	char *state_dir, *roots_dir, *oci_dir;
	struct build_context context;
	struct err error;
};

const char *stacker_version(void)
{
	return STACKER_VERSION;
}

static char *or_default(const char *given, const char *fallback)
{
	return mem_strdup(given ? given : fallback);
}

/* Copies what the caller's version of an option struct has; the rest is zero. */
static int take_options(struct stacker *s, const void *given, void *ret, size_t ret_len)
{
	size_t len = 0;
	if (given)
		memcpy(&len, given, sizeof(len));
	if (len < sizeof(len) || len > ret_len)
		return err_set(&s->error, ERR_USAGE, "api/options",
			       "option struct of %zu bytes is not of this version", len);
	memcpy(ret, given, len);
	return 0;
}

int stacker_open(const struct stacker_options *options, struct stacker **ret)
{
	struct stacker *s = mem_zalloc(1, sizeof(*s));
	s->context = (struct build_context)BUILD_CONTEXT_INIT;
	*ret = s;
	struct stacker_options o = {0};
	if (take_options(s, options, &o, sizeof(o)) < 0)
		return -1;
	s->state_dir = or_default(o.state_dir, ".stacker");
	s->roots_dir = or_default(o.roots_dir, "roots");
	s->oci_dir = or_default(o.oci_dir, "oci");
	const struct build_dirs dirs = {
		.state = s->state_dir, .roots = s->roots_dir, .oci = s->oci_dir};
	return build_context_open(&dirs, &s->context, &s->error);
}

void stacker_close(struct stacker *s)
{
	if (!s)
		return;
	build_context_cleanup(&s->context);
	free(s->state_dir);
	free(s->roots_dir);
	free(s->oci_dir);
	free(s);
}

const char *stacker_error(const struct stacker *s)
{
	return s->error.message;
}

const char *stacker_error_id(const struct stacker *s)
{
	return s->error.id;
}

const char *stacker_error_hint(const struct stacker *s)
{
	return s->error.hint;
}

static int collect(struct stacker *s, const char *const *pairs, size_t pairs_len,
		   struct substitution_vec *ret)
{
	const struct substitutions_options options = {
		.pairs = pairs, .pairs_len = pairs_len, .dirs = &s->context.dirs};
	return substitutions_collect(&options, ret, &s->error);
}

int stacker_verify(struct stacker *s, const struct stacker_verify_options *options,
		   enum stacker_verdict *ret_verdict, char **ret_report)
{
	struct stacker_verify_options o = {0};
	s->error = (struct err)ERR_INIT;
	if (take_options(s, options, &o, sizeof(o)) < 0)
		return -1;
	AUTO(substitution_vec) substitutions = {0};
	if (collect(s, o.substitutions, o.substitutions_len, &substitutions) < 0)
		return -1;
	const struct verify_options verify = {.plan = {.files = &o.file,
						       .files_len = 1,
						       .names = o.images,
						       .names_len = o.images_len,
						       .substitutions = &substitutions}};
	AUTO(verify_report) report = {0};
	AUTO(buf) text = BUF_INIT(256 * MIB);
	if (verify_run(&s->context, &verify, &report, &s->error) < 0)
		return -1;
	verify_report_json(&report, &text);
	if (buf_check(&text, "report", &s->error) < 0)
		return -1;
	*ret_verdict = (enum stacker_verdict)verify_exit_code(&report);
	*ret_report = buf_take(&text);
	return 0;
}

struct built_call {
	void (*built)(void *ctx, const char *image, const char *recipe, const char *manifest);
	void *ctx;
};

static void report_built(void *ctx, const struct build_done *d)
{
	const struct built_call *call = ctx;
	char recipe[DIGEST_TEXT_MAX];
	char manifest[DIGEST_TEXT_MAX];
	if (!call->built)
		return;
	digest_format(&d->result->recipe, recipe);
	if (!d->result->build_only)
		digest_format(&d->result->manifest.digest, manifest);
	call->built(call->ctx, d->name, recipe, d->result->build_only ? NULL : manifest);
}

int stacker_build(struct stacker *s, const struct stacker_build_options *options,
		  void (*built)(void *ctx, const char *image, const char *recipe,
				const char *manifest),
		  void *ctx)
{
	struct stacker_build_options o = {0};
	s->error = (struct err)ERR_INIT;
	if (take_options(s, options, &o, sizeof(o)) < 0)
		return -1;
	AUTO(substitution_vec) substitutions = {0};
	if (collect(s, o.substitutions, o.substitutions_len, &substitutions) < 0)
		return -1;
	const struct build_options build = {.plan = {.files = &o.file,
						     .files_len = 1,
						     .names = o.images,
						     .names_len = o.images_len,
						     .substitutions = &substitutions},
					    .no_cache = o.no_cache != 0};
	struct built_call call = {.built = built, .ctx = ctx};
	return build_run(&s->context, &build, report_built, &call, &s->error);
}
