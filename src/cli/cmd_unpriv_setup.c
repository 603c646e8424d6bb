/* stacker unpriv-setup: what root does once so that an ordinary user can build. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "sandbox/subids.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"

struct setup_command {
	const char *uid, *gid, *username, *root;
};

static const struct opt options[] = {
	{"uid", 0, OPT_TEXT, offsetof(struct setup_command, uid), "UID",
	 "of the user (default: $SUDO_UID)"},
	{"gid", 0, OPT_TEXT, offsetof(struct setup_command, gid), "GID",
	 "of the user's group (default: $SUDO_GID)"},
	{"username", 0, OPT_TEXT, offsetof(struct setup_command, username), "NAME",
	 "of the user (default: $SUDO_USER)"},
	{"root", 0, OPT_TEXT, offsetof(struct setup_command, root), "DIR",
	 "change DIR/etc/subuid and DIR/etc/subgid, for an image of a machine; the three "
	 "directories are as always"},
	{0},
};

struct user {
	const char *name;
	uint32_t uid, gid;
};

static bool parse_id(const char *text, uint32_t *ret)
{
	uint64_t id;
	/* 2^32-1 means "no id". */
	if (!text || !num_parse_u64(text, strlen(text), UINT32_MAX - 1, &id))
		return false;
	*ret = (uint32_t)id;
	return true;
}

static const char *or_else(const char *given, const char *otherwise)
{
	return given ? given : otherwise;
}

static int refuse_existing(const char *path, struct err *e)
{
	struct stat st;
	if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot stat '%s'", path);
	err_set(e, ERR_POLICY, "setup/exists",
		"stacker dir '%s' already exists, aborting setup", path);
	return err_hint(
		e, "run 'stacker clean' as the user who made it, if it is no longer needed");
}

static int give_dir(const char *path, mode_t mode, const struct user *user, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	if (path_make_dir(AT_FDCWD, path, mode, &fd, e) < 0)
		return -1;
	if (fchown(fd, user->uid, user->gid) < 0)
		return err_sys(e, "cannot give '%s' to uid %u", path, user->uid);
	return 0;
}

static int ensure_ids(const struct setup_command *s, const struct user *user, struct err *e)
{
	static const char *const files[] = {"subuid", "subgid"};
	AUTO_FREE char *etc = path_join(s->root ? s->root : "/", "etc");
	AUTO_CLOSE int fd = -1;
	if (path_open_dir(AT_FDCWD, etc, &fd, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct subids_range range;
		if (subids_ensure(fd, files[i], user->name, user->uid, &range, e) < 0)
			return -1;
		log_note("%s/%s: %s %s from %u on", etc, files[i], user->name,
			 range.added ? "was given 65536 ids," : "has ids already,",
			 range.first);
	}
	return 0;
}

static int set_up(const struct cli *cli, const struct setup_command *s, const struct user *user,
		  struct err *e)
{
	/* The state directory last: once it is there, the setup is done. */
	if (refuse_existing(cli->dirs.state, e) < 0 || ensure_ids(s, user, e) < 0 ||
	    give_dir(cli->dirs.roots, 0700, user, e) < 0 ||
	    give_dir(cli->dirs.oci, 0755, user, e) < 0)
		return -1;
	return give_dir(cli->dirs.state, 0700, user, e);
}

static int run_setup(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	struct setup_command s = {0};
	struct user user;
	int status = command_options(self, argc, argv, &s, NULL);
	if (status >= 0)
		return status;
	user.name = or_else(s.username, cli->sudo_user);
	if (!user.name)
		return command_usage_error(self, "--username is needed, or sudo");
	if (!parse_id(or_else(s.uid, cli->sudo_uid), &user.uid))
		return command_usage_error(self, "--uid is needed, or sudo: a number");
	if (!parse_id(or_else(s.gid, cli->sudo_gid), &user.gid))
		return command_usage_error(self, "--gid is needed, or sudo: a number");
	if (geteuid() != 0 && !s.root)
		return command_usage_error(self, "only root can change /etc/subuid");
	struct err e = ERR_INIT;
	return set_up(cli, &s, &user, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_unpriv_setup = {
	.name = "unpriv-setup",
	.summary = "Prepares a machine so that an ordinary user can build.",
	.options = options,
	.help = "Run by root, usually through sudo: gives the user 65536 subordinate user and group\n"
		"ids in /etc/subuid and /etc/subgid, above all that others have, unless there is a\n"
		"range already; and makes the three directories, for the user. It refuses if the\n"
		"state directory is there. What else a machine needs, 'stacker check' tells.\n"
		"Exit status: 0 done, 1 failed, 2 wrong usage.\n",
	.run = run_setup,
};
