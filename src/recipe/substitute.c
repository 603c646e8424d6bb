/*
 * The text is kept with the offset that each byte has in the user's file; a value has that of its
 * placeholder. Offsets never fall, so one walk at the end turns them into lines and columns.
 */
#include "recipe/substitute.h"

#include <inttypes.h>
#include <string.h>

#include "recipe/value.h"
#include "recipe/yaml.h"
#include "recipe/yaml_text.h"
#include "util/limits.h"
#include "util/mem.h"

enum { SHOWN_MAX_BYTES = 60, LISTED_MAX_BYTES = 200 };

/* Bytes, and where each was in the user's file. */
struct draft {
	char *bytes;
	uint32_t *offsets;
	size_t len, cap;
	bool overflowed;
};

/* One run of substitute(). */
struct job {
	struct str text; /* the user's */
	const char *file;
	struct draft draft;
};

/* A placeholder in a draft. */
struct placeholder {
	size_t at, len;
	struct str key;
	bool has_value; /* a default */
	struct str value;
};

static void draft_cleanup(struct draft *d)
{
	free(d->bytes);
	free(d->offsets);
}

static void job_cleanup(struct job *j)
{
	draft_cleanup(&j->draft);
}

static void reserve(struct draft *d, size_t more)
{
	if (d->cap - d->len >= more)
		return;
	d->cap = d->cap * 2 > d->len + more ? d->cap * 2 : d->len + more;
	d->bytes = mem_realloc_array(d->bytes, d->cap, 1);
	d->offsets = mem_realloc_array(d->offsets, d->cap, sizeof(*d->offsets));
}

static bool fits(struct draft *d, size_t more)
{
	d->overflowed = d->overflowed || more > LIMIT_STACKERFILE_BYTES - d->len;
	return !d->overflowed;
}

/* Copies a part of another draft with its offsets. */
static void add_part(struct draft *d, const struct draft *from, size_t at, size_t len)
{
	if (len == 0 || !fits(d, len))
		return;
	reserve(d, len);
	memcpy(d->bytes + d->len, from->bytes + at, len);
	memcpy(d->offsets + d->len, from->offsets + at, len * sizeof(*d->offsets));
	d->len += len;
}

static void add_value(struct draft *d, const char *value, uint32_t offset)
{
	size_t len = strlen(value);

	if (len == 0 || !fits(d, len))
		return;
	reserve(d, len);
	memcpy(d->bytes + d->len, value, len);
	for (size_t i = 0; i < len; i++)
		d->offsets[d->len + i] = offset;
	d->len += len;
}

static struct pos pos_at(const struct job *j, size_t at)
{
	return yaml_text_pos(j->text.ptr, j->draft.offsets[at], j->file);
}

/* Text for a message, of a placeholder or something like it. */
static char *shown_at(const struct job *j, size_t at, size_t len)
{
	return str_printable(j->draft.bytes + at,
			     len < SHOWN_MAX_BYTES ? len : SHOWN_MAX_BYTES);
}

/* The next "${{", from `at` on; the draft's length if there is none. */
static size_t find_opening(const struct draft *d, size_t at)
{
	const char *found = at < d->len ? memmem(d->bytes + at, d->len - at, "${{", 3) : NULL;

	return found ? (size_t)(found - d->bytes) : d->len;
}

/* What begins with "${{" at `at`. False if it does not end in "}}" before any other "}", or has no
 * key. */
static bool read_placeholder(const struct draft *d, size_t at, struct placeholder *ret)
{
	const char *begin = d->bytes + at + 3;
	size_t left = d->len - at - 3;
	const char *end = memchr(begin, '}', left);

	if (!end || (size_t)(end - begin) + 2 > left || end[1] != '}')
		return false;
	size_t inner_len = (size_t)(end - begin);
	const char *colon = memchr(begin, ':', inner_len);
	size_t key_len = colon ? (size_t)(colon - begin) : inner_len;

	if (key_len == 0)
		return false;
	*ret = (struct placeholder){
		.at = at,
		.len = inner_len + 5,
		.key = {begin, key_len},
		.has_value = colon != NULL,
		.value = {begin + key_len + 1, colon ? inner_len - key_len - 1 : 0},
	};
	return true;
}

static int refuse_nesting(const struct job *j, const struct placeholder *p, struct err *e)
{
	AUTO_FREE char *shown = shown_at(j, p->at, p->len);
	struct pos pos = pos_at(j, p->at);

	if (!memmem(p->value.ptr, p->value.len, "${{", 3))
		return 0;
	err_at(e, &pos, "recipe/bad-placeholder",
	       "default of placeholder '%s' holds another placeholder", shown);
	return err_hint(e, "write the default out");
}

static int refuse_growth(const struct job *j, struct err *e)
{
	struct pos start = {.file = j->file, .line = 1, .column = 1};

	return err_at(e, &start, "recipe/too-big",
		      "file with its substitutions is over the limit of %" PRIu64 " bytes",
		      (uint64_t)LIMIT_STACKERFILE_BYTES);
}

/* Puts `done` in the place of the draft. */
static int replace_draft(struct job *j, struct draft *done, struct err *e)
{
	if (done->overflowed)
		return refuse_growth(j, e);
	draft_cleanup(&j->draft);
	j->draft = *done;
	*done = (struct draft){0};
	return 0;
}

static int apply(struct job *j, const struct substitution *s, struct err *e)
{
	const struct draft *d = &j->draft;
	AUTO(draft) done = {0};
	size_t copied = 0;

	for (size_t at = find_opening(d, 0); at < d->len; at = find_opening(d, at)) {
		struct placeholder p;

		if (!read_placeholder(d, at, &p) || !str_eq_c(p.key, s->key)) {
			at++; /* a placeholder may begin inside of what looked like one */
			continue;
		}
		if (refuse_nesting(j, &p, e) != 0)
			return -1;
		add_part(&done, d, copied, at - copied);
		add_value(&done, s->value, d->offsets[at]);
		at += p.len;
		copied = at;
	}
	if (copied == 0)
		return 0;
	add_part(&done, d, copied, d->len - copied);
	return replace_draft(j, &done, e);
}

/* The length of "$KEY", "${KEY}" or the beginning of "${KEY:" at `at`, 0 if it is none. */
static size_t shell_form(const struct draft *d, size_t at, const char *key, size_t key_len)
{
	bool braced = d->len - at > 1 && d->bytes[at + 1] == '{';
	size_t begin = at + 1 + braced;

	if (d->len - begin < key_len + braced || memcmp(d->bytes + begin, key, key_len) != 0)
		return 0;
	char end = braced ? d->bytes[begin + key_len] : '}';

	return end == '}' || end == ':' ? key_len + 1 + 2 * (size_t)braced : 0;
}

/* The shell would put something else there, or nothing, so one of both is a mistake. */
static int refuse_shell_forms(const struct job *j, const char *key, struct err *e)
{
	const struct draft *d = &j->draft;
	AUTO(buf) lines = BUF_INIT(LISTED_MAX_BYTES);
	size_t key_len = strlen(key), found = 0;

	for (size_t at = 0; at < d->len; at++) {
		const char *dollar = memchr(d->bytes + at, '$', d->len - at);

		if (!dollar)
			break;
		at = (size_t)(dollar - d->bytes);
		size_t len = shell_form(d, at, key, key_len);

		if (len == 0)
			continue;
		struct pos pos = pos_at(j, at);
		AUTO_FREE char *shown = shown_at(j, at, len);

		if (found++ == 0)
			err_at(e, &pos, "recipe/shell-substitution",
			       "'%s' is not substituted, though '%s' is given", shown, key);
		else
			buf_addf(&lines, "%s%u", found > 2 ? ", " : "; also in line ",
				 pos.line);
		if (lines.overflowed)
			break;
	}
	if (found == 0)
		return 0;
	return err_hint(e, "write '${{%s}}' for its value, or rename the shell's variable%s%s",
			key, buf_text(&lines), lines.overflowed ? " ..." : "");
}

static int refuse_placeholder(const struct job *j, size_t at, struct err *e)
{
	const char *begin = j->draft.bytes + at;
	const char *end = memchr(begin, '\n', j->draft.len - at);
	size_t len = end ? (size_t)(end - begin) : j->draft.len - at;
	AUTO_FREE char *shown = shown_at(j, at, len);
	struct pos pos = pos_at(j, at);

	err_at(e, &pos, "recipe/bad-placeholder", "'%s' is not a placeholder", shown);
	return err_hint(e, "write '${{KEY}}' or '${{KEY:default}}', the default without '}'");
}

/* Names all that lack a value, at the place of the first. */
static int refuse_missing(const struct job *j, const struct placeholder *first, struct err *e)
{
	const struct draft *d = &j->draft;
	AUTO_FREE char *key = str_printable(first->key.ptr, first->key.len);
	AUTO(buf) others = BUF_INIT(LISTED_MAX_BYTES);
	struct pos pos = pos_at(j, first->at);
	struct placeholder p;

	for (size_t at = find_opening(d, first->at + 1); at < d->len && !others.overflowed;
	     at = find_opening(d, at + 1)) {
		if (!read_placeholder(d, at, &p) || p.has_value || str_eq(p.key, first->key))
			continue;
		AUTO_FREE char *shown = str_printable(p.key.ptr, p.key.len);

		buf_addf(&others, "%s%s", others.len ? ", " : "; missing is also ", shown);
	}
	err_at(e, &pos, "recipe/no-substitution", "no value for substitution %s", key);
	if (first->key.len > 0 && (key[0] == ' ' || key[first->key.len - 1] == ' '))
		return err_hint(e, "write the key without spaces, as in '${{KEY}}'");
	return err_hint(e,
			"give it by --substitute %s=VALUE, or a default: '${{%s:default}}'%s%s",
			key, key, buf_text(&others), others.overflowed ? " ..." : "");
}

static int apply_defaults(struct job *j, struct err *e)
{
	const struct draft *d = &j->draft;
	AUTO(draft) done = {0};
	size_t copied = 0;

	for (size_t at = find_opening(d, 0); at < d->len; at = find_opening(d, copied)) {
		struct placeholder p;

		if (!read_placeholder(d, at, &p))
			return refuse_placeholder(j, at, e);
		if (!p.has_value)
			return refuse_missing(j, &p, e);
		if (refuse_nesting(j, &p, e) != 0)
			return -1;
		add_part(&done, d, copied, at - copied);
		add_part(&done, d, (size_t)(p.value.ptr - d->bytes), p.value.len);
		copied = at + p.len;
	}
	if (copied == 0)
		return 0;
	add_part(&done, d, copied, d->len - copied);
	if (replace_draft(j, &done, e) != 0)
		return -1;
	/* The "$" at the end of a default and "{{" behind it. */
	size_t left = find_opening(d, 0);

	return left < d->len ? refuse_placeholder(j, left, e) : 0;
}

static bool begins_character(char byte)
{
	return ((uint8_t)byte & 0xc0) != 0x80;
}

static void find_places(const struct job *j, struct text_places *ret)
{
	const struct draft *d = &j->draft;
	struct text_place place = {1, 1};
	size_t offset = 0;

	ret->items = mem_zalloc(d->len + 1, sizeof(*ret->items));
	ret->len = 0;
	for (size_t i = 0; i <= d->len; i++) {
		if (i < d->len && !begins_character(d->bytes[i]))
			continue;
		for (size_t to = i < d->len ? d->offsets[i] : j->text.len; offset < to;
		     offset++) {
			if (j->text.ptr[offset] == '\n')
				place = (struct text_place){place.line + 1, 1};
			else if (begins_character(j->text.ptr[offset]))
				place.column++;
		}
		ret->items[ret->len++] = place;
	}
}

int substitute(const struct substitution_vec *v, struct str text, const char *file,
	       struct buf *ret_text, struct text_places *ret_places, struct err *e)
{
	AUTO(job) j = {.text = text, .file = file};

	if (memchr(text.ptr, '$', text.len) == NULL) {
		buf_add(ret_text, text.ptr, text.len);
		return 0;
	}
	reserve(&j.draft, text.len);
	memcpy(j.draft.bytes, text.ptr, text.len);
	for (size_t i = 0; i < text.len; i++)
		j.draft.offsets[i] = (uint32_t)i;
	j.draft.len = text.len;
	for (size_t i = 0; v && i < v->len; i++)
		if (apply(&j, &v->items[i], e) != 0 ||
		    refuse_shell_forms(&j, v->items[i].key, e) != 0)
			return -1;
	if (apply_defaults(&j, e) != 0)
		return -1;
	buf_add(ret_text, j.draft.bytes, j.draft.len);
	find_places(&j, ret_places);
	return 0;
}

void text_places_cleanup(struct text_places *p)
{
	free(p->items);
	*p = (struct text_places){0};
}

void substitution_vec_cleanup(struct substitution_vec *v)
{
	for (size_t i = 0; i < v->len; i++) {
		free(v->items[i].key);
		free(v->items[i].value);
	}
	vec_free(v);
}

static const struct substitution *find(const struct substitution_vec *v, const char *key)
{
	for (size_t i = 0; i < v->len; i++)
		if (str_same(v->items[i].key, key))
			return &v->items[i];
	return NULL;
}

static int refuse_pair(const char *pair, size_t len, const char *why, struct err *e)
{
	AUTO_FREE char *shown =
		str_printable(pair, len < SHOWN_MAX_BYTES ? len : SHOWN_MAX_BYTES);

	return err_set(e, ERR_USAGE, "recipe/bad-substitution", "substitution '%s' %s", shown,
		       why);
}

/* Without what ends a key in a placeholder or would make one inside of it. */
static bool is_key(const char *key)
{
	size_t len = strlen(key);

	if (len == 0 || !str_is_utf8(key, len))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)key[i] <= ' ' || key[i] == 0x7f || strchr(":{}$", key[i]))
			return false;
	return true;
}

static int push(struct substitution_vec *v, const char *key, const char *value, struct err *e)
{
	struct err why = ERR_INIT;

	if (!is_key(key)) {
		refuse_pair(key, strlen(key), "has a key that no placeholder can hold", e);
		return err_hint(e, "use letters, digits and '_'");
	}
	/* Values reach the file after it was checked, so they must be as clean themselves. */
	if (strchr(value, '\r') || yaml_text_check(value, strlen(value), key, &why) != 0)
		return refuse_pair(key, strlen(key),
				   "has a value that may not stand in a stackerfile", e);
	if (v->len == LIMIT_SUBSTITUTIONS)
		return err_set(e, ERR_USAGE, "recipe/bad-substitution",
			       "more than %d substitutions", LIMIT_SUBSTITUTIONS);
	const struct substitution s = {.key = mem_strdup(key), .value = mem_strdup(value)};
	vec_push(v, s);
	return 0;
}

int substitution_add(struct substitution_vec *v, const char *pair, struct err *e)
{
	const char *sign = strchr(pair, '=');

	if (!sign) {
		refuse_pair(pair, strlen(pair), "has no '='", e);
		return err_hint(e, "write it as KEY=VALUE");
	}
	AUTO_FREE char *key = mem_strndup(pair, (size_t)(sign - pair));
	const struct substitution *before = find(v, key);

	if (!before)
		return push(v, key, sign + 1, e);
	if (str_same(before->value, sign + 1))
		return 0;
	return refuse_pair(key, strlen(key), "is given two values", e);
}

int substitution_add_default(struct substitution_vec *v, const char *key, const char *value,
			     struct err *e)
{
	return find(v, key) ? 0 : push(v, key, value, e);
}

static int add_map(struct substitution_vec *v, const struct node *root, struct err *e)
{
	if (root->kind != NODE_MAPPING)
		return value_wrong_type(root, "substitutions", "a map of texts", e);
	for (size_t i = 0; i < root->len; i++) {
		const char *value = NULL;

		if (value_text(root->items[i], root->keys[i]->text, &value, e) != 0)
			return -1;
		if (substitution_add_default(v, root->keys[i]->text, value, e) == 0)
			continue;
		err_recode(e, ERR_RECIPE, "recipe/bad-substitution");
		return err_locate(e, &root->keys[i]->pos);
	}
	return 0;
}

int substitution_add_file(struct substitution_vec *v, const char *text, size_t len,
			  const char *file, struct err *e)
{
	AUTO(yaml_document) document = {0};

	if (yaml_parse(text, len, file, &document, e) != 0)
		return -1;
	if (!document.root || node_is_null(document.root))
		return 0;
	return add_map(v, document.root, e);
}
