/* Collecting substitutions in the order in which they are applied. */
#include "build/substitutions.h"

#include <fcntl.h>

#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"

static int add_file(const char *path, struct substitution_vec *v, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	if (path_read_file(AT_FDCWD, path, &text, e) < 0)
		return -1;
	return substitution_add_file(v, buf_text(&text), text.len, path, e);
}

static int add_places(const struct build_dirs *dirs, struct substitution_vec *v, struct err *e)
{
	AUTO_FREE char *here = getcwd(NULL, 0);
	if (!here)
		return err_sys(e, "cannot tell the working directory");
	const struct {
		const char *key;
		const char *path;
	} places[] = {
		{"STACKER_ROOTFS_DIR", dirs->roots},
		{"STACKER_STACKER_DIR", dirs->state},
		{"STACKER_OCI_DIR", dirs->oci},
	};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		AUTO_FREE char *joined = path_join(here, places[i].path);
		AUTO_FREE char *absolute = path_clean(joined);
		if (substitution_add_default(v, places[i].key, absolute, e) < 0)
			return -1;
	}
	return substitution_add_default(v, "STACKER_WORK_DIR", dirs->work ? dirs->work : "", e);
}

int substitutions_collect(const struct substitutions_options *options,
			  struct substitution_vec *ret, struct err *e)
{
	AUTO(substitution_vec) v = {0};
	for (size_t i = 0; i < options->pairs_len; i++)
		if (substitution_add(&v, options->pairs[i], e) < 0)
			return -1;
	if ((options->file && add_file(options->file, &v, e) < 0) ||
	    add_places(options->dirs, &v, e) < 0)
		return -1;
	*ret = v;
	v = (struct substitution_vec){0};
	return 0;
}
