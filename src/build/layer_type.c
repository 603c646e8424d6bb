/* Names of layer types. */
#include "build/layer_type.h"

#include "util/mem.h"
#include "util/str.h"

const char *layer_type_name(enum layer_type type)
{
	switch (type) {
	case LAYER_TYPE_TAR:
		return "tar";
	case LAYER_TYPE_SQUASHFS:
		return "squashfs";
	case LAYER_TYPE_EROFS:
		return "erofs";
	}
	BUG_IF(true);
}

static int add(struct layer_types *types, const char *name, struct err *e)
{
	for (size_t type = 0; type < LAYER_TYPES; type++) {
		if (!str_same(layer_type_name((enum layer_type)type), name))
			continue;
		for (size_t i = 0; i < types->len; i++)
			if (types->items[i] == type)
				return 0;
		types->items[types->len++] = (enum layer_type)type;
		return 0;
	}
	err_set(e, ERR_USAGE, "build/layer-type", "there is no layer type '%s'", name);
	return err_hint(e, "the types are tar, squashfs and erofs");
}

int layer_types_add(struct layer_types *types, const struct strvec *names, bool no_verity,
		    struct err *e)
{
	for (size_t type = 0; type < LAYER_TYPES; type++)
		types->no_verity[type] = no_verity;
	for (size_t i = 0; i < names->len; i++)
		if (add(types, names->items[i], e) < 0)
			return -1;
	return 0;
}

char *layer_type_tag(const char *image, enum layer_type type)
{
	return type == LAYER_TYPE_TAR ? mem_strdup(image)
				      : mem_printf("%s-%s", image, layer_type_name(type));
}

bool layer_type_has(enum layer_type type, const char *media_type)
{
	switch (type) {
	case LAYER_TYPE_TAR:
		return layer_fs_of(media_type) == LAYER_FS_NONE;
	case LAYER_TYPE_SQUASHFS:
		return layer_fs_of(media_type) == LAYER_FS_SQUASHFS;
	case LAYER_TYPE_EROFS:
		return layer_fs_of(media_type) == LAYER_FS_EROFS;
	}
	BUG_IF(true);
}
