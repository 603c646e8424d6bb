/* Reading on to the end with a second reader of the same source. */
#include "image/tar_ahead_internal.h"

bool tar_ahead_is_time(const struct tar_reader *r)
{
	const struct byte_input *in = &r->source->in;
	uint64_t used = in->offset - in->begin;
	const struct entry_gate *gate = r->gate;
	if (r->looked_ahead)
		return false;
	return gate->entries == TAR_LOOK_AHEAD_ENTRIES ||
	       (gate->entries == TAR_LOOK_AHEAD_CHEAP_ENTRIES &&
		used < TAR_LOOK_AHEAD_CHEAP_ENTRIES * TAR_CHEAP_ENTRY_BYTES) ||
	       (gate->name_bytes >= TAR_LOOK_AHEAD_NAMES_BYTES && used < gate->name_bytes / 4);
}

/* Whatever a limit counts is counted by a gate of its own here. */
int tar_ahead_look(struct tar_reader *r, struct err *e)
{
	AUTO(byte_source) source = {.what = NULL};
	struct entry_gate gate = *r->gate;
	struct tar_reader ahead;
	gate.entries = gate.bytes = gate.name_bytes = 0;
	if (byte_source_reopen(r->source, &source, e) < 0)
		return -1;
	tar_reader_init(&ahead, &source, &gate);
	r->looked_ahead = ahead.looked_ahead = true;
	for (bool end = false; !end;) {
		AUTO(entry) entry = {0};
		if (tar_reader_next(&ahead, &entry, &end, e) < 0)
			return -1;
	}
	return 0;
}
