/*
 * The container of Debian packages: an ar archive of debian-binary, control.tar* and data.tar*,
 * in that order. Only the place of the data is looked for; what it is packed with shows in it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "image/archive_read.h"
#include "util/num.h"
#include "util/str.h"

enum {
	AR_MAGIC_BYTES = 8,
	AR_HEADER_BYTES = 60,
	AR_NAME_BYTES = 16,
	AR_SIZE_OFFSET = 48,
	AR_SIZE_BYTES = 10,
	AR_END_OFFSET = 58,
	AR_MEMBERS_MAX = 16, /* deb(5) knows three, and private ones beginning with "_" */
};

struct ar_member {
	char name[AR_NAME_BYTES + 1];
	struct byte_range data;
};

static int deb_error(const char *what, const char *why, struct err *e)
{
	return err_set(e, ERR_INPUT, "unpack/deb", "'%s' is no valid Debian package: %s", what,
		       why);
}

static int ar_member_read(int fd, uint64_t at, uint64_t size, const char *what,
			  struct ar_member *ret, struct err *e)
{
	char header[AR_HEADER_BYTES];
	ssize_t n = pread(fd, header, sizeof(header), (off_t)at);
	if (n < 0)
		return err_sys(e, "cannot read '%s'", what);
	if (n != AR_HEADER_BYTES || memcmp(header + AR_END_OFFSET, "`\n", 2) != 0)
		return deb_error(what, "a member header is missing or damaged", e);
	size_t name_len = AR_NAME_BYTES;
	while (name_len > 0 && header[name_len - 1] == ' ')
		name_len--;
	if (name_len > 0 && header[name_len - 1] == '/')
		name_len--; /* as System V's ar ends names */
	memcpy(ret->name, header, name_len);
	ret->name[name_len] = '\0';
	size_t digits = 0;
	while (digits < AR_SIZE_BYTES && header[AR_SIZE_OFFSET + digits] != ' ')
		digits++;
	uint64_t offset = at + AR_HEADER_BYTES, len = 0;
	if (!num_parse_u64(header + AR_SIZE_OFFSET, digits, UINT64_MAX, &len) ||
	    len > size - offset)
		return deb_error(what, "a member's size is wrong", e);
	ret->data = (struct byte_range){.offset = offset, .len = len};
	return 0;
}

static int check_version(int fd, const struct ar_member *m, const char *what, struct err *e)
{
	char version[2] = {0};
	if (!str_same(m->name, "debian-binary"))
		return deb_error(what, "it does not begin with 'debian-binary'", e);
	if (m->data.len < 4 || pread(fd, version, 2, (off_t)m->data.offset) != 2 ||
	    memcmp(version, "2.", 2) != 0)
		return deb_error(what, "its format is not 2.x", e);
	return 0;
}

int deb_find_data(int fd, uint64_t size, const char *what, struct byte_range *ret,
		  struct err *e)
{
	uint64_t at = AR_MAGIC_BYTES;
	bool has_control = false;
	for (int i = 0; i < AR_MEMBERS_MAX; i++) {
		struct ar_member m = {0};
		if (ar_member_read(fd, at, size, what, &m, e) < 0 ||
		    (i == 0 && check_version(fd, &m, what, e) < 0))
			return -1;
		if (str_has_prefix(m.name, "control.tar")) {
			if (has_control)
				return deb_error(what, "it has two control members", e);
			has_control = true;
		} else if (str_has_prefix(m.name, "data.tar")) {
			if (!has_control)
				return deb_error(what, "its data comes before its control", e);
			*ret = m.data;
			return 0;
		} else if (i > 0 && m.name[0] != '_') {
			return deb_error(what, "it has an unknown member", e);
		}
		at = m.data.offset + m.data.len;
		at += at % 2;
		if (at >= size)
			break;
	}
	return deb_error(what, "it has no data member", e);
}
