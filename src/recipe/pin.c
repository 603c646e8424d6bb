/* Sources and the lock, brought together. */
#include "recipe/pin.h"

#include <stdlib.h>
#include <string.h>

static struct pin_site site_of(struct recipe_source *s)
{
	return (struct pin_site){
		.url = s->urls.items[0], .hash = &s->hash, .size = &s->size, .pos = s->pos};
}

/* docker://HOST:PORT/REPOSITORY:TAG */
static bool has_tag(const char *url)
{
	const char *slash = strrchr(url, '/');
	return slash && strchr(slash, ':');
}

bool pin_site(struct recipe_image *image, size_t index, struct pin_site *ret)
{
	if (image->from == FROM_TAR && image->from_source.kind == SOURCE_URL && index-- == 0) {
		*ret = site_of(&image->from_source);
		return true;
	}
	if (image->from == FROM_DOCKER && has_tag(image->from_url) && index-- == 0) {
		*ret = (struct pin_site){.url = image->from_url,
					 .hash = &image->from_digest,
					 .size = &image->from_size,
					 .pos = image->from_pos};
		return true;
	}
	for (size_t i = 0; i < image->imports.len; i++) {
		struct recipe_source *s = &image->imports.items[i].source;
		if (s->kind == SOURCE_URL && index-- == 0) {
			*ret = site_of(s);
			return true;
		}
	}
	return false;
}

static int unpinned(const struct pin_site *site, struct err *e)
{
	if (strncmp(site->url, "docker:", 7) == 0) {
		err_at(e, &site->pos, "recipe/unpinned", "'%s' has no digest", site->url);
		return err_hint(e,
				"run 'stacker lock', which pins it, or write 'url: "
				"%.300s@sha256:HEX'",
				site->url);
	}
	err_at(e, &site->pos, "recipe/unpinned", "'%s' has no hash", site->url);
	err_hint(e, "run 'stacker lock', which pins it, or add 'hash: sha256:HEX', the file's, "
		    "beside it");
	return err_snippet(e, "hash: sha256:HEX");
}

/* A pin of the same bytes whose URL nobody uses any more. */
static const struct lockfile_pin *
find_left_over(const struct lockfile *lock, const struct digest *hash, const struct map *used)
{
	for (size_t i = 0; i < lock->pins.len; i++) {
		const struct lockfile_pin *pin = &lock->pins.items[i];
		if (digest_eq(&pin->hash, hash) && !(used && map_get(used, pin->url)))
			return pin;
	}
	return NULL;
}

/* A hash of the stackerfile's own beside a lock that has heard of the URL, or of the hash. */
static int check_agreement(const struct pin_site *site, const struct lockfile *lock,
			   const struct map *used, struct err *e)
{
	const struct lockfile_pin *same_url = lockfile_find(lock, site->url);
	if (same_url && digest_eq(&same_url->hash, site->hash))
		return 0;
	if (same_url) {
		err_at(e, &site->pos, "lock/hash-changed",
		       "the hash of '%s' is not the one in '%s' (line %u), though the URL is "
		       "the same",
		       site->url, lock->document.file, same_url->pos.line);
		return err_hint(e, "if the file there was replaced on purpose, run 'stacker "
				   "lock --update URL'");
	}
	const struct lockfile_pin *old = find_left_over(lock, site->hash, used);
	if (!old)
		return 0;
	err_at(e, &site->pos, "lock/url-changed",
	       "the URL '%s' is new, but its hash is that of '%s' in '%s' (line %u)", site->url,
	       old->url, lock->document.file, old->pos.line);
	return err_hint(e, "write the new file's hash; if it is the same file, run 'stacker "
			   "lock --update URL'");
}

int pin_settle(const struct pin_site *site, const struct pin_locks *locks, struct err *e)
{
	const struct lockfile *const both[] = {locks->own, locks->fallback};
	bool has_hash = site->hash->alg != DIGEST_NONE;
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		const struct lockfile_pin *pin =
			both[i] && !has_hash ? lockfile_find(both[i], site->url) : NULL;
		if (both[i] && has_hash && check_agreement(site, both[i], locks->used, e) < 0)
			return -1;
		if (!pin)
			continue;
		*site->hash = pin->hash;
		*site->size = pin->size;
		return 0;
	}
	return has_hash ? 0 : unpinned(site, e);
}

int pin_settle_all(struct stackerfile *s, const struct pin_locks *locks, struct err *e)
{
	struct pin_site site;
	for (size_t i = 0; i < s->images.len; i++)
		for (size_t k = 0; pin_site(&s->images.items[i], k, &site); k++)
			if (pin_settle(&site, locks, e) < 0)
				return -1;
	return 0;
}

void pin_add_used(struct stackerfile *s, struct map *used)
{
	struct pin_site site;
	for (size_t i = 0; i < s->images.len; i++)
		for (size_t k = 0; pin_site(&s->images.items[i], k, &site); k++)
			map_set(used, site.url, s);
}
