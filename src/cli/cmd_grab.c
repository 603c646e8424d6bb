/* stacker grab: copies a file or a directory of a built image into the working directory. */
#include <string.h>

#include "build/grab.h"
#include "build/last.h"
#include "cli/command.h"
#include "util/mem.h"

struct grab_command {
	const char *file;
};

static const struct opt options[] = {
	{"stacker-file", 'f', OPT_TEXT, offsetof(struct grab_command, file), "FILE",
	 "the stackerfile whose image is meant (default: stacker.yaml)"},
	{0},
};

static int grab(const struct cli *cli, const struct grab_command *g, const char *what,
		const char *colon, struct err *e)
{
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	AUTO(image_result) image = {0};
	AUTO_FREE char *tag = mem_strndup(what, (size_t)(colon - what));
	AUTO_FREE char *name = NULL;
	if (command_context_open(cli, &c, e) < 0 ||
	    last_open_image(&c, g->file, tag, &image, &name, e) < 0)
		return -1;
	return grab_path(&c, &image.layers, colon + 1, e);
}

static int run_grab(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	struct grab_command g = {.file = "stacker.yaml"};
	struct command_args args;
	int status = command_options(self, argc, argv, &g, &args);
	if (status >= 0)
		return status;
	const char *colon = args.len == 1 ? strchr(args.items[0], ':') : NULL;
	if (!colon || colon == args.items[0] || colon[1] == '\0')
		return command_usage_error(self, "say what to copy as one IMAGE:PATH");
	struct err e = ERR_INIT;
	return grab(cli, &g, args.items[0], colon, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_grab = {
	.name = "grab",
	.summary = "Copies a file or directory of a built image into the working directory.",
	.options = options,
	.args = "IMAGE:PATH",
	.help = "IMAGE is a built image, also one that is build_only. What PATH names in it, links\n"
		"followed, appears here under its last component, whole or not at all. A file is\n"
		"replaced, a directory must not be there yet. Files belong to the caller, keep their\n"
		"permissions but for setuid and setgid bits, and are made now; devices, pipes and\n"
		"sockets are left out. Exit status: 0 copied, 1 failed, 2 wrong usage.\n",
	.run = run_grab,
};
