/*
 * What the parts of the conversion share: the images in the making, and the state of the stage
 * that is being read. Texts may hold marks for substitutions, which only convert_write.c turns
 * into ${{KEY:default}}; so nothing that a Dockerfile says can pass for one.
 */
#ifndef RECIPE_CONVERT_INTERNAL_H
#define RECIPE_CONVERT_INTERNAL_H

#include "recipe/convert.h"
#include "util/map.h"

/* A mark: BEGIN key [VALUE default] END. No Dockerfile holds these bytes. */
#define MARK_BEGIN '\x01'
#define MARK_VALUE '\x03'
#define MARK_END '\x02'

#define CONVERT_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What ENV, CMD, USER and so on have come to. */
struct convert_config {
	struct map env, labels, annotations;
	struct strvec volumes, cmd, entrypoint;
	bool has_cmd, has_entrypoint;
	char *user, *workdir; /* NULL: as the base has it */
};

struct convert_import {
	char *path, *dest;	       /* dest NULL: only while `run` runs */
	char *hash, *mode, *uid, *gid; /* NULL: absent */
	bool unpack;
};
struct convert_import_vec VEC_OF(struct convert_import);

struct convert_image {
	char *name;
	struct strvec notes;
	const char *from_type;
	char *from; /* `url` or `tag`, as the type has it; NULL for scratch */
	char *arch, *os;
	struct convert_import_vec imports;
	struct map build_env;
	struct buf prelude; /* of the script: owners and modes of imports */
	char *owner;	    /* which all of the prelude is about, or NULL */
	struct buf run;
	bool runs_as;	 /* the script needs the function of that name */
	bool build_only; /* has no configuration either */
	struct convert_config config;
};
struct convert_image_vec VEC_OF(struct convert_image);

struct convert_stage {
	char *alias; /* NULL: none */
	char *image; /* the last image of its chain */
	struct convert_config config;
	struct strvec shell;
	struct strvec onbuild;
	bool is_external;      /* stands for COPY --from=IMAGE, not for a stage */
	bool has_run;	       /* so there is a shell in it */
	bool has_foreign_base; /* not scratch, nor a stage of this file */
	bool has_default_path;
};
struct convert_stage_vec VEC_OF(struct convert_stage);

struct converter {
	const struct convert_options *options;
	const struct dockerfile *dockerfile;
	struct convert_result *out;
	struct pos pos;		  /* of the instruction */
	const char *key_prefix;	  /* of substitutions */
	bool value_required;	  /* see convert_expand_required() */
	bool global_scope;	  /* of the ARGs before the first FROM */
	struct map global_args;	  /* name -> value */
	struct map args;	  /* of the stage */
	struct map substitutions; /* key -> default */
	struct strvec conflicts;  /* keys with several defaults */
	struct convert_stage_vec stages;
	size_t stages_left; /* FROMs that come yet */
	struct convert_image_vec images;
	size_t image;		   /* the index of the one in the making; only after a FROM */
	bool workdir_pending;	   /* nothing has made the directory yet */
	bool run_begun;		   /* the image's build_env is settled */
	bool cmd_is_own;	   /* CMD was given in this stage */
	struct map names;	   /* of images, in use */
	struct strvec early_notes; /* from before the first FROM */
	size_t env_total;	   /* variables of all images, which are bounded */
	struct strvec ignored;	   /* patterns of .dockerignore */
};

/* convert.c */
struct convert_image *convert_current(struct converter *c);
struct convert_stage *convert_stage(struct converter *c);
/* A comment above the image: what was not converted, why, and what to do. */
void convert_note(struct converter *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The word of the current instruction with its variables expanded. */
char *convert_expand(struct converter *c, const char *word);
/* Likewise where nothing is no value: an ARG without default has to be substituted then. */
char *convert_expand_required(struct converter *c, const char *word);
/* Likewise for the body of a here-document, whose quotes stay. */
char *convert_expand_body(struct converter *c, const char *body);
/* With every mark replaced by its default. */
char *convert_flatten(const char *text);
/* A path of the image, on the working directory; a trailing slash stays. */
char *convert_image_path(struct converter *c, const char *path);
/* Ends the image in the making and goes on in a new one that stands on it. */
int convert_split(struct converter *c, struct err *e) WARN_UNUSED;
/* The image that `--from=NAME` means: a stage's, or one of its own for what is not in the file.
 * Owned. */
int convert_resolve_from(struct converter *c, const char *name, char **ret,
			 struct err *e) WARN_UNUSED;

/* convert_copy.c: COPY and ADD. */
int convert_copy(struct converter *c, const struct dockerfile_instruction *i,
		 struct err *e) WARN_UNUSED;

/* convert_run.c: RUN, and what else goes into scripts. */
int convert_run(struct converter *c, const struct dockerfile_instruction *i,
		struct err *e) WARN_UNUSED;
/* Lines of the script, after what has to precede them. */
int convert_begin_run(struct converter *c, struct err *e) WARN_UNUSED;
/* `text` as one word of a shell. */
void convert_quote(struct buf *b, const char *text);
/* Makes the working directory, where a script can and nothing else does. */
void convert_make_workdir(struct converter *c);
/* A here-document that writes `content` to `path`. */
void convert_write_file(struct converter *c, const char *path, const char *content);

/* convert_write.c */
int convert_write(struct converter *c, struct err *e) WARN_UNUSED;

/* convert_ignore.c: the patterns of .dockerignore and --exclude. */
void ignore_read(const char *text, struct strvec *ret);
bool ignore_matches(const struct strvec *patterns, const char *path);
/* Whether `path` of the Dockerfile, with wildcards, matches `text`; "/" is matched by itself. */
bool ignore_glob(const char *pattern, const char *text);

#endif
