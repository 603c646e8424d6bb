/*
 * Finds and writes the id maps of a sandbox. The maps are always written by the parent: only so
 * can setgroups stay allowed, which dpkg and apt need to drop privileges.
 */
#include "sandbox/idmap.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/xattr.h>

#include "sandbox/idmap_internal.h"
#include "sandbox/outer_internal.h"
#include "util/buf.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"
#include "util/proc.h"
#include "util/str.h"

#define SUBIDS (SANDBOX_IDS - 1)

#define SUBID_FILE_BYTES (1 * MIB)

#define NEWUIDMAP "/usr/bin/newuidmap"
#define NEWGIDMAP "/usr/bin/newgidmap"

static const struct sandbox_idmap dedicated = {
	.uid_first = SANDBOX_ROOT_ID_BASE,
	.gid_first = SANDBOX_ROOT_ID_BASE,
	.uid_rest = SANDBOX_ROOT_ID_BASE + 1,
	.gid_rest = SANDBOX_ROOT_ID_BASE + 1,
};

static bool take_field(const char **p, const char *end, char stop, struct str *ret)
{
	const char *at = memchr(*p, stop, (size_t)(end - *p));
	if (at == NULL)
		return false;
	*ret = (struct str){*p, (size_t)(at - *p)};
	*p = at + 1;
	return true;
}

/* "NAME:FIRST:COUNT" */
static bool parse_line(const char *line, size_t len, struct str *owner, uint64_t *first,
		       uint64_t *count)
{
	const char *p = line, *end = line + len;
	struct str start;
	return take_field(&p, end, ':', owner) && owner->len > 0 &&
	       take_field(&p, end, ':', &start) &&
	       num_parse_u64(start.ptr, start.len, UINT32_MAX, first) &&
	       num_parse_u64(p, (size_t)(end - p), UINT64_C(1) << 32, count);
}

static bool owned(struct str owner, const char *user, uint32_t uid)
{
	uint64_t number;
	if (user != NULL && str_eq_c(owner, user))
		return true;
	return num_parse_u64(owner.ptr, owner.len, UINT32_MAX, &number) && number == uid;
}

int idmap_subids_parse(const char *text, size_t len, const char *file, const char *user,
		       uint32_t uid, uint32_t count, uint32_t *ret, bool *ret_found,
		       struct err *e)
{
	unsigned line_number = 0;
	*ret_found = false;
	for (size_t at = 0; at < len;) {
		const char *line = text + at;
		const char *newline = memchr(line, '\n', len - at);
		size_t line_len = newline ? (size_t)(newline - line) : len - at;
		at += line_len + 1;
		line_number++;
		if (line_len == 0 || line[0] == '#')
			continue;
		struct str owner;
		uint64_t first, has;
		if (!parse_line(line, line_len, &owner, &first, &has))
			return err_set(e, ERR_SANDBOX, "sandbox/subid-file",
				       "line %u of '%s' is not NAME:FIRST:COUNT", line_number,
				       file);
		/* 2^32-1 means "no id"; 0 would hand the host's root to a sandbox. */
		bool usable = first > 0 && has >= count && first + count <= UINT32_MAX;
		if (usable && owned(owner, user, uid)) {
			*ret = (uint32_t)first;
			*ret_found = true;
			return 0;
		}
	}
	return 0;
}

uint64_t idmap_subids_free(const char *text, size_t len)
{
	uint64_t free_first = 100000; /* SUB_UID_MIN of shadow */
	for (size_t at = 0; at < len;) {
		const char *line = text + at;
		const char *newline = memchr(line, '\n', len - at);
		size_t line_len = newline ? (size_t)(newline - line) : len - at;
		struct str owner;
		uint64_t first, has;
		at += line_len + 1;
		if (line_len > 0 && line[0] != '#' &&
		    parse_line(line, line_len, &owner, &first, &has) &&
		    first + has > free_first)
			free_first = first + has;
	}
	return free_first;
}

static int find_subids(const char *file, const char *user, uid_t uid, uint32_t *ret,
		       struct err *e)
{
	AUTO(buf) text = BUF_INIT(SUBID_FILE_BYTES);
	AUTO_CLOSE int fd = openat(AT_FDCWD, file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	bool found = false;
	if (fd < 0 && errno != ENOENT)
		return err_sys(e, "cannot open '%s'", file);
	if (fd >= 0 && path_read_fd(fd, file, &text, e) < 0)
		return -1;
	if (idmap_subids_parse(buf_text(&text), text.len, file, user, uid, SUBIDS, ret, &found,
			       e) < 0)
		return -1;
	if (found)
		return 0;
	unsigned long long first = idmap_subids_free(buf_text(&text), text.len);
	err_set(e, ERR_SANDBOX, "sandbox/no-subids",
		"'%s' gives user '%s' no range of %u subordinate ids", file, user, SUBIDS);
	return err_hint(e,
			"as root: usermod --add-subuids %llu-%llu --add-subgids %llu-%llu %s",
			first, first + SUBIDS, first, first + SUBIDS, user);
}

static bool has_cap(cap_t caps, cap_value_t cap)
{
	cap_flag_value_t set = CAP_CLEAR;
	return cap_get_flag(caps, cap, CAP_EFFECTIVE, &set) == 0 && set == CAP_SET;
}

/* Whoever may set any id of its own user namespace may also map it. */
static bool may_write_maps(void)
{
	cap_t caps = cap_get_proc();
	bool may = caps != NULL && has_cap(caps, CAP_SETUID) && has_cap(caps, CAP_SETGID);
	if (caps != NULL)
		cap_free(caps);
	return may;
}

/* newuidmap is trusted with our ids, so it must be root's own and able to do its work. */
static int check_helper(const char *path, struct err *e)
{
	struct stat st;
	AUTO_CLOSE int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_sys(e, "cannot open '%s'", path);
		err_recode(e, ERR_SANDBOX, "sandbox/no-newuidmap");
		return err_hint(e, "install the package 'uidmap'");
	}
	bool raised = (st.st_mode & S_ISUID) != 0 ||
		      fgetxattr(fd, "security.capability", NULL, 0) > 0;
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022) != 0 || !raised) {
		err_set(e, ERR_SANDBOX, "sandbox/no-newuidmap",
			"'%s' is not a set-user-ID program of root's", path);
		return err_hint(e, "reinstall the package 'uidmap'");
	}
	return 0;
}

static int find_user(struct sandbox_idmap *ret, struct err *e)
{
	uid_t uid = geteuid();
	char number[16];
	snprintf(number, sizeof(number), "%u", uid);
	const struct passwd *pw = getpwuid(uid);
	AUTO_FREE char *user = mem_strdup(pw != NULL ? pw->pw_name : number);
	struct sandbox_idmap m = {.uid_first = uid, .gid_first = getegid()};
	if (find_subids("/etc/subuid", user, uid, &m.uid_rest, e) < 0 ||
	    find_subids("/etc/subgid", user, uid, &m.gid_rest, e) < 0)
		return -1;
	if (!may_write_maps() &&
	    (check_helper(NEWUIDMAP, e) < 0 || check_helper(NEWGIDMAP, e) < 0))
		return -1;
	m.outer = outer_new();
	*ret = m;
	return 0;
}

void sandbox_idmap_cleanup(struct sandbox_idmap *m)
{
	outer_free(m->outer);
	*m = (struct sandbox_idmap){0};
}

int sandbox_idmap_find(struct sandbox_idmap *ret, struct err *e)
{
	if (geteuid() != 0)
		return find_user(ret, e);
	*ret = dedicated;
	return 0;
}

/* How one kind of id is mapped: ids of `inside` onto those of `outside`, first and rest. */
struct map {
	const char *file, *helper;
	uint32_t inside_first, inside_rest;
	uint32_t first, rest;
};

static int write_map(const struct map *m, pid_t pid, struct err *e)
{
	char path[64], text[96];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, m->file);
	int len = snprintf(text, sizeof(text), "%u %u 1\n%u %u %u\n", m->inside_first, m->first,
			   m->inside_rest, m->rest, SUBIDS);
	AUTO_CLOSE int fd = openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, text, (size_t)len) == len)
		return 0;
	err_sys(e, "cannot map the ids %u and %u-%u", m->first, m->rest,
		m->rest + (SUBIDS - 1));
	err_recode(e, ERR_SANDBOX, "sandbox/idmap");
	return err_hint(e, "inside a container these ids must be mapped in it; "
			   "else run as an ordinary user");
}

static int run_helper(const struct map *m, pid_t pid, struct err *e)
{
	const uint32_t numbers[6] = {(uint32_t)pid,  m->inside_first, m->first,
				     m->inside_rest, m->rest,	      SUBIDS};
	char text[ARRAY_LEN(numbers)][16];
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		snprintf(text[i], sizeof(text[i]), "%u", numbers[i]);
	const char *const argv[] = {m->helper, text[0], text[1], text[2], "1",
				    text[3],   text[4], text[5], NULL};
	if (check_helper(m->helper, e) < 0)
		return -1;
	if (proc_run(argv, e) == 0)
		return 0;
	return e->code == ERR_INTERRUPTED ? -1 : err_recode(e, ERR_SANDBOX, "sandbox/idmap");
}

/* The ids of `inside` onto those of `outside`. */
static int write_maps(const struct sandbox_idmap *inside, const struct sandbox_idmap *outside,
		      pid_t pid, struct err *e)
{
	const struct map maps[] = {
		{"uid_map", NEWUIDMAP, inside->uid_first, inside->uid_rest, outside->uid_first,
		 outside->uid_rest},
		{"gid_map", NEWGIDMAP, inside->gid_first, inside->gid_rest, outside->gid_first,
		 outside->gid_rest},
	};
	bool is_direct = may_write_maps();
	for (size_t i = 0; i < ARRAY_LEN(maps); i++)
		if ((is_direct ? write_map : run_helper)(&maps[i], pid, e) < 0)
			return -1;
	return 0;
}

int idmap_write(const struct sandbox_idmap *m, pid_t pid, struct err *e)
{
	static const struct sandbox_idmap sandbox = {.uid_rest = 1, .gid_rest = 1};
	return write_maps(&sandbox, m->outer ? &dedicated : m, pid, e);
}

int idmap_write_outer(const struct sandbox_idmap *m, pid_t pid, struct err *e)
{
	return write_maps(&dedicated, m, pid, e);
}

int sandbox_idmap_write_identity(const struct sandbox_idmap *m, pid_t pid, struct err *e)
{
	return write_maps(m, m, pid, e);
}
