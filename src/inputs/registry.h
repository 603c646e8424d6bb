/*
 * A client of one repository of one registry (OCI distribution-spec 1.1). All traffic happens
 * in a fetcher of its own: a process that is started with the first request, confined like that
 * of fetch.h, and ended by registry_close(). It gets requests and fds over a socket; what it
 * delivers is hashed again here before it gets a name. Credentials are sent to the registry's
 * own origin, and for tokens to a host that may be trusted with them (docs/registries.md).
 * Errors are ERR_INPUT or ERR_MISMATCH "registry/..." and name host, repository and subject.
 *
 * Used by one thread. Every function may be called in any order until registry_close().
 */
#ifndef INPUTS_REGISTRY_H
#define INPUTS_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inputs/auth.h"
#include "inputs/reference.h"
#include "inputs/store.h"
#include "util/buf.h"
#include "util/limits.h"
#include "util/vec.h"

struct registry_progress {
	size_t done, total; /* blobs of the call that runs */
	uint64_t bytes;
	uint64_t bytes_expected;
};

/* What it points to is borrowed as long as a registry is open. A zeroed object is a sane default but for `confine`.
 */
struct registry_options {
	bool insecure;	     /* certificates are not checked, and plain http will do */
	const char *ca_file; /* PEM, beside the system's; NULL: none */
	const char *const *environment;	     /* where credentials are looked for; see auth.h */
	const struct credential *credential; /* borrowed, used instead; NULL: look for them */
	/* Hosts beside the registry's own that may see the password when they are its token
	 * service; NULL-terminated, may be NULL. */
	const char *const *token_hosts;
	unsigned parallel;    /* 0: LIMIT_DOWNLOAD_PARALLEL */
	unsigned stall_ms;    /* 0: LIMIT_DOWNLOAD_STALL_S */
	unsigned backoff_ms;  /* first wait before a retry, doubled each time; 0: 500 */
	unsigned wait_max_s;  /* all waits of one request; 0: LIMIT_REGISTRY_WAIT_S */
	uint64_t chunk_bytes; /* larger blobs are pushed in chunks; 0: REGISTRY_CHUNK_BYTES */
	void (*progress)(void *ctx, const struct registry_progress *p); /* or NULL */
	void *ctx;
	int (*confine)(void *ctx, struct err *e); /* as in fetch.h */
	void *confine_ctx;
};

struct registry;

/* Looks up credentials; nothing is sent yet. `where` gives host and repository. */
int registry_open(const struct reference *where, const struct registry_options *options,
		  struct registry **ret, struct err *e) WARN_UNUSED;
/* Ends the fetcher. NULL is ignored. */
void registry_close(struct registry *r);
void registry_close_cleanup(struct registry **r);    /* for __attribute__((cleanup)) */
const char *registry_name(const struct registry *r); /* "HOST/REPOSITORY", for messages */

/* What identifies a document or blob. */
struct registry_descriptor {
	const char *media_type; /* borrowed */
	struct digest digest;
	uint64_t size;
};

/* A manifest or index as received. */
struct registry_document {
	struct buf text;
	char *media_type; /* of the document; header and body agree */
	struct digest digest;
};
#define REGISTRY_DOCUMENT_INIT                                                                 \
	{                                                                                      \
		.text = BUF_INIT(LIMIT_MANIFEST_BYTES)                                         \
	}
void registry_document_cleanup(struct registry_document *d);

/* `ref` is a tag or "sha256:...". Absent: *ret_found false, if `ret_found` is given, else
 * "registry/absent". With a digest the bytes are checked against it, else the digest is that of
 * the bytes. Tags are asked for each time; nothing is kept. */
int registry_get_manifest(struct registry *r, const char *ref, struct registry_document *ret,
			  bool *ret_found, struct err *e) WARN_UNUSED;
/* Puts it under its digest (tag NULL) or a tag. With a `subject` (alg NONE: none) the fallback
 * tag of the referrers is kept where the registry does not track them. */
int registry_put_manifest(struct registry *r, const char *tag,
			  const struct registry_document *d, struct err *e) WARN_UNUSED;

/* Brings every blob into the store, many at a time, each once; those there already cost a stat.
 */
int registry_fetch_blobs(struct registry *r, const struct registry_descriptor *blobs,
			 size_t len, const struct store *store, struct err *e) WARN_UNUSED;
/* Pushes every blob from the store that the registry lacks. `mount_from` names another
 * repository of the same registry that may have them; NULL: none. */
struct registry_push_report {
	size_t pushed, mounted, present;
	uint64_t bytes; /* sent */
};
int registry_push_blobs(struct registry *r, const struct registry_descriptor *blobs, size_t len,
			const struct store *store, const char *mount_from,
			struct registry_push_report *ret, struct err *e) WARN_UNUSED;
/* As above without having the blobs: present or mounted ones are marked in `ret_have`. */
int registry_mount_blobs(struct registry *r, const struct registry_descriptor *blobs,
			 size_t len, const char *mount_from, bool *ret_have,
			 struct err *e) WARN_UNUSED;

/* Appends every tag, in the registry's order; those that are referrers' fallback tags or
 * cosign's are left out. */
int registry_list_tags(struct registry *r, struct strvec *ret, struct err *e) WARN_UNUSED;

struct registry_referrer {
	char *media_type;
	char *artifact_type; /* NULL: unknown */
	struct digest digest;
	uint64_t size;
};
struct registry_referrers VEC_OF(struct registry_referrer);
void registry_referrers_cleanup(struct registry_referrers *v);
/* Manifests whose subject is `subject`, by the referrers API or, where there is none, by the
 * fallback tag; each entry of the latter was looked at. `artifact_type` NULL: all. */
int registry_list_referrers(struct registry *r, const struct digest *subject,
			    const char *artifact_type, struct registry_referrers *ret,
			    struct err *e) WARN_UNUSED;

#endif
