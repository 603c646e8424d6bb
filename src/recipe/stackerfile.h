/*
 * A stackerfile as typed structures: every default filled in, every directive checked against
 * the schema table (recipe/schema.h), images in dependency order. Pure: reads nothing but the
 * text it is given. See reference/stackerfile.md section 1.
 */
#ifndef RECIPE_STACKERFILE_H
#define RECIPE_STACKERFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recipe/limits.h"
#include "recipe/substitute.h"
#include "recipe/yaml.h"
#include "util/digest.h"
#include "util/map.h"
#include "util/vec.h"

#define RECIPE_ID_UNSET (-1)			/* uid, gid, mode that were not given */
#define RECIPE_DEFAULT_EPOCH INT64_C(315532800) /* 1980-01-01, the earliest that zip holds */

/* Entries of one map of texts (environment, labels, ...). Bounds what chosen keys can cost in
 * util/map.h; far above what an image config of LIMIT_CONFIG_BYTES sensibly holds. */
#define RECIPE_MAP_ENTRIES_MAX 1024

enum from_type { FROM_SCRATCH, FROM_TAR, FROM_OCI, FROM_DOCKER, FROM_BUILT };

/* Where bytes come from. */
enum source_kind {
	SOURCE_LOCAL,	/* file or directory of the user's tree */
	SOURCE_URL,	/* http(s), pinned */
	SOURCE_STACKER, /* stacker://IMAGE/PATH */
};

struct recipe_source {
	enum source_kind kind;
	struct pos pos;
	char *text;  /* as written */
	char *name;  /* what a step sees it as: base name of the path, or last component of
			the first URL, percent-decoded; "" with `contents` */
	char *path;  /* LOCAL: relative to the stackerfile's directory, or absolute;
			STACKER: absolute path within the image */
	char *image; /* STACKER: the producing image */
	struct strvec urls; /* URL: tried in order; the first names the file */
	bool contents;	    /* the path ends in "/": a directory's contents, not itself */
	struct digest
		hash; /* URL: required, see pin.h. LOCAL file: optional. alg NONE if absent */
	int64_t size; /* URL: bytes, or -1 if the pin has none */
};

struct recipe_import {
	struct recipe_source source;
	char *dest;   /* absolute, as written (a trailing "/" counts); NULL: not in the image,
			 staged at /stacker/imports */
	bool unpack;  /* expand the archive into dest */
	int32_t mode; /* 07777 bits or RECIPE_ID_UNSET */
	int64_t uid;
	int64_t gid;
	bool overlay; /* stands under overlay_dirs: for messages, the same thing otherwise */
};
struct recipe_import_vec VEC_OF(struct recipe_import);

/* Of the layers that an image adds. */
enum recipe_compression {
	COMPRESSION_GZIP, /* unless another is asked for */
	COMPRESSION_NONE,
	COMPRESSION_ZSTD,
};

struct recipe_image {
	char *name;
	struct pos pos;
	enum from_type from;
	struct recipe_source from_source; /* TAR */
	char *from_layout; /* OCI: path of the layout, relative to the working directory (U25)
			    */
	char *from_ref;	   /* OCI: tag, or "sha256:..." */
	char *from_image;  /* BUILT */
	/* DOCKER: docker://HOST/REPOSITORY[:TAG]; the manifest's or index's digest, alg NONE
	 * until a lock pins it; its size, or -1; a variant of `arch`, or NULL. */
	char *from_url;
	struct digest from_digest;
	int64_t from_size;
	char *from_variant;
	bool from_insecure;
	struct pos from_pos;
	struct recipe_import_vec imports; /* those of overlay_dirs first, see directive.h */
	bool legacy_import;		  /* given under `import`: also at /stacker/NAME */
	struct pos legacy_import_pos;
	struct pos bom_pos;	/* line 0: there is none; it has no other effect */
	char *run;		/* the whole script with its shebang, or NULL */
	char *generate_labels;	/* the same, run on the finished image for its labels */
	struct map environment; /* text -> text */
	struct map build_env;
	struct map labels;
	struct map annotations;
	struct strvec cmd;
	struct strvec entrypoint;
	struct strvec full_command;
	bool has_cmd, has_entrypoint, has_full_command; /* set though perhaps empty */
	struct strvec volumes;
	char *working_dir;  /* NULL: inherited */
	char *runtime_user; /* NULL: inherited */
	char *os;	    /* default "linux" */
	char *arch;	    /* OCI name; default of the running machine */
	bool build_only;
	enum recipe_compression compression;
	bool keeps_volatile; /* normalize: none */
};
struct recipe_image_vec VEC_OF(struct recipe_image);

/* Another stackerfile, whose images this one may use. */
struct recipe_prerequisite {
	char *path; /* as written: absolute, or relative to this stackerfile's directory */
	struct pos pos;
};
struct recipe_prerequisite_vec VEC_OF(struct recipe_prerequisite);

struct stackerfile {
	struct yaml_document document; /* owns the positions' file name */
	struct recipe_image_vec
		images;		     /* in build order: dependencies first, else file order */
	int64_t source_date_epoch;   /* config: source_date_epoch, else RECIPE_DEFAULT_EPOCH */
	bool has_epoch;		     /* config has one; else the lock's date takes its place */
	struct recipe_limits limits; /* config: limits */
	struct recipe_prerequisite_vec prerequisites; /* config: prerequisites */
};
void stackerfile_cleanup(struct stackerfile *s);

/* What a stackerfile is made from. */
struct stackerfile_source {
	const char *text;
	size_t len;
	const char *file;			      /* the name that errors show */
	const char *default_arch;		      /* OCI name of the running machine's */
	const struct substitution_vec *substitutions; /* or NULL */
};

/* Everything but order and pins: images stay as in the file, since what they need may be in
 * another one, and URLs may lack hashes, which a lock may have (pin.h). Errors: ERR_RECIPE
 * "recipe/...". */
int stackerfile_read(const struct stackerfile_source *source, struct stackerfile *ret,
		     struct err *e) WARN_UNUSED;
/* Puts the images in build order. The keys of `elsewhere` (may be NULL) are the images of
 * prerequisites, which count as built. */
int stackerfile_order(struct stackerfile *s, const struct map *elsewhere,
		      struct err *e) WARN_UNUSED;
const struct recipe_image *stackerfile_find(const struct stackerfile *s, const char *name);

#endif
