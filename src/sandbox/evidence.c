/* The record's rows. Linear search: they are few, and a refused call costs far more by itself.
 */
#include "sandbox/evidence.h"

#include <linux/landlock.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "sandbox/evidence_internal.h"
#include "util/mem.h"

/* Which argument says what a call was for. */
static const struct {
	int number;
	unsigned argument;
} telling[] = {
	{SYS_socket, 0}, {SYS_socketpair, 0}, {SYS_ioctl, 1},	    {SYS_prctl, 0},
	{SYS_clone, 0},	 {SYS_unshare, 0},    {SYS_personality, 0}, {SYS_keyctl, 0},
	{SYS_ptrace, 0}, {SYS_bpf, 0},	      {SYS_fcntl, 1},
};

/* Calls that set ids, and how many of their arguments are ids. */
static const struct {
	int number;
	uint32_t ids_len;
} set_id_calls[] = {
	{SYS_setuid, 1},   {SYS_setgid, 1},    {SYS_setreuid, 2},
	{SYS_setregid, 2}, {SYS_setresuid, 3}, {SYS_setresgid, 3},
	{SYS_setfsuid, 1}, {SYS_setfsgid, 1},  {SYS_setgroups, 0},
};

bool evidence_is_observed(int number)
{
	for (size_t i = 0; i < ARRAY_LEN(set_id_calls); i++)
		if (set_id_calls[i].number == number)
			return true;
	return number == SYS_connect || number == SYS_execve || number == SYS_execveat ||
	       number == SYS_memfd_create;
}

void evidence_add_refused(struct sandbox_evidence *ev, const struct seccomp_data *call,
			  int error)
{
	struct evidence_call row = {.number = (uint32_t)call->nr, .error = (uint32_t)error};
	for (size_t i = 0; i < ARRAY_LEN(telling); i++) {
		if (telling[i].number != call->nr)
			continue;
		row.has_argument = true;
		row.argument = (uint32_t)call->args[telling[i].argument];
	}
	for (size_t i = 0; i < ev->calls_len; i++) {
		struct evidence_call *have = &ev->calls[i];
		if (have->number == row.number && have->error == row.error &&
		    have->argument == row.argument) {
			have->count++;
			return;
		}
	}
	if (ev->calls_len == EVIDENCE_CALLS_MAX) {
		ev->calls_more++;
		return;
	}
	row.count = 1;
	ev->calls[ev->calls_len++] = row;
}

static void parse_address(const struct sockaddr_storage *address, size_t len,
			  struct evidence_address *row)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	if (len < sizeof(address->ss_family))
		return;
	row->readable = true;
	row->family = address->ss_family;
	if (row->family == AF_INET && len >= sizeof(*in)) {
		row->port = ntohs(in->sin_port);
		memcpy(row->bytes, &in->sin_addr, sizeof(in->sin_addr));
	}
	if (row->family == AF_INET6 && len >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		row->port = ntohs(in6->sin6_port);
		memcpy(row->bytes, &in6->sin6_addr, sizeof(in6->sin6_addr));
	}
}

void evidence_add_address(struct sandbox_evidence *ev, uint32_t number,
			  const struct sockaddr_storage *address, size_t len)
{
	struct evidence_address row = {.number = number};
	parse_address(address, len, &row);
	/* A socket of its own file system or an abstract one of its own namespace. */
	if (row.readable && row.family == AF_UNIX)
		return;
	for (size_t i = 0; i < ev->addresses_len; i++) {
		struct evidence_address *have = &ev->addresses[i];
		if (have->number == row.number && have->readable == row.readable &&
		    have->family == row.family && have->port == row.port &&
		    memcmp(have->bytes, row.bytes, sizeof(row.bytes)) == 0) {
			have->count++;
			return;
		}
	}
	if (ev->addresses_len == EVIDENCE_ADDRESSES_MAX) {
		ev->addresses_more++;
		return;
	}
	row.count = 1;
	ev->addresses[ev->addresses_len++] = row;
}

static void add_set_id(struct sandbox_evidence *ev, const struct evidence_set_id *row)
{
	for (size_t i = 0; i < ev->set_ids_len; i++) {
		struct evidence_set_id *have = &ev->set_ids[i];
		if (have->number == row->number &&
		    memcmp(have->ids, row->ids, sizeof(row->ids)) == 0) {
			have->count++;
			return;
		}
	}
	if (ev->set_ids_len == EVIDENCE_SET_IDS_MAX) {
		ev->set_ids_more++;
		return;
	}
	ev->set_ids[ev->set_ids_len] = *row;
	ev->set_ids[ev->set_ids_len++].count = 1;
}

bool evidence_add_set_id(struct sandbox_evidence *ev, const struct seccomp_data *call)
{
	for (size_t i = 0; i < ARRAY_LEN(set_id_calls); i++) {
		if (set_id_calls[i].number != call->nr)
			continue;
		struct evidence_set_id row = {.number = (uint32_t)call->nr,
					      .ids_len = set_id_calls[i].ids_len};
		for (size_t k = 0; k < row.ids_len; k++)
			row.ids[k] = (uint32_t)call->args[k];
		add_set_id(ev, &row);
		return true;
	}
	return false;
}

void evidence_add_program(struct sandbox_evidence *ev, const char *path, uint32_t mode)
{
	char cut[EVIDENCE_PATH_MAX];
	snprintf(cut, sizeof(cut), "%s", path);
	for (size_t i = 0; i < ev->programs_len; i++) {
		if (strcmp(ev->programs[i].path, cut) == 0 && ev->programs[i].mode == mode) {
			ev->programs[i].count++;
			return;
		}
	}
	if (ev->programs_len == EVIDENCE_PROGRAMS_MAX) {
		ev->programs_more++;
		return;
	}
	struct evidence_program *row = &ev->programs[ev->programs_len++];
	*row = (struct evidence_program){.mode = mode, .count = 1};
	snprintf(row->path, sizeof(row->path), "%s", cut);
}

void evidence_note_machine(struct sandbox_evidence *ev)
{
	struct utsname name;
	if (uname(&name) == 0)
		snprintf(ev->kernel, sizeof(ev->kernel), "%s", name.release);
	long abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	ev->landlock_abi = abi > 0 ? (int)abi : 0;
}

const char *sandbox_call_name(uint32_t number, char out[EVIDENCE_NAME_MAX])
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);
	if (name)
		snprintf(out, EVIDENCE_NAME_MAX, "%s", name);
	else
		snprintf(out, EVIDENCE_NAME_MAX, "call-%u", number);
	free(name);
	return out;
}
