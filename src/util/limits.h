/*
 * Every limit on what comes from outside, by name, with the place its number comes from. Each
 * has a test at its edge. "SEC" is reference/security.md section 2, "SF"
 * reference/stackerfile.md.
 */
#ifndef UTIL_LIMITS_H
#define UTIL_LIMITS_H

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* YAML and JSON (SEC PF03, PF08) */
#define LIMIT_STACKERFILE_BYTES (1 * MIB)
#define LIMIT_YAML_DEPTH 32
#define LIMIT_JSON_DEPTH 32
#define LIMIT_JSON_NODES 100000
#define LIMIT_JSON_CANON_BYTES (16 * MIB)
#define LIMIT_MANIFEST_BYTES (4 * MIB)
#define LIMIT_CONFIG_BYTES (4 * MIB)
#define LIMIT_INDEX_BYTES (8 * MIB)
#define LIMIT_INDEX_ENTRIES 1000
#define LIMIT_INDEX_DEPTH 2
#define LIMIT_YAML_ANCHORS 1000
/* Values and bytes that aliases copy, of one file: an alias of aliases multiplies ("billion
 * laughs"), and a file of LIMIT_STACKERFILE_BYTES needs no more. */
#define LIMIT_YAML_ALIASED_NODES 10000
#define LIMIT_YAML_ALIASED_BYTES (1 * MIB)
#define LIMIT_SUBSTITUTIONS 1024 /* each is one pass over the file */
/* Dockerfiles */
#define LIMIT_DOCKERFILE_BYTES (1 * MIB) /* its stackerfile may have no more */
#define LIMIT_DOCKERFILE_INSTRUCTIONS 10000
#define LIMIT_CONVERT_IMPORTS 2000     /* of one COPY; a person is to read them */
#define LIMIT_CONVERT_LOOKS 200000     /* files of a context that are looked at for one COPY */
#define LIMIT_CONVERT_VARIABLES 100000 /* of all images; each repeats its stage's */
/* Evaluated recipes */
#define LIMIT_IMAGES 4096	   /* of one build; issue-scale is 500 */
#define LIMIT_STACKERFILES 256	   /* of one build; sorting them costs its square */
#define LIMIT_IMAGE_NAME_BYTES 128 /* OCI tag length */
/* Archives and layers (SEC UN19, UN26) */
#define LIMIT_UNPACK_BYTES (16 * GIB)
/* Of what comes out to what goes in. Layers of real images stay below 100; SEC names 1100, but
 * DEFLATE cannot exceed 1032, so that no gzip bomb would be one. */
#define LIMIT_UNPACK_RATIO 500
#define LIMIT_UNPACK_RATIO_FREE_BYTES (256 * MIB) /* and that many on top */
#define LIMIT_UNPACK_ENTRIES 2000000
#define LIMIT_UNPACK_NAMES_BYTES (64 * MIB) /* kept in memory; texlive-full has 17 MiB */
/* What a layer may hold of these two while others are unpacked beside it: an eighth. */
#define LIMIT_UNPACK_SHARE 8
#define LIMIT_PAX_BYTES (1 * MIB)
#define LIMIT_PATH_BYTES 4096
#define LIMIT_COMPONENT_BYTES 255
#define LIMIT_TREE_DEPTH 512
#define LIMIT_HARDLINKS 65000
#define LIMIT_LAYERS 500 /* the kernel's overlayfs limit on lower directories */
#define LIMIT_XATTR_BYTES (64 * KIB)
#define LIMIT_TRAILING_ZERO_BYTES (1 * MIB)
#define LIMIT_ZSTD_WINDOW_LOG 27
#define LIMIT_XZ_MEMORY_BYTES (128 * MIB) /* `xz -9` needs 65 */
/* Downloads (SEC DL09) */
#define LIMIT_URL_BYTES 8192
#define LIMIT_REDIRECTS 5
#define LIMIT_HTTP_HEADER_BYTES (256 * KIB)
#define LIMIT_DOWNLOAD_BYTES (64 * GIB) /* when a pin has no size */
#define LIMIT_DOWNLOAD_PARALLEL 8
#define LIMIT_DOWNLOAD_ATTEMPTS 4 /* of one URL, network faults and 5xx only */
#define LIMIT_DOWNLOAD_STALL_S 30 /* without a byte */
/* All URLs and attempts of one pin. 64 GiB at 3 MiB/s; a server that drips just fast enough not
 * to stall is given up, too. */
#define LIMIT_DOWNLOAD_TOTAL_S (6 * 3600)
/* Registries. Manifests: the distribution spec has registries take 4 MiB. */
#define LIMIT_REFERENCE_BYTES 512     /* host 255, repository 255 by distribution's grammar */
#define LIMIT_REGISTRY_PAGES 1000     /* of one list */
#define LIMIT_REGISTRY_TAGS 100000    /* of one repository */
#define LIMIT_REGISTRY_REFERRERS 1000 /* of one image, as entries of an index */
#define LIMIT_REGISTRY_TOKEN_BYTES (64 * KIB) /* a header line that servers still take */
#define LIMIT_REGISTRY_ATTEMPTS 6	      /* of one request */
/* All waits of one request, whatever Retry-After says: Docker Hub's limits last for hours, and
 * nobody waits for that. */
#define LIMIT_REGISTRY_WAIT_S 180
#define LIMIT_AUTH_FILE_BYTES (1 * MIB)
/* Local imports (SEC ST01, ST02) */
#define LIMIT_LOCAL_ENTRIES 100000 /* of one import; a Linux source tree has 90,000 */
#define LIMIT_TREE_VALUES (6 * LIMIT_LOCAL_ENTRIES + 16) /* a file is an object of five */
#define LIMIT_TREE_BYTES (64 * MIB)
#define LIMIT_LOCAL_BYTES (16 * GIB)
/* Steps */
#define LIMIT_STEP_MEMORY_LEAST (16 * MIB) /* building a sandbox takes 2 MiB of it */
#define LIMIT_SCRIPT_BYTES (1 * MIB)
#define LIMIT_ENV_BYTES (128 * KIB) /* MAX_ARG_STRLEN of Linux, per string */

#endif
