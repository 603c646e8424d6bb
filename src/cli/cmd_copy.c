/* stacker copy */
#include <stdio.h>
#include <string.h>

#include "build/copy.h"
#include "cli/command.h"
#include "util/mem.h"
#include "util/str.h"

struct copy_command {
	const char *platform;
	bool insecure, src_insecure, dst_insecure;
	bool referrers;
};

static const struct opt options[] = {
	{"platform", 0, OPT_TEXT, offsetof(struct copy_command, platform), "OS/ARCH[/VARIANT]",
	 "of an index, copy the image for this platform only"},
	{"referrers", 0, OPT_FLAG, offsetof(struct copy_command, referrers), NULL,
	 "also copy what refers to it, such as signatures and attestations"},
	{"insecure", 0, OPT_FLAG, offsetof(struct copy_command, insecure), NULL,
	 "check no certificates, and take plain http; then no password is sent but to this machine"},
	{"src-insecure", 0, OPT_FLAG, offsetof(struct copy_command, src_insecure), NULL,
	 "likewise, for the source only"},
	{"dst-insecure", 0, OPT_FLAG, offsetof(struct copy_command, dst_insecure), NULL,
	 "likewise, for the destination only"},
	{0},
};

struct platform_text {
	char *text; /* cut into its parts */
	struct remote_platform parts;
};

static void platform_text_cleanup(struct platform_text *p)
{
	mem_free_cleanup(&p->text);
}

static bool split_platform(const char *text, struct platform_text *ret)
{
	ret->text = mem_strdup(text);
	char *arch = strchr(ret->text, '/');
	if (!arch || arch == ret->text || !arch[1])
		return false;
	*arch++ = '\0';
	char *variant = strchr(arch, '/');
	if (variant)
		*variant++ = '\0';
	ret->parts = (struct remote_platform){ret->text, arch, variant};
	return *arch && (!variant || (*variant && !strchr(variant, '/')));
}

static int report(const struct copy_report *r, struct err *e)
{
	char text[DIGEST_TEXT_MAX + 1];
	digest_format(&r->digest, text);
	log_note("copied %s: %zu blobs sent, %zu were there, %zu referrers", text,
		 r->pushed.pushed, r->pushed.present + r->pushed.mounted, r->referrers);
	size_t len = strlen(text);
	text[len] = '\n';
	return command_print(text, len + 1, e);
}

static int run_copy(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	struct copy_command c = {0};
	AUTO(platform_text) platform = {0};
	struct command_args args;
	int status = command_options(self, argc, argv, &c, &args);
	if (status >= 0)
		return status;
	if (args.len != 2)
		return command_usage_error(self, "a source and a destination are needed");
	if (c.platform && !split_platform(c.platform, &platform))
		return command_usage_error(self, "'%s' is not OS/ARCH[/VARIANT]", c.platform);
	const struct copy_options copy = {
		.from = args.items[0],
		.to = args.items[1],
		.from_insecure = c.insecure || c.src_insecure,
		.to_insecure = c.insecure || c.dst_insecure,
		.platform = c.platform ? &platform.parts : NULL,
		.referrers = c.referrers,
	};
	struct copy_report done = {0};
	struct err e = ERR_INIT;
	AUTO(build_context) context = BUILD_CONTEXT_INIT;
	if (command_store_open(cli, &context, &e) < 0)
		return command_failed(&e);
	if (copy_image(&context, &copy, &done, &e) < 0 || report(&done, &e) < 0)
		return command_failed(&e);
	return EXIT_OK;
}

const struct command command_copy = {
	.name = "copy",
	.summary = "Copies an image between registries and OCI layouts, byte for byte.",
	.options = options,
	.args = "SRC DST",
	.help = "SRC and DST are docker://HOST[:PORT]/REPOSITORY[:TAG], SRC also with @sha256:HEX, or\n"
		"oci:PATH:TAG. An index is copied with all its images unless --platform is given.\n"
		"Blobs that DST has are not transferred, so a copy that was cut off goes on where it\n"
		"was. Credentials come from $REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json\n"
		"or ~/.docker/config.json. On success the digest goes to standard output. Exit status:\n"
		"0 copied, 1 failed, 2 wrong usage.\n",
	.run = run_copy,
};
