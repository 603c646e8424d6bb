/* stacker inspect: what a layout holds. Reads only, and needs no state of a build. */
#include <fcntl.h>
#include <string.h>

#include "build/remote.h"
#include "cli/command.h"
#include "image/layout.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

enum { SHOWN_DIGITS = 12 };

struct inspect_command {
	bool json;
	bool insecure;
	json_t *results; /* with --json */
	struct buf out;
};

static void inspect_command_cleanup(struct inspect_command *c)
{
	json_decref(c->results);
	buf_cleanup(&c->out);
}

/* One tag's documents. */
struct inspected {
	struct descriptor descriptor;
	struct manifest manifest;
	struct json_doc config;
};

static void inspected_cleanup(struct inspected *i)
{
	descriptor_cleanup(&i->descriptor);
	manifest_cleanup(&i->manifest);
	json_doc_cleanup(&i->config);
}

static int read_image(const struct layout *l, const char *tag, struct inspected *ret,
		      struct err *e)
{
	AUTO(buf) manifest = BUF_INIT(LIMIT_MANIFEST_BYTES);
	AUTO(buf) config = BUF_INIT(LIMIT_CONFIG_BYTES);
	if (layout_resolve(l, tag, NULL, NULL, &ret->descriptor, e) < 0 ||
	    layout_blob_read(l, &ret->descriptor.digest, &manifest, e) < 0 ||
	    manifest_parse(buf_text(&manifest), manifest.len, tag, &ret->manifest, e) < 0 ||
	    layout_blob_read(l, &ret->manifest.config.digest, &config, e) < 0)
		return -1;
	return json_read(buf_text(&config), config.len, LIMIT_CONFIG_BYTES, "image config",
			 &ret->config, e);
}

static json_t *descriptor_json(const struct descriptor *d)
{
	char digest[DIGEST_TEXT_MAX];
	digest_format(&d->digest, digest);
	return json_pack("{s:s, s:s, s:I}", "digest", digest, "mediaType", d->media_type,
			 "size", (json_int_t)d->size);
}

static void add_json(struct inspect_command *c, const char *tag, const struct inspected *image)
{
	json_t *layers = json_array();
	for (size_t i = 0; i < image->manifest.layers.len; i++)
		json_array_append_new(layers,
				      descriptor_json(&image->manifest.layers.items[i]));
	json_t *annotations = json_object();
	for (size_t i = 0; i < image->manifest.annotations.len; i++) {
		const struct map_entry *a = &image->manifest.annotations.entries[i];
		json_object_set_new(annotations, a->key, json_string(a->value));
	}
	json_t *item = descriptor_json(&image->descriptor);
	json_object_set_new(item, "name", json_string(tag));
	json_object_set_new(item, "layers", layers);
	json_object_set_new(item, "annotations", annotations);
	json_object_set(item, "config", image->config.root);
	json_array_append_new(c->results, item);
}

static void add_printable(struct buf *out, const char *text)
{
	AUTO_FREE char *printable = str_printable(text, strlen(text));
	buf_add_c(out, printable);
}

static void add_layer(struct buf *out, size_t index, const struct descriptor *d)
{
	char hex[DIGEST_TEXT_MAX];
	char size[32];
	digest_format_hex(&d->digest, hex);
	num_format_size(d->size, size);
	buf_addf(out, "\tlayer %zu: %.*s... (%s, ", index, SHOWN_DIGITS, hex, size);
	add_printable(out, d->media_type);
	buf_add_c(out, ")\n");
}

static void add_text(struct buf *out, const char *tag, const struct inspected *image)
{
	const struct map *annotations = &image->manifest.annotations;
	add_printable(out, tag);
	buf_add_byte(out, '\n');
	for (size_t i = 0; i < image->manifest.layers.len; i++)
		add_layer(out, i, &image->manifest.layers.items[i]);
	if (annotations->len > 0)
		buf_add_c(out, "Annotations:\n");
	for (size_t i = 0; i < annotations->len; i++) {
		buf_add_c(out, "  ");
		add_printable(out, annotations->entries[i].key);
		buf_add_c(out, ": ");
		add_printable(out, annotations->entries[i].value);
		buf_add_byte(out, '\n');
	}
	/* ASCII, since a foreign config must not drive the terminal. */
	AUTO_FREE char *config =
		json_dumps(image->config.root, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	buf_addf(out, "Image config:\n%s\n", config ? config : "");
}

static int inspect(const struct cli *cli, struct inspect_command *c,
		   const struct command_args *args, struct err *e)
{
	AUTO(layout) layout = LAYOUT_INIT;
	AUTO(strvec) tags = {0};
	if (layout_open(AT_FDCWD, cli->dirs.oci, &layout, e) < 0)
		return err_hint(e, "'stacker build' makes it; --oci-dir names another one");
	for (size_t i = 0; i < args->len; i++)
		strvec_push(&tags, args->items[i]);
	if (args->len == 0 && layout_tags(&layout, &tags, e) < 0)
		return -1;
	for (size_t i = 0; i < tags.len; i++) {
		AUTO(inspected) image = {0};
		if (read_image(&layout, tags.items[i], &image, e) < 0)
			return -1;
		if (c->json)
			add_json(c, tags.items[i], &image);
		else
			add_text(&c->out, tags.items[i], &image);
	}
	if (c->json) {
		json_write(c->results, &c->out);
		buf_add_byte(&c->out, '\n');
	}
	return command_print_buf(&c->out, e);
}

/* The tags of a repository, one a line; or {"repository", "tags"}. */
static int list_tags(const struct cli *cli, struct inspect_command *c, const char *url,
		     struct err *e)
{
	AUTO(build_context) context = BUILD_CONTEXT_INIT;
	AUTO(reference) where = {0};
	AUTO(strvec) tags = {0};
	struct registry *r __attribute__((cleanup(registry_close_cleanup))) = NULL;
	if (command_store_open(cli, &context, e) < 0 ||
	    remote_open(&context, url, c->insecure, &where, &r, e) < 0)
		return -1;
	if (where.tag || where.digest.alg != DIGEST_NONE) {
		err_set(e, ERR_USAGE, "cli/usage", "'%s' names one image, not a repository",
			url);
		return err_hint(e, "'stacker copy %s oci:DIR:TAG' brings it here", url);
	}
	if (registry_list_tags(r, &tags, e) < 0)
		return -1;
	json_t *list = json_array();
	for (size_t i = 0; i < tags.len; i++) {
		json_array_append_new(list, json_string(tags.items[i]));
		if (!c->json)
			buf_addf(&c->out, "%s\n", tags.items[i]);
	}
	json_array_append_new(c->results, json_pack("{s:s, s:o}", "repository",
						    registry_name(r), "tags", list));
	return 0;
}

static int inspect_repositories(const struct cli *cli, struct inspect_command *c,
				const struct command_args *args, struct err *e)
{
	for (size_t i = 0; i < args->len; i++)
		if (list_tags(cli, c, args->items[i], e) < 0)
			return -1;
	if (c->json) {
		json_write(c->results, &c->out);
		buf_add_byte(&c->out, '\n');
	}
	return command_print_buf(&c->out, e);
}

static const struct opt options[] = {
	{"insecure", 0, OPT_FLAG, offsetof(struct inspect_command, insecure), NULL,
	 "ask a registry without checking its certificate, or by plain http"},
	{"json", 0, OPT_FLAG, offsetof(struct inspect_command, json), NULL,
	 "print it as JSON: an array with an object an image"},
	{0},
};

static int run_inspect(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	AUTO(inspect_command) c = {.results = json_array(), .out = BUF_INIT(256 * MIB)};
	struct command_args args;
	int status = command_options(self, argc, argv, &c, &args);
	if (status >= 0)
		return status;
	struct err e = ERR_INIT;
	bool is_remote = args.len > 0 && str_has_prefix(args.items[0], REFERENCE_SCHEME);
	int rc = is_remote ? inspect_repositories(cli, &c, &args, &e)
			   : inspect(cli, &c, &args, &e);
	return rc < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_inspect = {
	.name = "inspect",
	.summary = "Shows the images of the output layout, or the tags of a repository.",
	.options = options,
	.args = "[TAG]... | docker://HOST/REPOSITORY...",
	.help = "Each TAG, or all there are: the layers with the beginning of their digests, their\n"
		"sizes and media types, the annotations of the manifest, and the configuration.\n"
		"Digests are checked while reading. Of a repository in a registry: its tags.\n"
		"Exit status: 0 shown, 1 failed, 2 wrong usage.\n",
	.run = run_inspect,
};
