/*
 * Loading is a worklist, so no chain of prerequisites is too long for the stack and a cycle of
 * them merely finds its files read already; sorting then says which files are left over.
 */
#include "build/project.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "recipe/pin.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

enum { CYCLE_SHOWN_MAX = 16, CYCLE_TEXT_MAX = 768 };

struct index_vec VEC_OF(size_t);

static void project_file_cleanup(struct project_file *f)
{
	stackerfile_cleanup(&f->stackerfile);
	free(f->path);
	free(f->absolute);
	free(f->lock_path);
	lockfile_cleanup(&f->lock);
	mem_close_cleanup(&f->dir_fd);
	vec_free(&f->needs);
}

void project_cleanup(struct project *p)
{
	for (size_t i = 0; i < p->files.len; i++)
		project_file_cleanup(&p->files.items[i]);
	vec_free(&p->files);
}

/* "a/b.yaml" -> "a", "b.yaml" -> ".", "/b.yaml" -> "/". */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return mem_strdup(".");
	return mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int project_absolute(const char *path, char **ret, struct err *e)
{
	AUTO_FREE char *dir = directory_of(path);
	AUTO_FREE char *base = path_base(path);
	AUTO_FREE char *real = realpath(dir, NULL);

	if (!real)
		return err_sys(e, "cannot resolve '%s'", dir);
	*ret = path_join(real, base);
	return 0;
}

/* Opens the directory of `f->path` and settles which file it is. */
static int locate(struct project_file *f, struct err *e)
{
	AUTO_FREE char *dir = directory_of(f->path);

	if (path_open_dir(AT_FDCWD, dir, &f->dir_fd, e) < 0)
		return -1;
	return project_absolute(f->path, &f->absolute, e);
}

char *project_lock_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *dot = strrchr(slash ? slash : path, '.');
	size_t stem = dot ? (size_t)(dot - path) : strlen(path);

	return mem_printf("%.*s.lock", (int)stem, path);
}

/* None is no error. */
static int read_lock(struct project_file *f, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	struct err why = ERR_INIT;

	f->lock_path = project_lock_path(f->path);
	if (path_read_file(AT_FDCWD, f->lock_path, &text, &why) < 0) {
		if (why.saved_errno == ENOENT)
			return 0;
		*e = why;
		return -1;
	}
	f->has_lock = true;
	return lockfile_parse(buf_text(&text), text.len, f->lock_path, &f->lock, e);
}

static int parse(struct project_file *f, const struct project_options *options, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_STACKERFILE_BYTES);

	if (path_read_file(AT_FDCWD, f->path, &text, e) < 0)
		return -1;
	if (read_lock(f, e) < 0)
		return -1;
	const struct stackerfile_source source = {.text = buf_text(&text),
						  .len = text.len,
						  .file = f->path,
						  .default_arch = options->default_arch,
						  .substitutions = options->substitutions};
	return stackerfile_read(&source, &f->stackerfile, e);
}

static size_t find(const struct project *p, const char *absolute)
{
	size_t i = 0;

	while (i < p->files.len && !str_same(p->files.items[i].absolute, absolute))
		i++;
	return i;
}

/* Reads the file at `path` unless it was read before; *ret is its index. */
static int load(struct project *p, const char *path, const struct project_options *options,
		size_t *ret, struct err *e)
{
	AUTO(project_file) f = {.path = path_clean(path), .dir_fd = -1};

	if (locate(&f, e) < 0)
		return -1;
	*ret = find(p, f.absolute);
	if (*ret < p->files.len)
		return 0;
	if (p->files.len == LIMIT_STACKERFILES)
		return err_set(e, ERR_RECIPE, "recipe/too-big",
			       "more than %d stackerfiles in one build", LIMIT_STACKERFILES);
	if (parse(&f, options, e) < 0)
		return -1;
	vec_push(&p->files, f);
	f = (struct project_file){.dir_fd = -1};
	return 0;
}

static int load_asked(struct project *p, const struct project_options *options, struct err *e)
{
	for (size_t i = 0; i < options->files_len; i++) {
		size_t index;

		if (strstr(options->files[i], "://")) {
			err_set(e, ERR_USAGE, "build/remote-stackerfile",
				"'%s' is not a file: a stackerfile from the network is not "
				"pinned",
				options->files[i]);
			return err_hint(e, "download it first");
		}
		if (load(p, options->files[i], options, &index, e) == 0) {
			p->files.items[index].is_asked_for = true;
			continue;
		}
		if (e->saved_errno)
			err_hint(e,
				 "give the stackerfile with -f; the default is stacker.yaml");
		return -1;
	}
	return 0;
}

static void add_need(struct project_file *f, size_t index, struct pos pos)
{
	for (size_t i = 0; i < f->needs.len; i++)
		if (f->needs.items[i].file == index)
			return;
	const struct project_need need = {.file = index, .pos = pos};
	vec_push(&f->needs, need);
}

/* Files are found as the loop goes on; loading may move them, so they go by index. */
static int load_prerequisites(struct project *p, const struct project_options *options,
			      struct err *e)
{
	for (size_t i = 0; i < p->files.len; i++) {
		AUTO_FREE char *dir = directory_of(p->files.items[i].path);

		for (size_t k = 0; k < p->files.items[i].stackerfile.prerequisites.len; k++) {
			const struct recipe_prerequisite *wanted =
				&p->files.items[i].stackerfile.prerequisites.items[k];
			struct pos pos = wanted->pos;
			AUTO_FREE char *path = path_join(dir, wanted->path);
			size_t index;

			if (load(p, path, options, &index, e) < 0)
				return err_locate(e, &pos);
			add_need(&p->files.items[i], index, pos);
		}
	}
	return 0;
}

struct by_path {
	const char *absolute;
	size_t index;
};

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct by_path *)a)->absolute,
		      ((const struct by_path *)b)->absolute);
}

static bool needs(const struct project_file *f, size_t index)
{
	for (size_t i = 0; i < f->needs.len; i++)
		if (f->needs.items[i].file == index)
			return true;
	return false;
}

/* Any file left over waits for another one left over, so following them must come round. */
static int refuse_cycle(const struct project *p, const size_t *missing, struct err *e)
{
	AUTO_FREE bool *seen = mem_zalloc(p->files.len, sizeof(*seen));
	AUTO(buf) way = BUF_INIT(CYCLE_TEXT_MAX);
	const struct project_file *files = p->files.items;
	AUTO_FREE size_t *next = mem_zalloc(p->files.len, sizeof(*next)); /* of needs */
	size_t at = 0, shown = 0;

	for (size_t i = 0; i < p->files.len; i++)
		while (missing[i] > 0 && missing[files[i].needs.items[next[i]].file] == 0)
			next[i]++;
	while (missing[at] == 0)
		at++;
	for (; !seen[at]; at = files[at].needs.items[next[at]].file)
		seen[at] = true;
	size_t start = at;
	buf_add_c(&way, files[start].path);
	do {
		at = files[at].needs.items[next[at]].file;
		if (++shown < CYCLE_SHOWN_MAX || at == start)
			buf_addf(&way, " -> %s", files[at].path);
		else if (shown == CYCLE_SHOWN_MAX)
			buf_add_c(&way, " -> ...");
	} while (at != start);
	err_at(e, &files[start].needs.items[next[start]].pos, "recipe/prerequisite-cycle",
	       "prerequisites need each other: %s%s", buf_text(&way),
	       way.overflowed ? "..." : "");
	return err_hint(e, "move what the files share into a file of its own");
}

/* Moves the files into the order of `queue`. */
static void reorder(struct project *p, const struct index_vec *queue)
{
	AUTO_FREE struct project_file *sorted = mem_zalloc(p->files.len, sizeof(*sorted));
	AUTO_FREE size_t *place = mem_zalloc(p->files.len, sizeof(*place));

	for (size_t i = 0; i < queue->len; i++) {
		sorted[i] = p->files.items[queue->items[i]];
		place[queue->items[i]] = i;
	}
	for (size_t i = 0; i < queue->len; i++)
		for (size_t k = 0; k < sorted[i].needs.len; k++)
			sorted[i].needs.items[k].file = place[sorted[i].needs.items[k].file];
	memcpy(p->files.items, sorted, p->files.len * sizeof(*sorted));
}

/* As upstream: files without prerequisites in the order of their paths, then each as soon as
 * the last of its prerequisites is done. */
static int sort_files(struct project *p, struct err *e)
{
	size_t len = p->files.len;
	AUTO_FREE struct by_path *paths = mem_zalloc(len, sizeof(*paths));
	AUTO_FREE size_t *missing = mem_zalloc(len, sizeof(*missing));
	struct index_vec queue = {0};

	for (size_t i = 0; i < len; i++) {
		paths[i] = (struct by_path){p->files.items[i].absolute, i};
		missing[i] = p->files.items[i].needs.len;
	}
	qsort(paths, len, sizeof(*paths), compare_paths);
	for (size_t i = 0; i < len; i++)
		if (missing[paths[i].index] == 0)
			vec_push(&queue, paths[i].index);
	for (size_t done = 0; done < queue.len; done++) {
		for (size_t i = 0; i < len; i++) {
			size_t waiting = paths[i].index;

			if (needs(&p->files.items[waiting], queue.items[done]) &&
			    --missing[waiting] == 0)
				vec_push(&queue, waiting);
		}
	}
	int rc = 0;
	if (queue.len < len)
		rc = refuse_cycle(p, missing, e);
	else
		reorder(p, &queue);
	vec_free(&queue);
	return rc;
}

/* Names are unique in the whole project, since each becomes a tag of one layout. */
static int check_names(const struct project *p, struct err *e)
{
	AUTO(map) names = MAP_INIT(NULL);

	for (size_t i = 0; i < p->files.len; i++) {
		const struct recipe_image_vec *images = &p->files.items[i].stackerfile.images;

		for (size_t k = 0; k < images->len; k++) {
			struct recipe_image *image = &images->items[k];

			if (names.len == LIMIT_IMAGES)
				return err_at(e, &image->pos, "recipe/too-big",
					      "more than %d images in one build", LIMIT_IMAGES);
			if (map_add(&names, image->name, image))
				continue;
			const struct recipe_image *first = map_get(&names, image->name);
			err_at(e, &image->pos, "recipe/duplicate-name",
			       "duplicate layer name: '%s' is an image of '%s', too",
			       image->name, first->pos.file);
			return err_hint(e, "rename one of them");
		}
	}
	return 0;
}

/* Marks what `index` needs, directly or through others; they all come before it. */
static void mark_needed(const struct project *p, size_t index, bool *needed)
{
	memset(needed, 0, p->files.len * sizeof(*needed));
	needed[index] = true;
	for (size_t i = index + 1; i-- > 0;)
		for (size_t k = 0; needed[i] && k < p->files.items[i].needs.len; k++)
			needed[p->files.items[i].needs.items[k].file] = true;
	needed[index] = false;
}

static int order_images_of(struct project *p, size_t index, struct err *e)
{
	AUTO(map) elsewhere = MAP_INIT(NULL);
	AUTO_FREE bool *needed = mem_zalloc(p->files.len, sizeof(*needed));

	mark_needed(p, index, needed);
	for (size_t i = 0; i < index; i++) {
		const struct recipe_image_vec *images = &p->files.items[i].stackerfile.images;

		for (size_t k = 0; needed[i] && k < images->len; k++)
			map_set(&elsewhere, images->items[k].name, images->items[k].name);
	}
	return stackerfile_order(&p->files.items[index].stackerfile, &elsewhere, e);
}

/* The lock of the first file asked for that needs `index`, if that one has a lock. */
static const struct lockfile *fallback_of(const struct project *p, size_t index)
{
	AUTO_FREE bool *needed = mem_zalloc(p->files.len, sizeof(*needed));

	for (size_t i = index + 1; i < p->files.len; i++) {
		const struct project_file *f = &p->files.items[i];

		if (!f->is_asked_for || !f->has_lock)
			continue;
		mark_needed(p, i, needed);
		if (needed[index])
			return &f->lock;
	}
	return NULL;
}

static int settle_pins(struct project *p, struct err *e)
{
	AUTO(map) used = MAP_INIT(NULL);

	for (size_t i = 0; i < p->files.len; i++)
		pin_add_used(&p->files.items[i].stackerfile, &used);
	for (size_t i = 0; i < p->files.len; i++) {
		struct project_file *f = &p->files.items[i];
		struct stackerfile *s = &f->stackerfile;
		const struct pin_locks locks = {.own = f->has_lock ? &f->lock : NULL,
						.fallback = fallback_of(p, i),
						.used = &used};
		const struct lockfile *dated = locks.own ? locks.own : locks.fallback;

		if (pin_settle_all(s, &locks, e) < 0)
			return -1;
		if (!s->has_epoch && dated)
			s->source_date_epoch = dated->source_date_epoch;
	}
	return 0;
}

int project_read(const struct project_options *options, struct project *ret, struct err *e)
{
	AUTO(project) p = {0};

	if (load_asked(&p, options, e) < 0 || load_prerequisites(&p, options, e) < 0 ||
	    sort_files(&p, e) < 0 || check_names(&p, e) < 0 ||
	    (!options->leave_unpinned && settle_pins(&p, e) < 0))
		return -1;
	for (size_t i = 0; i < p.files.len; i++)
		if (order_images_of(&p, i, e) < 0)
			return -1;
	*ret = p;
	p = (struct project){0};
	return 0;
}
