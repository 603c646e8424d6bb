/* stacker gc: removes what no stackerfile and no image of the layout uses any more. */
#include <string.h>

#include "build/gc.h"
#include "cli/command.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

enum { OUT_BYTES = 64 * 1024 * 1024 };

struct gc_command {
	bool dry_run;
	uint64_t count[GC_KINDS];
	uint64_t bytes;
	struct buf out;
};

static void gc_command_cleanup(struct gc_command *g)
{
	buf_cleanup(&g->out);
}

static void removed(void *ctx, const struct gc_removed *r)
{
	struct gc_command *g = ctx;
	g->count[r->kind]++;
	g->bytes += r->bytes;
	if (!g->dry_run) {
		log_debug("removed %s", r->path);
		return;
	}
	AUTO_FREE char *path = str_printable(r->path, strlen(r->path));
	buf_addf(&g->out, "%s\n", path);
}

static int collect(const struct cli *cli, struct gc_command *g, struct err *e)
{
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	const struct gc_options options = {.dry_run = g->dry_run, .removed = removed, .ctx = g};
	char size[32];
	if (command_context_open(cli, &c, e) < 0 || build_context_be_alone(&c, e) < 0 ||
	    gc_run(&c, &options, e) < 0)
		return -1;
	num_format_size(g->bytes, size);
	buf_addf(&g->out, "%s %s: %ju blobs, %ju cache files, %ju trees, %ju records\n",
		 g->dry_run ? "would free" : "freed", size, (uintmax_t)g->count[GC_BLOB],
		 (uintmax_t)g->count[GC_ENTRY], (uintmax_t)g->count[GC_TREE],
		 (uintmax_t)g->count[GC_RECORD]);
	return command_print_buf(&g->out, e);
}

static const struct opt options_table[] = {
	{"dry-run", 0, OPT_FLAG, offsetof(struct gc_command, dry_run), NULL,
	 "say what would be removed, a path a line, and leave it"},
	{0},
};

static int run_gc(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	AUTO(gc_command) g = {.out = BUF_INIT(OUT_BYTES)};
	int status = command_options(self, argc, argv, &g, NULL);
	if (status >= 0)
		return status;
	struct err e = ERR_INIT;
	return collect(cli, &g, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_gc = {
	.name = "gc",
	.summary = "Removes what is no longer in use from store, cache and layer trees.",
	.options = options_table,
	.help = "In use is what was last built of every stackerfile that still exists, in any project\n"
		"that shares the state directory, and what the images of the output layout are made\n"
		"of: results, recipes, downloads, base images, logs and layer trees. Everything else\n"
		"goes; nothing that a build of an unchanged stackerfile would have to make or fetch\n"
		"again. While a build runs on the same directories it refuses to start. The size that\n"
		"is printed leaves out layer trees. Exit status: 0 done, 1 failed, 2 wrong usage.\n",
	.run = run_gc,
};
