/*
 * One entry a URL, however often the stackerfiles name it. What has a hash of its own there is
 * fetched by it, for its size; what has none is believed to be what the server serves now.
 */
#include "build/pinning.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "build/remote.h"
#include "recipe/pin.h"
#include "recipe/pin_write.h"
#include "util/atomic_file.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

struct entry {
	const char *url;		/* borrowed from the project */
	struct digest hash;		/* the stackerfile's, or alg NONE */
	const struct lockfile_pin *old; /* or NULL */
	struct pos pos;
	bool is_named; /* by options->names */
	bool is_image; /* in a registry */
	bool is_insecure;
	bool look_up;
	struct lockfile_pin found; /* if look_up; borrows `url` */
};

struct work {
	const struct pinning_options *options;
	struct pinning *pinning;
	struct VEC_OF(struct entry) entries;
	struct map by_url; /* URL -> index + 1, as a number in an allocation */
};

static void work_cleanup(struct work *w)
{
	vec_free(&w->entries);
	map_cleanup(&w->by_url);
}

void pinning_cleanup(struct pinning *p)
{
	project_cleanup(&p->project);
	lockfile_cleanup(&p->lock);
}

static const struct project_file *target_of(const struct pinning *p)
{
	return &p->project.files.items[p->target];
}

const struct lockfile *pinning_before(const struct pinning *p)
{
	return &target_of(p)->lock;
}

static int two_hashes(const struct pin_site *site, const struct entry *first, struct err *e)
{
	err_at(e, &site->pos, "lock/two-hashes",
	       "'%s' has another hash here than in line %u of '%s'", site->url, first->pos.line,
	       first->pos.file);
	return err_hint(e, "one of the two must be wrong");
}

static int add_site(struct work *w, const struct recipe_image *image,
		    const struct pin_site *site, struct err *e)
{
	bool is_named = false;
	for (size_t i = 0; i < w->options->names_len; i++)
		is_named |= str_same(w->options->names[i], site->url) ||
			    str_same(w->options->names[i], image->name);
	size_t *index = map_get(&w->by_url, site->url);
	if (!index) {
		index = mem_alloc(sizeof(*index));
		*index = w->entries.len;
		map_add(&w->by_url, site->url, index);
		vec_push(&w->entries,
			 ((struct entry){
				 .url = site->url,
				 .old = lockfile_find(pinning_before(w->pinning), site->url),
				 .is_image = site->hash == &image->from_digest,
				 .is_insecure = image->from_insecure,
				 .pos = site->pos}));
	}
	struct entry *entry = &w->entries.items[*index];
	entry->is_named |= is_named;
	if (site->hash->alg == DIGEST_NONE)
		return 0;
	if (entry->hash.alg != DIGEST_NONE && !digest_eq(&entry->hash, site->hash))
		return two_hashes(site, entry, e);
	entry->hash = *site->hash;
	return 0;
}

static int add_file(struct work *w, struct project_file *f, bool is_target, struct err *e)
{
	for (size_t i = 0; i < f->stackerfile.images.len; i++) {
		struct recipe_image *image = &f->stackerfile.images.items[i];
		struct pin_site site;
		for (size_t k = 0; pin_site(image, k, &site); k++) {
			if (!is_target && f->has_lock && lockfile_find(&f->lock, site.url))
				continue; /* pinned where it belongs */
			if (add_site(w, image, &site, e) < 0)
				return -1;
		}
	}
	return 0;
}

static int collect(struct work *w, struct err *e)
{
	struct project_files *files = &w->pinning->project.files;
	for (size_t i = 0; i < files->len; i++)
		if (add_file(w, &files->items[i], i == w->pinning->target, e) < 0)
			return -1;
	return 0;
}

static bool is_image(const struct project *p, const char *name)
{
	for (size_t i = 0; i < p->files.len; i++)
		if (stackerfile_find(&p->files.items[i].stackerfile, name))
			return true;
	return false;
}

static int check_names(const struct work *w, struct err *e)
{
	for (size_t i = 0; i < w->options->names_len; i++) {
		const char *name = w->options->names[i];
		if (map_get(&w->by_url, name) || is_image(&w->pinning->project, name))
			continue;
		err_set(e, ERR_USAGE, "lock/no-such-name",
			"'%s' is neither an image nor a URL of '%s'", name,
			target_of(w->pinning)->path);
		return err_hint(e, "write a URL as the stackerfile has it");
	}
	return 0;
}

/* Whether it is to be looked up; what is not must agree with the lock as it is. */
static int decide(const struct work *w, struct entry *entry, struct map *used, struct err *e)
{
	const struct pinning_options *o = w->options;
	bool is_moving = entry->hash.alg == DIGEST_NONE;
	if (o->update && (entry->is_named || o->names_len == 0)) {
		entry->look_up = true;
		return 0;
	}
	if (!is_moving) {
		const struct pin_site site = {
			.url = entry->url, .hash = &entry->hash, .pos = entry->pos};
		const struct pin_locks locks = {.own = pinning_before(w->pinning),
						.used = used};
		if (pin_settle(&site, &locks, e) < 0)
			return -1;
	}
	entry->look_up = !entry->old || (o->check && is_moving);
	return 0;
}

static int decide_all(struct work *w, struct err *e)
{
	AUTO(map) used = MAP_INIT(NULL);
	for (size_t i = 0; i < w->entries.len; i++)
		map_set(&used, w->entries.items[i].url, w);
	for (size_t i = 0; i < w->entries.len; i++)
		if (decide(w, &w->entries.items[i], &used, e) < 0)
			return -1;
	return 0;
}

/* Files to look up, as pins; `urls` has the mirrors of each first. */
struct batch {
	struct VEC_OF(struct pin) pins;
	struct VEC_OF(struct strvec) urls;
};

static void batch_cleanup(struct batch *b)
{
	for (size_t i = 0; i < b->urls.len; i++)
		strvec_cleanup(&b->urls.items[i]);
	vec_free(&b->urls);
	vec_free(&b->pins);
}

static bool is_to_fetch(const struct entry *entry, bool is_pinned)
{
	return entry->look_up && !entry->is_image &&
	       (entry->hash.alg != DIGEST_NONE) == is_pinned;
}

static void make_batch(const struct build_context *c, const struct work *w, bool is_pinned,
		       struct batch *ret)
{
	for (size_t i = 0; i < w->entries.len; i++) {
		const struct entry *entry = &w->entries.items[i];
		struct strvec urls = {0};
		if (!is_to_fetch(entry, is_pinned))
			continue;
		sources_expand(c->sources, entry->url, &urls);
		vec_push(&ret->urls, urls);
		const struct pin pin = {.urls = (const char *const *)urls.items,
					.urls_len = urls.len,
					.hash = entry->hash,
					.size = -1,
					.pos = entry->pos};
		vec_push(&ret->pins, pin);
	}
}

static int fetch_pinned(struct build_context *c, struct work *w, struct err *e)
{
	AUTO(batch) b = {0};
	make_batch(c, w, true, &b);
	int rc = fetch_pins(&c->store, b.pins.items, b.pins.len, &c->fetch, e);
	for (size_t i = 0; rc == 0 && i < w->entries.len; i++) {
		struct entry *entry = &w->entries.items[i];
		uint64_t len;
		if (!is_to_fetch(entry, true))
			continue;
		if (!store_blob_stat(&c->store, &entry->hash, &len))
			return err_set(e, ERR_SYSTEM, "lock/blob-vanished",
				       "'%s' was fetched, but is not in the store", entry->url);
		entry->found.hash = entry->hash;
		entry->found.size = (int64_t)len;
	}
	return rc;
}

static int fetch_moving(struct build_context *c, struct work *w, struct err *e)
{
	AUTO(batch) b = {0};
	make_batch(c, w, false, &b);
	AUTO_FREE struct fetch_found *found = mem_zalloc(b.pins.len + 1, sizeof(*found));
	int rc = fetch_unpinned(&c->store, b.pins.items, b.pins.len, &c->fetch, found, e);
	size_t n = 0;
	for (size_t i = 0; rc == 0 && i < w->entries.len; i++) {
		struct entry *entry = &w->entries.items[i];
		if (!is_to_fetch(entry, false))
			continue;
		entry->found.hash = found[n].hash;
		entry->found.size = (int64_t)found[n++].len;
	}
	return rc;
}

/* What the registry, or a mirror of it, has under the tag now; or under the digest beside it. */
static int resolve_at(struct build_context *c, struct entry *entry, const char *url,
		      struct err *e)
{
	AUTO(reference) where = {0};
	AUTO(descriptor) found = {0};
	struct registry *r __attribute__((cleanup(registry_close_cleanup))) = NULL;
	char digest[DIGEST_TEXT_MAX];
	bool is_pinned = entry->hash.alg != DIGEST_NONE;
	if (remote_open(c, url, entry->is_insecure, &where, &r, e) < 0)
		return -1;
	digest_format(&entry->hash, digest);
	if (remote_resolve(r, is_pinned ? digest : where.tag, &found, e) < 0)
		return -1;
	entry->found.hash = found.digest;
	entry->found.size = (int64_t)found.size;
	return 0;
}

static int resolve_image(struct build_context *c, struct entry *entry, struct err *e)
{
	AUTO(strvec) urls = {0};
	sources_expand(c->sources, entry->url, &urls);
	for (size_t i = 0; i < urls.len; i++) {
		if (resolve_at(c, entry, urls.items[i], e) == 0)
			return 0;
		if (e->code == ERR_INTERRUPTED || i + 1 == urls.len)
			return err_locate(e, &entry->pos);
		log_note("%s; trying '%s'", e->message, urls.items[i + 1]);
	}
	BUG_IF(true);
}

static int resolve_images(struct build_context *c, struct work *w, struct err *e)
{
	for (size_t i = 0; i < w->entries.len; i++) {
		struct entry *entry = &w->entries.items[i];
		if (entry->look_up && entry->is_image && resolve_image(c, entry, e) < 0)
			return -1;
	}
	return 0;
}

static void compose(struct work *w)
{
	struct lockfile *lock = &w->pinning->lock;
	for (size_t i = 0; i < w->entries.len; i++) {
		const struct entry *entry = &w->entries.items[i];
		struct lockfile_pin pin = entry->look_up ? entry->found : *entry->old;
		bool is_same = entry->look_up && entry->old &&
			       digest_eq(&pin.hash, &entry->old->hash) &&
			       pin.size == entry->old->size;
		if (entry->look_up)
			pin.locked_s = is_same ? entry->old->locked_s : w->options->now_s;
		AUTO_FREE char *url = mem_strdup(entry->url);
		pin.url = url;
		lockfile_set(lock, &pin);
	}
}

struct changes {
	bool any, moved;
};

static void note_change(void *ctx, const struct lockfile_difference *d)
{
	struct changes *changes = ctx;
	changes->any = true;
	changes->moved |= d->change == LOCKFILE_CHANGED;
}

/* The date, which is in every recipe, moves with what was pinned before, not with each new
 * import: that would rebuild everything. */
static void date(struct work *w)
{
	struct pinning *p = w->pinning;
	const struct lockfile *before = pinning_before(p);
	bool had_lock = target_of(p)->has_lock;
	struct changes changes = {0};
	lockfile_compare(before, &p->lock, note_change, &changes);
	p->is_changed = changes.any || !had_lock;
	p->lock.source_date_epoch =
		!had_lock || changes.moved ? w->options->now_s : before->source_date_epoch;
}

static int find_target(struct pinning *p, struct err *e)
{
	while (p->target < p->project.files.len && !target_of(p)->is_asked_for)
		p->target++;
	if (p->target < p->project.files.len)
		return 0;
	return err_set(e, ERR_USAGE, "lock/no-file", "there is no stackerfile to lock");
}

int pinning_make(struct build_context *c, const struct pinning_options *options,
		 struct pinning *ret, struct err *e)
{
	AUTO(pinning) p = PINNING_INIT;
	AUTO(work) w = {.options = options, .pinning = &p, .by_url = MAP_INIT(free)};
	struct project_options project = options->project;
	project.leave_unpinned = true;
	if (project_read(&project, &p.project, e) < 0 || find_target(&p, e) < 0 ||
	    collect(&w, e) < 0 || check_names(&w, e) < 0 || decide_all(&w, e) < 0 ||
	    fetch_pinned(c, &w, e) < 0 || fetch_moving(c, &w, e) < 0 ||
	    resolve_images(c, &w, e) < 0)
		return -1;
	compose(&w);
	date(&w);
	*ret = p;
	p = (struct pinning)PINNING_INIT;
	return 0;
}

/* `path` as it opens from the working directory; its directory is held meanwhile. */
static int write_whole(const struct project_file *f, const char *path, mode_t mode,
		       const struct buf *text, struct err *e)
{
	AUTO_FREE char *base = path_base(path);
	return atomic_file_write(f->dir_fd, base, mode, text->data, text->len, e);
}

int pinning_save(const struct pinning *p, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	lockfile_write(&p->lock, &text);
	if (buf_check(&text, "lock", e) < 0)
		return -1;
	return write_whole(target_of(p), target_of(p)->lock_path, 0644, &text, e);
}

static int write_into_file(const struct pinning *p, const struct project_file *f,
			   size_t *written, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	AUTO(buf) pinned = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	AUTO_FREE char *base = path_base(f->path);
	struct stat st;
	size_t count = 0;
	if (path_read_file(f->dir_fd, base, &text, e) < 0 ||
	    pin_write(buf_text(&text), text.len, f->path, &p->lock, &pinned, &count, e) < 0)
		return -1;
	if (count == 0)
		return 0;
	if (fstatat(f->dir_fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot stat '%s'", f->path);
	if (S_ISLNK(st.st_mode)) {
		err_set(e, ERR_INPUT, "lock/is-a-link",
			"'%s' is a symlink; pins are written into the file itself only",
			f->path);
		return err_hint(e, "name the file that it leads to");
	}
	*written += count;
	return write_whole(f, f->path, st.st_mode & 0777, &pinned, e);
}

int pinning_write_into(const struct pinning *p, size_t *ret_written, struct err *e)
{
	*ret_written = 0;
	for (size_t i = 0; i < p->project.files.len; i++)
		if (write_into_file(p, &p->project.files.items[i], ret_written, e) < 0)
			return -1;
	return 0;
}
