/* One line a fact: what it is about, then the fact. The record came from a file that others may
 * have written to, so that no member of it is taken for granted. */
#include "cli/evidence.h"

#include <inttypes.h>
#include <stdio.h>

#include "util/buf.h"
#include "util/log.h"
#include "util/mem.h"

enum { LINE_MAX_BYTES = 1024 };

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "?";
}

static int64_t number_of(const json_t *object, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(object, key));
}

static void add_list(struct buf *line, const json_t *list)
{
	size_t i;
	const json_t *item;
	json_array_foreach(list, i, item)
	{
		buf_add_c(line, i ? "," : "");
		if (json_is_integer(item))
			buf_addf(line, "%" PRId64, (int64_t)json_integer_value(item));
		else if (json_is_string(item))
			buf_add_c(line, json_string_value(item));
	}
}

static void show(const char *about, const struct buf *line)
{
	log_note("  %-10s %s", about, buf_text(line));
}

static void show_isolation(const json_t *isolation)
{
	AUTO(buf) line = BUF_INIT(LINE_MAX_BYTES);
	buf_add_c(&line, "namespaces ");
	add_list(&line, json_object_get(isolation, "namespaces"));
	buf_addf(&line, "; seccomp %s, notify %s; capabilities %s; %s ids; kernel %s",
		 text_of(isolation, "seccomp"), text_of(isolation, "notify"),
		 text_of(isolation, "capabilities"), text_of(isolation, "ids"),
		 text_of(isolation, "kernel"));
	show("isolation", &line);
}

static void show_limits(const json_t *record)
{
	AUTO(buf) line = BUF_INIT(LINE_MAX_BYTES);
	const json_t *limits = json_object_get(record, "limits");
	const json_t *reached = json_object_get(record, "limits_reached");
	buf_addf(&line, "memory by %s, processes by %s; reached: ",
		 text_of(json_object_get(limits, "memory_bytes"), "by"),
		 text_of(json_object_get(limits, "processes"), "by"));
	if (json_array_size(reached) == 0)
		buf_add_c(&line, "none");
	add_list(&line, reached);
	show("limits", &line);
}

static void add_refused(struct buf *line, const json_t *row)
{
	buf_add_c(line, text_of(row, "call"));
	if (json_object_get(row, "argument"))
		buf_addf(line, "(%" PRId64 ")", number_of(row, "argument"));
	buf_addf(line, " %s", text_of(row, "error"));
}

static void add_address(struct buf *line, const json_t *row)
{
	buf_addf(line, "%s to ", text_of(row, "call"));
	if (json_object_get(row, "address"))
		buf_addf(line, "%s port %" PRId64, text_of(row, "address"),
			 number_of(row, "port"));
	else if (json_object_get(row, "family"))
		buf_addf(line, "an address of family %" PRId64, number_of(row, "family"));
	else
		buf_add_c(line, "an address that could not be read");
}

static void add_set_id(struct buf *line, const json_t *row)
{
	buf_addf(line, "%s(", text_of(row, "call"));
	add_list(line, json_object_get(row, "ids"));
	buf_add_c(line, ")");
}

static void add_program(struct buf *line, const json_t *row)
{
	buf_addf(line, "%s of mode %s executed, without effect of its bits",
		 text_of(row, "path"), text_of(row, "mode"));
}

static void show_rows(const json_t *record, const char *key, const char *about,
		      void (*add)(struct buf *line, const json_t *row))
{
	size_t i;
	const json_t *row;
	json_array_foreach(json_object_get(record, key), i, row)
	{
		AUTO(buf) line = BUF_INIT(LINE_MAX_BYTES);
		add(&line, row);
		buf_addf(&line, " (%" PRId64 " times)", number_of(row, "count"));
		show(about, &line);
	}
	AUTO_FREE char *more_key = mem_printf("more_%s", key);
	int64_t more = number_of(record, more_key);
	AUTO(buf) line = BUF_INIT(LINE_MAX_BYTES);
	buf_addf(&line, "%" PRId64 " more of other kinds", more);
	if (more > 0)
		show(about, &line);
}

static void show_normalised(const json_t *record)
{
	size_t i;
	const json_t *row;
	json_array_foreach(json_object_get(record, "normalised"), i, row)
	{
		AUTO(buf) line = BUF_INIT(LINE_MAX_BYTES);
		buf_addf(&line, "%s: %s", text_of(row, "path"), text_of(row, "rule"));
		show("normalised", &line);
	}
	int64_t more = number_of(record, "more_normalised");
	AUTO(buf) line = BUF_INIT(LINE_MAX_BYTES);
	buf_addf(&line, "%" PRId64 " more files", more);
	if (more > 0)
		show("normalised", &line);
}

void evidence_show(const json_t *record)
{
	log_note("evidence of the step of %s", text_of(record, "image"));
	show_isolation(json_object_get(record, "isolation"));
	show_limits(record);
	show_rows(record, "refused_calls", "refused", add_refused);
	show_rows(record, "network", "network", add_address);
	show_rows(record, "set_ids", "set-id", add_set_id);
	show_rows(record, "set_id_programs", "set-id", add_program);
	show_normalised(record);
}
