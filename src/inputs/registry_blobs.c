/*
 * Blobs to and from a registry. Each blob that arrives is taken back from the fetcher, hashed
 * and only then linked into the store; what the registry says of its digest is not even read.
 */
#include <string.h>
#include <sys/stat.h>

#include "inputs/fetcher_io_internal.h"
#include "inputs/registry_internal.h"
#include "util/map.h"
#include "util/mem.h"

/* One use of registry_calls_make() over many blobs. */
struct blobs {
	struct registry *r;
	const struct store *store;
	const struct registry_descriptor *items; /* of the caller */
	struct VEC_OF(struct registry_call) calls;
	struct VEC_OF(size_t) of; /* calls[i] is for items[of[i]] */
	struct registry_push_report *report;
	bool again; /* a blob in pieces was wrong, and is asked for once more */
};

static void blobs_cleanup(struct blobs *b)
{
	for (size_t i = 0; i < b->calls.len; i++)
		registry_call_cleanup(&b->calls.items[i]);
	vec_free(&b->calls);
	vec_free(&b->of);
}

static void add_call(struct blobs *b, size_t item, enum registry_op op, const char *mount_from)
{
	const struct registry_descriptor *d = &b->items[item];
	char ref[DIGEST_TEXT_MAX];

	vec_push(&b->calls, ((struct registry_call){.fd = -1}));
	vec_push(&b->of, item);
	struct registry_request *q = &b->calls.items[b->calls.len - 1].request;

	q->op = op;
	q->size = d->size;
	digest_format(&d->digest, ref);
	fetcher_copy_text(q->ref, sizeof(q->ref), ref);
	if (mount_from)
		fetcher_copy_text(q->mount_from, sizeof(q->mount_from), mount_from);
}

/* Of which blob a call is. */
static const struct registry_descriptor *blob_of(const struct blobs *b,
						 const struct registry_call *call)
{
	return &b->items[b->of.items[(size_t)(call - b->calls.items)]];
}

/* With a progress, since it takes long. */
static int transfer(struct blobs *b, struct registry_calls calls, struct err *e)
{
	calls.items = b->calls.items;
	calls.len = b->calls.len;
	calls.ctx = b;
	for (size_t i = 0; i < b->of.len; i++)
		calls.bytes_expected += b->items[b->of.items[i]].size;
	return registry_calls_make(b->r, &calls, e);
}

static int ask(struct blobs *b, struct err *e)
{
	const struct registry_calls calls = {.items = b->calls.items, .len = b->calls.len};

	return registry_calls_make(b->r, &calls, e);
}

/* True for the first of equal ones. */
static bool is_first(struct map *seen, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];

	digest_format(d, text);
	return map_add(seen, text, seen);
}

static int err_absent(const struct blobs *b, const struct registry_call *call, struct err *e)
{
	return err_set(e, ERR_INPUT, "registry/absent", "'%s' has no blob '%s'",
		       registry_name(b->r), call->request.ref);
}

static int stage_blob(void *ctx, struct registry_call *call, struct err *e)
{
	const struct blobs *b = ctx;

	return store_stage_open(b->store, &call->fd, e);
}

static int take_blob(void *ctx, struct registry_call *call, struct err *e)
{
	struct blobs *b = ctx;
	const struct registry_descriptor *d = blob_of(b, call);
	AUTO_CLOSE int fd = -1;
	struct err why = ERR_INIT;

	if (!(call->answer.facts & REGISTRY_FOUND))
		return err_absent(b, call, e);
	if (fetcher_take_back(b->store, &call->fd, &fd, e) < 0)
		return -1;
	if (store_stage_commit(b->store, fd, &d->digest, (int64_t)d->size, NULL, NULL, &why) ==
	    0)
		return 0;
	/* Parts of two blobs may have met; only one in one piece accuses the registry. */
	if (why.code == ERR_MISMATCH && (call->answer.facts & REGISTRY_RESUMED)) {
		b->again = true;
		return 0;
	}
	if (why.code == ERR_MISMATCH) {
		err_set(e, ERR_MISMATCH, "registry/wrong-hash",
			"'%s' sent other bytes than '%s'", registry_name(b->r),
			call->request.ref);
		return err_hint(e, "the registry is damaged or hostile; nothing was kept");
	}
	if (e)
		*e = why;
	return -1;
}

static int fetch_missing(struct registry *r, const struct registry_descriptor *blobs,
			 size_t len, const struct store *store, bool *ret_again, struct err *e)
{
	AUTO(blobs) b = {.r = r, .store = store, .items = blobs};
	AUTO(map) seen = MAP_INIT(NULL);

	for (size_t i = 0; i < len; i++) {
		uint64_t there;

		if (!is_first(&seen, &blobs[i].digest) ||
		    (store_blob_stat(store, &blobs[i].digest, &there) &&
		     there == blobs[i].size))
			continue;
		if (blobs[i].size > LIMIT_DOWNLOAD_BYTES)
			return err_set(e, ERR_INPUT, "input/too-big",
				       "a blob of '%s' is said to have more than %llu bytes",
				       registry_name(r),
				       (unsigned long long)LIMIT_DOWNLOAD_BYTES);
		add_call(&b, i, REGISTRY_GET_BLOB, NULL);
	}
	const struct registry_calls calls = {.ready = stage_blob, .done = take_blob};

	if (transfer(&b, calls, e) < 0)
		return -1;
	*ret_again = b.again;
	return 0;
}

int registry_fetch_blobs(struct registry *r, const struct registry_descriptor *blobs,
			 size_t len, const struct store *store, struct err *e)
{
	bool again = true;

	for (int i = 0; i < 2 && again; i++)
		if (fetch_missing(r, blobs, len, store, &again, e) < 0)
			return -1;
	if (!again)
		return 0;
	err_set(e, ERR_MISMATCH, "registry/wrong-hash",
		"'%s' twice sent a blob in parts that do not belong together",
		registry_name(r));
	return err_hint(e, "the registry is damaged or hostile; nothing was kept");
}

static int count_pushed(void *ctx, struct registry_call *call, struct err *e)
{
	struct blobs *b = ctx;

	(void)e;
	registry_call_cleanup(call);
	if (call->answer.facts & REGISTRY_FOUND)
		b->report->present++;
	else if (call->answer.facts & REGISTRY_MOUNTED)
		b->report->mounted++;
	else
		b->report->pushed++;
	b->report->bytes += call->answer.bytes;
	return 0;
}

/* Not hashed before it is sent: the registry does that, and refuses what is damaged. */
static int open_blob(void *ctx, struct registry_call *call, struct err *e)
{
	const struct blobs *b = ctx;
	const struct registry_descriptor *d = blob_of(b, call);
	AUTO_CLOSE int fd = -1;
	struct stat st;
	char text[DIGEST_TEXT_MAX];

	if (store_blob_open(b->store, &d->digest, &fd, e) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat a blob");
	digest_format(&d->digest, text);
	if ((uint64_t)st.st_size != d->size)
		return err_set(e, ERR_MISMATCH, "store/damaged",
			       "blob '%s' of the store has another length than the image says",
			       text);
	call->fd = TAKE_FD(fd);
	return 0;
}

int registry_push_blobs(struct registry *r, const struct registry_descriptor *blobs, size_t len,
			const struct store *store, const char *mount_from,
			struct registry_push_report *ret, struct err *e)
{
	struct registry_push_report report = {0};
	AUTO(blobs) b = {.r = r, .store = store, .items = blobs, .report = &report};
	AUTO(map) seen = MAP_INIT(NULL);

	for (size_t i = 0; i < len; i++)
		if (is_first(&seen, &blobs[i].digest))
			add_call(&b, i, REGISTRY_PUSH_BLOB, mount_from);
	const struct registry_calls calls = {.ready = open_blob, .done = count_pushed};

	if (transfer(&b, calls, e) < 0)
		return -1;
	*ret = report;
	return 0;
}

int registry_mount_blobs(struct registry *r, const struct registry_descriptor *blobs,
			 size_t len, const char *mount_from, bool *ret_have, struct err *e)
{
	AUTO(blobs) b = {.r = r, .items = blobs};

	for (size_t i = 0; i < len; i++)
		add_call(&b, i, mount_from ? REGISTRY_MOUNT_BLOB : REGISTRY_HAS_BLOB,
			 mount_from);
	if (ask(&b, e) < 0)
		return -1;
	for (size_t i = 0; i < len; i++)
		ret_have[i] =
			b.calls.items[i].answer.facts & (REGISTRY_FOUND | REGISTRY_MOUNTED);
	return 0;
}
