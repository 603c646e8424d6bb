/*
 * OCI image configuration. Parsed from a base (unknown members are dropped, known ones kept),
 * changed by the recipe's directives, written canonically.
 */
#ifndef IMAGE_CONFIG_H
#define IMAGE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "image/manifest.h"
#include "util/buf.h"
#include "util/digest.h"
#include "util/map.h"
#include "util/vec.h"

struct config_history {
	char *created; /* RFC 3339, or NULL */
	char *created_by;
	char *author;
	char *comment;
	bool empty_layer;
};
struct config_history_vec VEC_OF(struct config_history);
struct digest_vec VEC_OF(struct digest);

/* A zeroed object is an empty configuration, that of a scratch image. */
struct image_config {
	char *created, *author, *architecture, *os; /* NULL where absent */
	char *os_version, *variant;
	struct strvec os_features;
	char *user, *working_dir, *stop_signal;
	struct strvec env, entrypoint, cmd;
	bool has_entrypoint, has_cmd;
	struct strvec exposed_ports, volumes; /* keys of the maps, sorted when written */
	struct map labels;		      /* text -> text */
	struct digest_vec diff_ids;
	struct config_history_vec history;
};
void image_config_cleanup(struct image_config *c);

/* ERR_INPUT "image/env": an Env entry without a name and "=", which a runtime might fill from the
 * host (SEC SB53); "image/rootfs": not rootfs type "layers". */
int image_config_parse(const char *text, size_t len, const char *what, struct image_config *ret,
		       struct err *e) WARN_UNUSED;
void image_config_write(const struct image_config *c, struct buf *out);
/* Whether the configuration is that of the manifest (SEC PF15): ERR_INPUT "image/config-mismatch"
 * if the counts of diff_ids, layers and non-empty history entries differ (no history at all is
 * fine), "image/media-type" if the manifest's config is of another type. */
int image_config_check(const struct image_config *c, const struct manifest *m,
		       struct err *e) WARN_UNUSED;

/* What a recipe says about an image; maps and vectors are borrowed. */
struct config_directives {
	const struct map *environment, *labels;
	const struct strvec *cmd, *entrypoint, *full_command;
	bool has_cmd, has_entrypoint, has_full_command;
	const struct strvec *volumes;
	const char *working_dir, *runtime_user; /* NULL: inherited */
	const char *os, *architecture;
	int64_t created_s;
};
/* Merge rules of reference/stackerfile.md 1.8 with U1 as documented upstream (unset cmd and
 * entrypoint are inherited) and U2 fixed (environment in sorted order). Adds the closing
 * empty-layer history entry "stacker build". */
void image_config_apply(struct image_config *c, const struct config_directives *d);
/* Appends one layer and its history entry. Layers of a base without history get entries first,
 * since OCI wants one for each layer or none at all. */
void image_config_add_layer(struct image_config *c, const struct digest *diff_id,
			    const char *created_by, int64_t created_s);

#endif
