/*
 * libstacker: building and verifying OCI images from stackerfiles, for programs. Verification
 * is the centre; building is there because verifying is building again.
 *
 * Shapes: handles are opaque; option structs begin with their size in bytes, so that they can
 * grow (members beyond the given size count as zero). Texts are UTF-8, NUL-terminated and
 * borrowed for the call unless said otherwise. Nothing is printed to standard output; messages
 * go to standard error. No function may be called from two threads at once, and the process
 * must have no other threads while one runs, since stacker clones processes.
 *
 * Errors: a function returns 0 or -1; after -1, stacker_error() says what and what to do.
 */
#ifndef STACKER_STACKER_H
#define STACKER_STACKER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct stacker;

struct stacker_options {
	size_t size;	       /* sizeof(struct stacker_options) */
	const char *state_dir; /* store and cache; NULL: ".stacker" */
	const char *roots_dir; /* unpacked layer trees; NULL: "roots" */
	const char
		*oci_dir; /* OCI image layout (image-spec 1.1, image-layout.md); NULL: "oci" */
};

/* "0.1.0" */
const char *stacker_version(void);

/* Opens the directories, creating them where absent, and takes their lock until stacker_close.
 * *ret is set on failure too, for stacker_error; only stacker_close frees it. */
int stacker_open(const struct stacker_options *options, struct stacker **ret);
/* Accepts NULL. */
void stacker_close(struct stacker *s);

/* The last error as one line, "" if there was none; with the id that docs/errors/ explains.
 * Valid until the next call on `s`. */
const char *stacker_error(const struct stacker *s);
const char *stacker_error_id(const struct stacker *s);
const char *stacker_error_hint(const struct stacker *s);

/* Verdicts; the numbers are the exit codes of `stacker verify`. */
enum stacker_verdict {
	STACKER_REPRODUCED = 0,
	STACKER_DIFFERS = 1,
	STACKER_REPRODUCED_CONTENT = 3,
	STACKER_CANNOT_REBUILD = 4,
	STACKER_TAMPERED_INPUT = 6,
};

struct stacker_verify_options {
	size_t size;		   /* sizeof(struct stacker_verify_options) */
	const char *file;	   /* the stackerfile */
	const char *const *images; /* names; NULL: all that are published */
	size_t images_len;
	const char *const *substitutions; /* as they were given to stacker_build() */
	size_t substitutions_len;
};

/* Rebuilds and compares. *ret_verdict is the gravest of all images; *ret_report the report as
 * JSON (schema ".../rebuild-report/v1"), freed with free(). Both are set only on success. */
int stacker_verify(struct stacker *s, const struct stacker_verify_options *options,
		   enum stacker_verdict *ret_verdict, char **ret_report);

struct stacker_build_options {
	size_t size; /* sizeof(struct stacker_build_options) */
	const char *file;
	const char *const *images; /* names; NULL: all */
	size_t images_len;
	int no_cache; /* not 0: build again what is in the cache */
	/* "KEY=VALUE": what the placeholder ${{KEY}} of the stackerfile stands for, applied in this
	 * order (docs/stackerfile.md, Substitution). Part of recipes: nothing secret. */
	const char *const *substitutions;
	size_t substitutions_len;
};

/* `built` (may be NULL) is called for each image in build order; `manifest` is "sha256:..." or
 * NULL for build_only. */
int stacker_build(struct stacker *s, const struct stacker_build_options *options,
		  void (*built)(void *ctx, const char *image, const char *recipe,
				const char *manifest),
		  void *ctx);

#ifdef __cplusplus
}
#endif

#endif
