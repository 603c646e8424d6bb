/*
 * What the supervisor and a registry's fetcher say to each other. As with pins, the fetcher is a
 * fork, so configuration and credentials need no encoding; requests and answers are fixed
 * structs over a SOCK_SEQPACKET pair, a request with the fd it reads from or writes to. Answers
 * come from a process that talks to strangers and are checked field by field.
 */
#ifndef INPUTS_REGISTRY_INTERNAL_H
#define INPUTS_REGISTRY_INTERNAL_H

#include "inputs/registry.h"
#include "inputs/registry_header_internal.h"

enum { REGISTRY_REF_MAX = 160, REGISTRY_TEXT_MAX = 1024, REGISTRY_PARALLEL_MAX = 32 };

/* What a push in pieces is cut into: a fault costs at most one, and no proxy on the way has to
 * hold more. */
#define REGISTRY_CHUNK_BYTES (1 * GIB)

#define DOCKER_MANIFEST_TYPE "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST_TYPE "application/vnd.docker.distribution.manifest.list.v2+json"
#define REGISTRY_MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define REGISTRY_INDEX_TYPE "application/vnd.oci.image.index.v1+json"

/* Borrowed from the registry; the fetcher has a copy of all by the fork. */
struct registry_config {
	const char *host; /* as in the reference: the key of credentials */
	const char *repository;
	char *authority; /* where the API is: "HOST[:PORT]" */
	char *name;	 /* "HOST/REPOSITORY" */
	bool is_loopback;
	struct credential credential;
	const struct registry_options *options;
	unsigned parallel; /* resolved, 1 to REGISTRY_PARALLEL_MAX */
	unsigned stall_ms;
	unsigned backoff_ms;
	uint64_t wait_max_ms;
	uint64_t chunk_bytes;
};

enum registry_op {
	REGISTRY_GET_MANIFEST = 1, /* `ref`; into the fd */
	REGISTRY_PUT_MANIFEST,	   /* `ref`, `media_type`; from the fd */
	REGISTRY_GET_BLOB,	   /* `ref` is the digest, `size`; into the fd */
	REGISTRY_HAS_BLOB,	   /* `ref` */
	REGISTRY_MOUNT_BLOB,	   /* `ref`, `mount_from` */
	REGISTRY_PUSH_BLOB,	   /* `ref`, `size`, `mount_from` or ""; from the fd */
	REGISTRY_GET_LIST,	   /* `path` below the repository, or a URL; into the fd */
};

struct registry_request {
	uint32_t op;
	uint32_t index; /* of the call; comes back */
	uint64_t size;
	char ref[REGISTRY_REF_MAX];
	char media_type[REGISTRY_TYPE_MAX];
	char mount_from[REGISTRY_TYPE_MAX];
	char path[LIMIT_URL_BYTES + 1];
};

/* Why a request failed; indexes the table of ids in registry.c. */
enum registry_cause {
	REGISTRY_CAUSE_NONE,
	REGISTRY_CAUSE_NETWORK,
	REGISTRY_CAUSE_TLS,
	REGISTRY_CAUSE_STALLED,
	REGISTRY_CAUSE_STATUS,
	REGISTRY_CAUSE_BUSY, /* 429 or 5xx, longer than we wait */
	REGISTRY_CAUSE_REDIRECT,
	REGISTRY_CAUSE_RESPONSE,
	REGISTRY_CAUSE_SIZE,
	REGISTRY_CAUSE_DENIED,
	REGISTRY_CAUSE_REALM,
	REGISTRY_CAUSE_TOKEN,
	REGISTRY_CAUSE_INSECURE,
	REGISTRY_CAUSE_UPLOAD,
	REGISTRY_CAUSE_DISK,
	REGISTRY_CAUSES,
};

enum registry_message_kind {
	REGISTRY_SAYS_ALIVE = 1, /* `bytes` went over the net by now */
	REGISTRY_SAYS_NOTE,	 /* `text` is for the log */
	REGISTRY_SAYS_DONE,
	REGISTRY_SAYS_FAILED, /* `cause` and `text` */
	REGISTRY_SAYS_BROKEN, /* the fetcher cannot work at all: `text`, `hint` */
};

/* Bits of `facts`. */
enum {
	REGISTRY_FOUND = 1,   /* it is there, or was */
	REGISTRY_MOUNTED = 2, /* from the other repository */
	REGISTRY_RESUMED = 4, /* comes from more than one response */
	REGISTRY_TRACKED = 8, /* OCI-Subject was answered */
	REGISTRY_FILTERED = 16,
};

struct registry_message {
	uint32_t kind;
	uint32_t index;
	uint32_t cause;
	uint32_t facts;
	uint64_t bytes;
	char media_type[REGISTRY_TYPE_MAX];
	char next[LIMIT_URL_BYTES + 1];
	char text[REGISTRY_TEXT_MAX];
	char hint[ERR_HINT_MAX];
};

/* The fetcher's life, in the child, until the supervisor closes its end. */
void registry_fetcher_main(int sock, const struct registry_config *config);

/* One request as the supervisor sees it. */
struct registry_call {
	struct registry_request request;
	int fd; /* what goes along, or -1; owned */
	struct registry_message answer;
	bool handed_out, done;
};
void registry_call_cleanup(struct registry_call *c);

/* Makes all calls, `parallel` at a time. `ready` is called before each is handed out, so that no
 * more files are open than needed, `done` as each ends well; both may be NULL and may fail. The
 * first failure ends the others, and the fetcher with them. */
struct registry_calls {
	struct registry_call *items;
	size_t len;
	int (*ready)(void *ctx, struct registry_call *call, struct err *e);
	int (*done)(void *ctx, struct registry_call *call, struct err *e);
	void *ctx;
	uint64_t bytes_expected; /* for the progress; 0: there is none to show */
};
int registry_calls_make(struct registry *r, const struct registry_calls *calls,
			struct err *e) WARN_UNUSED;
int registry_call_make(struct registry *r, struct registry_call *call,
		       struct err *e) WARN_UNUSED;
/* An unnamed file for small documents. */
int registry_scratch_open(int *ret_fd, struct err *e) WARN_UNUSED;

/* The entry of a fallback tag's index, added where the registry tracks no subjects. */
int registry_add_fallback(struct registry *r, const struct registry_document *d,
			  struct err *e) WARN_UNUSED;

#endif
