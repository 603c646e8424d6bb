/* stacker verify */
#include <stdio.h>

#include "cli/bundle_use.h"
#include "cli/command.h"
#include "cli/plan_args.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/vec.h"
#include "verify/verify.h"

enum { EXIT_VERIFY_INTERNAL = 2, FINDINGS_SHOWN = 50 };

static void show_progress(void *ctx, const char *image, char run)
{
	(void)ctx;
	log_note("verifying image %s: rebuild %c of A and B...", image, run);
}

static void print_finding(const struct verify_image *image, const struct finding *f,
			  struct buf *out)
{
	const struct layer_comparison_vec *layers = &image->comparison.layers;
	const char *step = f->layer >= 0 && (size_t)f->layer < layers->len
				   ? layers->items[f->layer].step
				   : NULL;
	AUTO_FREE char *path = str_printable(f->path, strlen(f->path));
	buf_addf(out, "  %s %s", f->kind, path);
	if (f->layer >= 0)
		buf_addf(out, " (layer %ld%s%s)", f->layer, step ? ", " : "", step ? step : "");
	if (f->field && !str_same(f->field, f->kind))
		buf_addf(out, ": %s", f->field);
	if (f->evidence && f->evidence[0]) {
		AUTO_FREE char *evidence = str_printable(f->evidence, strlen(f->evidence));
		buf_addf(out, " %s", evidence);
	}
	buf_addf(out, " [%s]\n", f->cause);
}

static void print_image(const struct verify_image *image, struct buf *out)
{
	const struct finding_vec *findings = &image->comparison.findings;
	buf_addf(out, "%s: %s", image->name, verify_verdict_name(image->verdict));
	if (image->reason)
		buf_addf(out, " (%s)", image->reason);
	if (image->published.alg != DIGEST_NONE) {
		char digest[DIGEST_TEXT_MAX];
		digest_format(&image->published, digest);
		buf_addf(out, " %s", digest);
	}
	buf_add_c(out, "\n");
	if (image->detail) {
		AUTO_FREE char *detail = str_printable(image->detail, strlen(image->detail));
		buf_addf(out, "  %s\n", detail);
	}
	for (size_t i = 0; i < findings->len && i < FINDINGS_SHOWN; i++)
		print_finding(image, &findings->items[i], out);
	if (findings->len > FINDINGS_SHOWN)
		buf_addf(out, "  ... %zu of %zu differences shown; --json has all\n",
			 (size_t)FINDINGS_SHOWN, findings->len);
}

struct verify_command {
	struct verify_options options;
	struct plan_args args;
	const char *bundle;
	bool json;
};

static const struct opt options[] = {
	PLAN_ARGS_FILE_OPTION(struct verify_command, args),
	BUNDLE_USE_OPTION(struct verify_command, bundle),
	PLAN_ARGS_OPTIONS(struct verify_command, args),
	{"json", 0, OPT_FLAG, offsetof(struct verify_command, json), NULL,
	 "print the whole report as JSON"},
	{0},
};

static void verify_command_cleanup(struct verify_command *v)
{
	plan_args_cleanup(&v->args);
}

static int fail(const struct err *e)
{
	int code = command_failed(e);
	return code == EXIT_INTERRUPTED ? code : EXIT_VERIFY_INTERNAL;
}

static int run_verify(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	AUTO(verify_command)
	v = {.args = PLAN_ARGS_INIT, .options = {.progress = show_progress}};
	struct command_args args;
	int status = command_options(self, argc, argv, &v, &args);
	if (status >= 0)
		return status;
	struct err e = ERR_INIT;
	if (plan_args_read(cli, &v.args, &v.options.plan, &e) < 0)
		return fail(&e);
	v.options.plan.names = args.items;
	v.options.plan.names_len = args.len;
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	AUTO(bundle_use) use = {0};
	AUTO(verify_report) report = {0};
	if (v.bundle && bundle_use_prepare(cli, &v.args, &use, &e) < 0)
		return fail(&e);
	if (command_context_open(v.bundle ? &use.cli : cli, &c, &e) < 0 ||
	    (v.bundle && bundle_use_enter(&use, &c, v.bundle, &v.options.plan, &e) < 0))
		return fail(&e);
	if (v.bundle)
		c.dirs.oci = use.bundle.oci;
	if (verify_run(&c, &v.options, &report, &e) < 0)
		return fail(&e);
	AUTO(buf) out = BUF_INIT(256 * MIB);
	if (v.json) {
		verify_report_json(&report, &out);
		buf_add_byte(&out, '\n');
	}
	for (size_t i = 0; !v.json && i < report.images.len; i++)
		print_image(&report.images.items[i], &out);
	if (command_print_buf(&out, &e) < 0)
		return fail(&e);
	return verify_exit_code(&report);
}

const struct command command_verify = {
	.name = "verify",
	.summary =
		"Rebuilds images from their recipes and says whether the layout holds just that.",
	.options = options,
	.args = "[IMAGE]...",
	.help = "Every image (or each IMAGE named) is rebuilt twice in a fresh root with nothing\n"
		"cached, the second time under another host name, umask, locale, time zone, CPU set\n"
		"and store path. Both results are compared with each other and with the layout: index\n"
		"entry, manifest, config, layers, files. Stored inputs, cached layers and unpacked\n"
		"trees are hashed again.\n"
		"\n"
		"Exit status, the gravest of all images:\n"
		"  0  reproduced          every byte is the same\n"
		"  1  differs             unstable: the two rebuilds differ from each other;\n"
		"                         mismatch: they agree, but not with the layout;\n"
		"                         metadata-only: only fields of the config differ\n"
		"  2  usage or internal error, nothing was concluded\n"
		"  3  reproduced-content  same files and config, other compression or manifest bytes\n"
		"  4  cannot-rebuild      input-gone, build-failed, timeout, resource ...\n"
		"  6  tampered-input      an input, cached layer or tree is not what its hash says\n",
	.run = run_verify,
};
