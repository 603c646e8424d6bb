/*
 * Each scope of the table becomes a definition, each directive a property. YAML reads an unquoted
 * 3.10 or yes as a number or a flag, where the parser keeps the text, so every scalar fits a text;
 * and a placeholder of a substitution fits everywhere.
 */
#include "recipe/schema_json.h"

#include <jansson.h>

#include "recipe/schema.h"
#include "util/json_write.h"

/* Takes `value`. */
static void set(json_t *object, const char *key, json_t *value)
{
	BUG_IF(!value || json_object_set_new(object, key, value) != 0);
}

static void add(json_t *array, json_t *value)
{
	BUG_IF(!value || json_array_append_new(array, value) != 0);
}

static json_t *reference(const char *definition)
{
	return json_pack("{s:s+}", "$ref", "#/$defs/", definition);
}

static json_t *value_json(enum schema_value value)
{
	switch (value) {
	case SCHEMA_TEXT:
	case SCHEMA_TEXT_OR_MAP:
		return reference("text");
	case SCHEMA_FLAG:
		return reference("flag");
	case SCHEMA_NUMBER:
		return reference("number");
	case SCHEMA_OCTAL:
		return reference("octal");
	case SCHEMA_ANYTHING:
		return json_object();
	}
	err_bug("unknown kind of value", __FILE__, __LINE__);
}

static json_t *list_json(const struct schema_entry *d)
{
	json_t *list = json_pack("{s:s}", "type", "array");

	if (d->refused) {
		set(list, "maxItems", json_integer(0));
		return list;
	}
	json_t *items = json_array();

	if (!d->has_inner || d->value == SCHEMA_TEXT_OR_MAP)
		add(items, value_json(d->value));
	if (d->has_inner)
		add(items, reference(schema_scope_name(d->inner)));
	set(list, "items", json_pack("{s:o}", "anyOf", items));
	return list;
}

static json_t *map_json(const struct schema_entry *d)
{
	if (d->has_inner)
		return reference(schema_scope_name(d->inner));
	return json_pack("{s:s, s:o}", "type", "object", "additionalProperties",
			 value_json(d->value));
}

static json_t *directive_json(const struct schema_entry *d)
{
	json_t *any = json_array();

	if (d->may_be_scalar)
		add(any, value_json(d->value));
	if (d->may_be_list)
		add(any, list_json(d));
	if (d->may_be_map)
		add(any, map_json(d));
	add(any, json_pack("{s:s}", "type", "null"));
	json_t *directive = json_pack("{s:o}", "anyOf", any);

	if (d->about)
		set(directive, "description", json_string(d->about));
	return directive;
}

/* Creates each scope's definition as its first directive comes. */
static json_t *properties_of(json_t *definitions, enum schema_scope scope)
{
	const char *name = schema_scope_name(scope);

	if (!json_object_get(definitions, name))
		set(definitions, name,
		    json_pack("{s:s, s:b, s:{}}", "type", "object", "additionalProperties", 0,
			      "properties"));
	return json_object_get(json_object_get(definitions, name), "properties");
}

static json_t *definitions_json(void)
{
	json_t *definitions = json_pack(
		"{s:{s:[s,s,s,s]}, s:{s:s, s:s}, s:{s:[{s:s}, {s:s}]}, s:{s:[{s:s,s:i}, {s:s}]},"
		" s:{s:[{s:s,s:i}, {s:s,s:s}, {s:s}]}}",
		"text", "type", "string", "number", "boolean", "null", /* text */
		"placeholder", "type", "string", "pattern",
		"[$][{][{].*[}][}]", /* placeholder */
		"flag", "anyOf", "type", "boolean", "$ref", "#/$defs/placeholder", /* flag */
		"number", "anyOf", "type", "integer", "minimum", 0, "$ref",
		"#/$defs/placeholder", /* number */
		"octal", "anyOf", "type", "integer", "minimum", 0, "type", "string", "pattern",
		"^0o[0-7]+$", "$ref", "#/$defs/placeholder");

	BUG_IF(!definitions);
	for (size_t i = 0; i < schema_entries(); i++) {
		const struct schema_entry d = schema_entry(i);

		if (schema_scope_name(d.scope))
			set(properties_of(definitions, d.scope), d.name, directive_json(&d));
	}
	return definitions;
}

void schema_json(struct buf *out)
{
	json_t *root = json_pack(
		"{s:s, s:s, s:s, s:{s:o}, s:o, s:o}", "$schema",
		"https://json-schema.org/draft/2020-12/schema", "title", "stackerfile", "type",
		"object", "properties", "config",
		json_pack("{s:[o, {s:s}]}", "anyOf", reference("config"), "type", "null"),
		"additionalProperties",
		json_pack("{s:[o, {s:[s]}]}", "allOf", reference("image"), "required", "from"),
		"$defs", definitions_json());

	BUG_IF(!root);
	json_write(root, out);
	buf_add_byte(out, '\n');
	json_decref(root);
}
