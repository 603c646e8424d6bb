/* stacker convert */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "recipe/convert.h"
#include "recipe/yaml_text.h"
#include "util/atomic_file.h"
#include "util/limits.h"
#include "util/path.h"
#include "util/str.h"

struct convert_command {
	const char *input, *output, *substitutions, *context, *name;
	struct strvec args;
	bool force;
};

static const struct opt options[] = {
	{"docker-file", 'i', OPT_TEXT, offsetof(struct convert_command, input), "FILE",
	 "the Dockerfile (default: Dockerfile)"},
	{"output-file", 'o', OPT_TEXT, offsetof(struct convert_command, output), "FILE",
	 "the stackerfile to write (default: stacker.yaml)"},
	{"substitute-file", 's', OPT_TEXT, offsetof(struct convert_command, substitutions),
	 "FILE", "where the values of ARGs go (default: stacker-subs.yaml)"},
	{"context", 0, OPT_TEXT, offsetof(struct convert_command, context), "DIR",
	 "where COPY takes files from (default: the Dockerfile's directory)"},
	{"name", 0, OPT_TEXT, offsetof(struct convert_command, name), "NAME",
	 "of the image, where the last stage has none (default: image)"},
	{"build-arg", 0, OPT_TEXTS, offsetof(struct convert_command, args), "NAME=VALUE",
	 "the value of an ARG, instead of its default; may be repeated"},
	{"force", 0, OPT_FLAG, offsetof(struct convert_command, force), NULL,
	 "overwrite the files to write"},
	{0},
};

/* The context, looked into only as far as the Dockerfile's COPYs lead. */
struct context {
	int fd;
	char *prefix;
	struct strvec outputs;
	char *ignore; /* NULL: no .dockerignore */
};

static void context_cleanup(struct context *c)
{
	mem_close_cleanup(&c->fd);
	free(c->prefix);
	strvec_cleanup(&c->outputs);
	free(c->ignore);
}

static enum convert_kind context_kind(void *ctx, const char *path)
{
	const struct context *c = ctx;
	struct stat st;

	if (fstatat(c->fd, path[0] ? path : ".", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return CONVERT_ABSENT;
	return S_ISDIR(st.st_mode) ? CONVERT_DIR : CONVERT_FILE;
}

static int context_list(void *ctx, const char *path, struct strvec *ret, struct err *e)
{
	const struct context *c = ctx;
	AUTO_CLOSE int fd = openat(c->fd, path[0] ? path : ".",
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return err_sys(e, "cannot read directory '%s' of the build context", path);
	(void)TAKE_FD(fd);
	errno = 0;
	for (struct dirent *d; (d = readdir(dir));) {
		if (!str_same(d->d_name, ".") && !str_same(d->d_name, ".."))
			strvec_push(ret, d->d_name);
	}
	int failed = errno;

	closedir(dir);
	if (failed != 0) {
		errno = failed;
		return err_sys(e, "cannot read directory '%s' of the build context", path);
	}
	if (ret->len > 1)
		qsort(ret->items, ret->len, sizeof(*ret->items), str_compare_ptr);
	return 0;
}

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return mem_strdup(".");
	return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

/* Without links, so that ".." means what it says. */
static int absolute(const char *path, char **ret, struct err *e)
{
	*ret = realpath(path, NULL);
	return *ret ? 0 : err_sys(e, "cannot find directory '%s'", path);
}

/* The way from one absolute directory to another: "" or ending in "/". */
static char *relative_path(const char *from, const char *to)
{
	AUTO(buf) b = BUF_INIT((size_t)LIMIT_PATH_BYTES * 4);
	size_t common = 0;

	for (size_t i = 0;; i++) {
		bool from_ends = from[i] == '/' || from[i] == '\0';
		bool to_ends = to[i] == '/' || to[i] == '\0';

		if (from_ends && to_ends)
			common = i;
		if (from[i] != to[i] || from[i] == '\0')
			break;
	}
	for (const char *at = from + common; *at; at++)
		buf_add_c(&b, *at == '/' && at[1] ? "../" : "");
	const char *rest = to + common + (to[common] == '/');

	buf_addf(&b, "%s%s", rest, rest[0] ? "/" : "");
	return buf_take(&b);
}

/* What stacker writes must not come into an image, or each build would be another one. */
static void exclude_outputs(const struct cli *cli, const struct convert_command *o,
			    struct context *c)
{
	const char *const names[] = {o->output,	      o->substitutions, cli->dirs.state,
				     cli->dirs.roots, cli->dirs.oci,	"stacker.lock"};

	if (c->prefix[0] != '\0')
		return;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *base = path_base(names[i]);

		strvec_push(&c->outputs, base);
	}
}

/* Docker looks for Dockerfile.dockerignore first. */
static int read_ignore(const struct convert_command *o, struct context *c, struct err *e)
{
	AUTO_FREE char *own = mem_printf("%s.dockerignore", o->input);
	AUTO(buf) text = BUF_INIT(LIMIT_DOCKERFILE_BYTES);

	if (faccessat(AT_FDCWD, own, F_OK, 0) == 0) {
		if (path_read_file(AT_FDCWD, own, &text, e) != 0)
			return -1;
	} else if (faccessat(c->fd, ".dockerignore", F_OK, 0) == 0) {
		if (path_read_file(c->fd, ".dockerignore", &text, e) != 0)
			return -1;
	} else {
		return 0;
	}
	if (!str_is_utf8(buf_text(&text), text.len) || memchr(buf_text(&text), '\0', text.len))
		return err_set(e, ERR_INPUT, "convert/ignore-encoding",
			       ".dockerignore is not UTF-8 text");
	c->ignore = buf_take(&text);
	return 0;
}

static int open_context(const struct cli *cli, const struct convert_command *o,
			struct context *c, struct err *e)
{
	AUTO_FREE char *input_dir = parent_of(o->input);
	AUTO_FREE char *output_dir = parent_of(o->output);
	AUTO_FREE char *from = NULL;
	AUTO_FREE char *to = NULL;

	if (absolute(output_dir, &from, e) != 0 ||
	    absolute(o->context ? o->context : input_dir, &to, e) != 0)
		return -1;
	c->prefix = relative_path(from, to);
	exclude_outputs(cli, o, c);
	if (path_open_dir(AT_FDCWD, to, &c->fd, e) != 0)
		return -1;
	return read_ignore(o, c, e);
}

static void convert_command_cleanup(struct convert_command *o)
{
	strvec_cleanup(&o->args);
}

static int read_args(const struct convert_command *o, struct map *ret, struct err *e)
{
	for (size_t i = 0; i < o->args.len; i++) {
		const char *pair = o->args.items[i];
		const char *equals = strchr(pair, '=');

		if (!equals || equals == pair ||
		    yaml_text_check(pair, strlen(pair), "", NULL) != 0) {
			AUTO_FREE char *shown = str_printable(pair, strlen(pair));

			return err_set(e, ERR_USAGE, "convert/bad-argument",
				       "'%s' is not NAME=VALUE", shown);
		}
		AUTO_FREE char *name = mem_strndup(pair, (size_t)(equals - pair));

		map_set_text(ret, name, equals + 1);
	}
	return 0;
}

static int convert(const struct convert_command *o, struct context *context,
		   struct convert_result *ret, struct err *e)
{
	AUTO(map) args = MAP_INIT(free);
	const struct convert_files files = {context, context_kind, context_list};
	const struct convert_options c = {.file = o->input,
					  .prefix = context->prefix,
					  .name = o->name,
					  .args = &args,
					  .ignore = context->ignore,
					  .files = &files,
					  .outputs = &context->outputs};
	AUTO(buf) text = BUF_INIT(LIMIT_DOCKERFILE_BYTES);
	AUTO(dockerfile) d = {0};

	if (read_args(o, &args, e) != 0 || path_read_file(AT_FDCWD, o->input, &text, e) != 0 ||
	    dockerfile_parse(buf_text(&text), text.len, o->input, &d, e) != 0)
		return -1;
	return convert_dockerfile(&d, &c, ret, e);
}

static int refuse_existing(const struct convert_command *o, struct err *e)
{
	const char *const paths[] = {o->output, o->substitutions};

	for (size_t i = 0; i < ARRAY_LEN(paths) && !o->force; i++) {
		if (faccessat(AT_FDCWD, paths[i], F_OK, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		err_set(e, ERR_USAGE, "convert/exists", "'%s' exists", paths[i]);
		return err_hint(e, "write to another file, or add '--force'");
	}
	return 0;
}

static int write_file(const char *path, const struct buf *b, struct err *e)
{
	AUTO_FREE char *dir = parent_of(path);
	AUTO_FREE char *base = path_base(path);
	AUTO_CLOSE int fd = -1;

	if (path_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	return atomic_file_write(fd, base, 0644, buf_text(b), b->len, e);
}

static int run_convert(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	AUTO(convert_command)
	o = {.input = "Dockerfile",
	     .output = "stacker.yaml",
	     .substitutions = "stacker-subs.yaml",
	     .name = "image"};
	AUTO(context) context = {.fd = -1};
	AUTO(convert_result) result = {0};
	struct err e = ERR_INIT;
	int status = command_options(self, argc, argv, &o, NULL);

	if (status >= 0)
		return status;
	if (refuse_existing(&o, &e) != 0 || open_context(cli, &o, &context, &e) != 0 ||
	    convert(&o, &context, &result, &e) != 0 ||
	    write_file(o.substitutions, &result.substitutions, &e) != 0 ||
	    write_file(o.output, &result.stackerfile, &e) != 0)
		return command_failed(&e);
	log_note("wrote '%s' and '%s'; %zu comment%s on what was not wholly converted",
		 o.output, o.substitutions, result.comments, result.comments == 1 ? "" : "s");
	return EXIT_OK;
}

const struct command command_convert = {
	.name = "convert",
	.summary = "Turns a Dockerfile into a stackerfile.",
	.options = options,
	.help = "Every instruction is converted, or leaves a comment that says why not and what to\n"
		"do. ARGs become substitutions. Files that COPY names are looked up in the context,\n"
		"but not read; .dockerignore counts. Then let 'stacker lint' and 'stacker lock' say\n"
		"what still needs a pin.\n"
		"\n"
		"Exit status: 0 converted, 1 failed and nothing written, 2 wrong usage.\n",
	.run = run_convert,
};
