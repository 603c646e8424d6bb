/* What changed from one lock to another. */
#include "cli/lock_report.h"

#include "util/clock.h"
#include "util/num.h"

static void add_pin(struct buf *out, const struct lockfile_pin *pin)
{
	char hash[DIGEST_TEXT_MAX];
	char size[32];
	digest_format(&pin->hash, hash);
	num_format_size((uint64_t)pin->size, size);
	buf_addf(out, " %s (%s)", hash, size);
}

static void add_line(void *ctx, const struct lockfile_difference *d)
{
	static const char signs[] = {
		[LOCKFILE_ADDED] = '+', [LOCKFILE_REMOVED] = '-', [LOCKFILE_CHANGED] = '~'};
	const struct lockfile_pin *named = d->after ? d->after : d->before;
	struct buf *out = ctx;
	buf_addf(out, "%c %s", signs[d->change], named->url);
	if (d->before)
		add_pin(out, d->before);
	if (d->before && d->after)
		buf_add_c(out, " ->");
	if (d->after)
		add_pin(out, d->after);
	buf_add_byte(out, '\n');
}

void lock_report_text(const struct lockfile *before, const struct lockfile *after,
		      struct buf *out)
{
	lockfile_compare(before, after, add_line, out);
}

static json_t *pin_json(const struct lockfile_pin *pin)
{
	char hash[DIGEST_TEXT_MAX];
	char locked[32];
	digest_format(&pin->hash, hash);
	clock_format_rfc3339(pin->locked_s, locked);
	return json_pack("{s:s, s:I, s:s}", "hash", hash, "size", (json_int_t)pin->size,
			 "locked", locked);
}

static void add_change(void *ctx, const struct lockfile_difference *d)
{
	static const char *const names[] = {[LOCKFILE_ADDED] = "added",
					    [LOCKFILE_REMOVED] = "removed",
					    [LOCKFILE_CHANGED] = "changed"};
	const struct lockfile_pin *named = d->after ? d->after : d->before;
	json_t *changes = ctx;
	json_t *change = json_pack("{s:s, s:s}", "change", names[d->change], "url", named->url);
	if (d->before)
		json_object_set_new(change, "before", pin_json(d->before));
	if (d->after)
		json_object_set_new(change, "after", pin_json(d->after));
	json_array_append_new(changes, change);
}

json_t *lock_report_json(const struct lockfile *before, const struct lockfile *after)
{
	json_t *changes = json_array();
	lockfile_compare(before, after, add_change, changes);
	json_t *report = json_pack("{s:o}", "changes", changes);
	if (before->source_date_epoch != after->source_date_epoch)
		json_object_set_new(report, "source_date_epoch",
				    json_pack("{s:I, s:I}", "before",
					      (json_int_t)before->source_date_epoch, "after",
					      (json_int_t)after->source_date_epoch));
	return report;
}
