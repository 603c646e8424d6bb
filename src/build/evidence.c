/* From the sandbox's record to JSON. What is absent was not known; what is empty did not occur.
 */
#include "build/evidence.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "recipe/canon.h"
#include "util/atomic_file.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

#define EVIDENCE_SCHEMA STACKER_BASE_URI "evidence/v1"
#define EVIDENCE_BYTES (256 * KIB) /* all rows of a full record are a fifth of it */

/* The document as its cleanup wants it. */
struct json_value {
	json_t *json;
};

static void json_value_cleanup(struct json_value *v)
{
	json_decref(v->json);
}

/* Takes `value`; only a lack of memory could fail. */
static void set(json_t *object, const char *key, json_t *value)
{
	BUG_IF(!value || json_object_set_new(object, key, value) != 0);
}

static void add(json_t *array, json_t *value)
{
	BUG_IF(!value || json_array_append_new(array, value) != 0);
}

static void set_count(json_t *object, const char *key, uint64_t count)
{
	static const uint64_t most = (UINT64_C(1) << 53) - 1;
	set(object, key, json_integer((json_int_t)(count < most ? count : most)));
}

static json_t *call_row(uint32_t number, uint64_t count)
{
	char name[EVIDENCE_NAME_MAX];
	json_t *row = json_object();
	set(row, "call", json_string(sandbox_call_name(number, name)));
	set_count(row, "count", count);
	return row;
}

static const char *errno_name(uint32_t number)
{
	static const struct {
		uint32_t number;
		const char *name;
	} names[] = {{EPERM, "EPERM"},
		     {EACCES, "EACCES"},
		     {ENOSYS, "ENOSYS"},
		     {EINVAL, "EINVAL"},
		     {EAFNOSUPPORT, "EAFNOSUPPORT"}};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].number == number)
			return names[i].name;
	return "other";
}

static json_t *calls_json(const struct sandbox_evidence *ev)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < ev->calls_len; i++) {
		const struct evidence_call *c = &ev->calls[i];
		json_t *row = call_row(c->number, c->count);
		if (c->has_argument)
			set_count(row, "argument", c->argument);
		set(row, "error", json_string(errno_name(c->error)));
		add(rows, row);
	}
	return rows;
}

static json_t *addresses_json(const struct sandbox_evidence *ev)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < ev->addresses_len; i++) {
		const struct evidence_address *a = &ev->addresses[i];
		char text[INET6_ADDRSTRLEN];
		json_t *row = call_row(a->number, a->count);
		add(rows, row);
		if (!a->readable)
			continue;
		bool is_ip = a->family == AF_INET || a->family == AF_INET6;
		set_count(row, "family", a->family);
		if (!is_ip || !inet_ntop(a->family, a->bytes, text, sizeof(text)))
			continue;
		set(row, "address", json_string(text));
		set_count(row, "port", a->port);
	}
	return rows;
}

static json_t *set_ids_json(const struct sandbox_evidence *ev)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < ev->set_ids_len; i++) {
		const struct evidence_set_id *s = &ev->set_ids[i];
		json_t *row = call_row(s->number, s->count);
		json_t *ids = json_array();
		/* -1: the call leaves that id as it is. */
		for (size_t k = 0; k < s->ids_len; k++)
			add(ids,
			    json_integer(s->ids[k] == UINT32_MAX ? -1 : (json_int_t)s->ids[k]));
		set(row, "ids", ids);
		add(rows, row);
	}
	return rows;
}

static json_t *programs_json(const struct sandbox_evidence *ev)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < ev->programs_len; i++) {
		const struct evidence_program *p = &ev->programs[i];
		char mode[8];
		json_t *row = json_object();
		/* The step chose its bytes; JSON takes UTF-8 only. */
		AUTO_FREE char *path = str_printable(p->path, strlen(p->path));
		snprintf(mode, sizeof(mode), "%04o", p->mode);
		set(row, "path", json_string(path));
		set(row, "mode", json_string(mode));
		set_count(row, "count", p->count);
		add(rows, row);
	}
	return rows;
}

static const char *cgroup_name(enum evidence_cgroup kind)
{
	switch (kind) {
	case EVIDENCE_CGROUP_NONE:
		return "watchdog";
	case EVIDENCE_CGROUP_V1:
		return "cgroup-v1";
	case EVIDENCE_CGROUP_V2:
		return "cgroup-v2";
	}
	BUG_IF(true);
}

static json_t *limit_json(uint64_t value, const char *by)
{
	json_t *limit = json_object();
	set_count(limit, "value", value);
	set(limit, "by", json_string(by));
	return limit;
}

static json_t *limits_json(const struct sandbox_limits *l, const struct sandbox_evidence *ev)
{
	json_t *limits = json_object();
	set(limits, "memory_bytes", limit_json(l->memory_bytes, cgroup_name(ev->memory_by)));
	set(limits, "processes", limit_json(l->processes, cgroup_name(ev->processes_by)));
	set(limits, "disk_bytes", limit_json(l->disk_bytes, "watchdog"));
	set(limits, "files", limit_json(l->files, "watchdog"));
	set(limits, "time_ms", limit_json(l->wall_ms, "supervisor"));
	set(limits, "log_bytes", limit_json(l->log_bytes, "supervisor"));
	return limits;
}

static json_t *reached_json(const struct sandbox_evidence *ev)
{
	json_t *reached = json_array();
	if (ev->limit != SANDBOX_LIMIT_NONE)
		add(reached, json_string(sandbox_limit_name(ev->limit)));
	if (ev->tmp_full)
		add(reached, json_string("/tmp"));
	if (ev->run_full)
		add(reached, json_string("/run"));
	if (ev->shm_full)
		add(reached, json_string("/dev/shm"));
	return reached;
}

static json_t *isolation_json(const struct job *j)
{
	static const char *const namespaces[] = {"user", "mount", "pid",   "network",
						 "ipc",	 "uts",	  "cgroup"};
	const struct sandbox_evidence *ev = &j->step.evidence;
	char digest[DIGEST_TEXT_MAX], caps[24];
	json_t *isolation = json_object(), *list = json_array();
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
		add(list, json_string(namespaces[i]));
	digest_format(&j->c->policy_digest, digest);
	snprintf(caps, sizeof(caps), "0x%016" PRIx64, j->c->policy.step_caps);
	set(isolation, "namespaces", list);
	set(isolation, "policy", json_string(digest));
	set(isolation, "seccomp", json_string("allow-list"));
	set(isolation, "notify", json_string(ev->watched ? "present" : "absent"));
	set(isolation, "no_new_privs", json_true());
	set(isolation, "capabilities", json_string(caps));
	set(isolation, "ids", json_string(ev->dedicated_ids ? "dedicated" : "subordinate"));
	set(isolation, "kernel", json_string(ev->kernel));
	set_count(isolation, "landlock_abi", (uint64_t)ev->landlock_abi);
	return isolation;
}

static json_t *normalised_json(const struct job *j)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < j->normalised.len; i++) {
		const char *text = j->normalised.items[i], *space = strchr(text, ' ');
		BUG_IF(!space);
		json_t *row = json_object();
		set(row, "rule", json_stringn(text, (size_t)(space - text)));
		set(row, "path", json_string(space + 1));
		add(rows, row);
	}
	return rows;
}

static json_t *record_json(const struct job *j)
{
	const struct sandbox_evidence *ev = &j->step.evidence;
	char digest[DIGEST_TEXT_MAX];
	json_t *record = json_object();
	digest_format(&j->image->digest, digest);
	set(record, "schema", json_string(EVIDENCE_SCHEMA));
	set(record, "image", json_string(j->image->recipe->name));
	set(record, "recipe", json_string(digest));
	set(record, "isolation", isolation_json(j));
	set(record, "limits", limits_json(j->image->limits, ev));
	set(record, "limits_reached", reached_json(ev));
	if (ev->limit == SANDBOX_LIMIT_NONE)
		set(record, "exit_code", json_integer(j->step.exit_code));
	set_count(record, "wall_ms", j->step.wall_ms);
	if (ev->memory_peak_bytes > 0)
		set_count(record, "memory_peak_bytes", ev->memory_peak_bytes);
	if (j->normalised.len > 0) {
		set(record, "normalised", normalised_json(j));
		set_count(record, "more_normalised", j->more_normalised);
	}
	if (!ev->watched)
		return record;
	set(record, "refused_calls", calls_json(ev));
	set(record, "network", addresses_json(ev));
	set(record, "set_ids", set_ids_json(ev));
	set(record, "set_id_programs", programs_json(ev));
	set_count(record, "more_set_id_programs", ev->programs_more);
	set_count(record, "more_refused_calls", ev->calls_more);
	set_count(record, "more_network", ev->addresses_more);
	set_count(record, "more_set_ids", ev->set_ids_more);
	return record;
}

void evidence_file_name(const struct digest *recipe, char out[EVIDENCE_FILE_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(recipe, hex);
	snprintf(out, EVIDENCE_FILE_MAX, "%s.evidence.json", hex);
}

/* Beside the record of `run`, which is the one that is shown. */
static void labels_file_name(const struct digest *recipe, char out[EVIDENCE_FILE_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(recipe, hex);
	snprintf(out, EVIDENCE_FILE_MAX, "%s.labels.evidence.json", hex);
}

int evidence_save(const struct job *j, struct err *e)
{
	char name[EVIDENCE_FILE_MAX];
	AUTO(json_value) record = {record_json(j)};
	AUTO(buf) text = BUF_INIT(EVIDENCE_BYTES);
	json_write(record.json, &text);
	buf_add_byte(&text, '\n');
	if (buf_check(&text, "evidence", e) < 0)
		return -1;
	if (j->makes_labels)
		labels_file_name(&j->image->digest, name);
	else
		evidence_file_name(&j->image->digest, name);
	return atomic_file_write(j->c->cache_fd, name, 0644, buf_text(&text), text.len, e);
}

int evidence_load(const struct build_context *c, const struct digest *recipe, json_t **ret,
		  struct err *e)
{
	char name[EVIDENCE_FILE_MAX];
	AUTO(json_doc) doc = {0};
	AUTO(buf) text = BUF_INIT(EVIDENCE_BYTES);
	*ret = NULL;
	evidence_file_name(recipe, name);
	if (path_read_file(c->cache_fd, name, &text, e) < 0) {
		if (e->saved_errno != ENOENT)
			return -1;
		*e = (struct err)ERR_INIT;
		return 0;
	}
	if (json_read(buf_text(&text), text.len, EVIDENCE_BYTES, name, &doc, e) < 0)
		return -1;
	*ret = TAKE_PTR(doc.root);
	return 0;
}
