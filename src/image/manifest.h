/* OCI image manifests and descriptors, read strictly (SEC PF12-PF15) and written canonically. */
#ifndef IMAGE_MANIFEST_H
#define IMAGE_MANIFEST_H

#include <stdint.h>

#include "image/unpack.h"
#include "util/buf.h"
#include "util/digest.h"
#include "util/map.h"
#include "util/vec.h"

#define OCI_MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define OCI_CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER_TAR_TYPE "application/vnd.oci.image.layer.v1.tar"
#define OCI_LAYER_GZIP_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"
#define OCI_LAYER_ZSTD_TYPE "application/vnd.oci.image.layer.v1.tar+zstd"

/* Docker's schema 2 is the same documents under other names, but for members that are dropped
 * here anyway: the OCI name that such a type stands for, else the type itself. */
const char *media_type_oci(const char *media_type);
/* What a manifest or index calls itself or, if it does not say, must be. The caller frees. */
int media_type_of_document(const char *text, size_t len, const char *what, char **ret,
			   struct err *e) WARN_UNUSED;

/* File system images, which other implementations mount: image layers of project-stacker. The
 * suffix says how they are compressed. */
#define OCI_LAYER_SQUASHFS_TYPE "application/vnd.stacker.image.layer.squashfs"
#define OCI_LAYER_EROFS_TYPE "application/vnd.stacker.image.layer.erofs"
/* Of a layer's descriptor: the root hash of the dm-verity tree at the end of such an image. */
#define OCI_VERITY_ANNOTATION "io.stackeroci.stacker.atomfs_verity_root_hash"

struct descriptor {
	char *media_type; /* as media_type_oci() gives it */
	struct digest digest;
	uint64_t size;
	char *verity_root; /* hex, as OCI_VERITY_ANNOTATION has it; or NULL */
};
void descriptor_cleanup(struct descriptor *d);
struct descriptor descriptor_copy(const struct descriptor *d); /* zeroed gives zeroed */
struct descriptor_vec VEC_OF(struct descriptor);

struct manifest {
	struct descriptor config;
	struct descriptor_vec layers; /* base first */
	struct map annotations;	      /* text -> text */
};
void manifest_cleanup(struct manifest *m);

int manifest_parse(const char *text, size_t len, const char *what, struct manifest *ret,
		   struct err *e) WARN_UNUSED;
void manifest_write(const struct manifest *m, struct buf *out);
const char *layer_media_type_of(enum layer_compression compression);
enum layer_fs { LAYER_FS_NONE, LAYER_FS_SQUASHFS, LAYER_FS_EROFS };
/* NONE: not a file system image, as far as is known here. */
enum layer_fs layer_fs_of(const char *media_type);
/* ERR_INPUT "image/layer-type" for one that is not a tar layer. */
int layer_compression_of(const char *media_type, enum layer_compression *ret,
			 struct err *e) WARN_UNUSED;

#endif
