/* stacker publish */
#include <stdio.h>
#include <string.h>

#include "build/publish.h"
#include "cli/command.h"
#include "cli/plan_args.h"
#include "util/limits.h"
#include "util/mem.h"

struct publish_command {
	struct plan_args args;
	const char *url;
	struct strvec tags, images, layer_types;
	const char *username, *password;
	bool skip_tls, show_only, force;
	struct buf out;
};

static void publish_command_cleanup(struct publish_command *p)
{
	plan_args_cleanup(&p->args);
	strvec_cleanup(&p->tags);
	strvec_cleanup(&p->images);
	strvec_cleanup(&p->layer_types);
	buf_cleanup(&p->out);
}

static const struct opt options[] = {
	PLAN_ARGS_FILE_OPTION(struct publish_command, args),
	PLAN_ARGS_SEARCH_OPTIONS(struct publish_command, args),
	{"url", 0, OPT_TEXT, offsetof(struct publish_command, url), "URL",
	 "where to: docker://HOST/PATH, for URL/NAME:TAG, or oci:DIRECTORY, for the tag NAME_TAG "
	 "there"},
	{"tag", 0, OPT_TEXTS, offsetof(struct publish_command, tags), "TAG",
	 "publish under this tag; may be repeated"},
	{"image", 0, OPT_TEXTS, offsetof(struct publish_command, images), "IMAGE",
	 "publish only this image; may be repeated"},
	{"layer-type", 0, OPT_TEXTS, offsetof(struct publish_command, layer_types),
	 "tar|squashfs|erofs",
	 "publish images of this layer type (default: tar); may be repeated. Other types than tar "
	 "are added to the tag"},
	{"show-only", 0, OPT_FLAG, offsetof(struct publish_command, show_only), NULL,
	 "say what would be published, and publish nothing"},
	{"force", 0, OPT_FLAG, offsetof(struct publish_command, force), NULL,
	 "publish what was built although the stackerfile says something else now"},
	{"skip-tls", 0, OPT_FLAG, offsetof(struct publish_command, skip_tls), NULL,
	 "check no certificates, and take plain http"},
	{"username", 0, OPT_TEXT, offsetof(struct publish_command, username), "NAME",
	 "log in so, instead of as auth.json says; needs --password"},
	{"password", 0, OPT_TEXT, offsetof(struct publish_command, password), "PASSWORD",
	 "for --username; every process of this machine can read it, auth.json keeps it private"},
	PLAN_ARGS_OPTIONS(struct publish_command, args),
	{0},
};

static void report(void *ctx, const struct publish_event *event)
{
	struct publish_command *p = ctx;
	char digest[DIGEST_TEXT_MAX];
	switch (event->step) {
	case PUBLISH_SKIPPED:
		log_note("will not publish: %s build_only %s", event->file, event->image);
		break;
	case PUBLISH_WOULD:
		log_note("would publish: %s %s to %s", event->file, event->image, event->dest);
		break;
	case PUBLISH_BEGUN:
		log_note("publishing %s %s to %s", event->file, event->image, event->dest);
		break;
	case PUBLISH_DONE:
		digest_format(event->digest, digest);
		buf_addf(&p->out, "%s %s\n", event->dest, digest);
		break;
	}
}

static int publish(const struct cli *cli, struct publish_command *p, struct err *e)
{
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	struct publish_options o = {
		.url = p->url,
		.tags = (const char *const *)p->tags.items,
		.tags_len = p->tags.len,
		.layer_types = (const char *const *)p->layer_types.items,
		.layer_types_len = p->layer_types.len,
		.show_only = p->show_only,
		.force = p->force,
		.insecure = p->skip_tls,
		.event = report,
		.ctx = p,
	};
	AUTO(credential) credential = {0};
	if (p->username) {
		credential.username = mem_strdup(p->username);
		credential.password = mem_strdup(p->password);
		o.credential = &credential;
	}
	if (plan_args_read(cli, &p->args, &o.plan, e) < 0)
		return -1;
	o.plan.names = (const char *const *)p->images.items;
	o.plan.names_len = p->images.len;
	if (command_store_open(cli, &c, e) < 0)
		return -1;
	int r = publish_run(&c, &o, e);
	struct err late = ERR_INIT;
	/* What was published before something failed is said in any case. */
	if (command_print_buf(&p->out, &late) < 0 && r == 0) {
		*e = late;
		return -1;
	}
	return r;
}

static int run_publish(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	AUTO(publish_command) p = {.args = PLAN_ARGS_INIT, .out = BUF_INIT(LIMIT_INDEX_BYTES)};
	int status = command_options(self, argc, argv, &p, NULL);
	if (status >= 0)
		return status;
	if (!p.url)
		return command_usage_error(self, "--url is needed");
	if (p.tags.len == 0)
		return command_usage_error(self, "at least one --tag is needed");
	if (!p.username != !p.password)
		return command_usage_error(self, "--username and --password go together");
	struct err e = ERR_INIT;
	return publish(cli, &p, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_publish = {
	.name = "publish",
	.summary = "Publishes built images to a registry or to another OCI layout.",
	.options = options,
	.help = "The images of the stackerfile, or of all found below --search-dir, but not of their\n"
		"prerequisites, go from the output layout to URL, byte for byte; what is build_only is\n"
		"left out. If one of them is not there, or is not what its stackerfile says now,\n"
		"nothing is published. For each, its place and digest go to standard output. Exit\n"
		"status: 0 published, 1 failed, 2 wrong usage.\n",
	.run = run_publish,
};
