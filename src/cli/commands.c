/* Which commands there are. */
#include "cli/command.h"

#include "util/mem.h"

/* One a line, since everybody adds to it. */
/* clang-format off */
const struct command *const commands[] = {
	&command_build,
	&command_recursive_build,
	&command_verify,
	&command_explain_miss,

	&command_lint,
	&command_lock,
	&command_eval,
	&command_schema,
	&command_convert,

	&command_fetch,
	&command_publish,
	&command_copy,
	&command_bundle,

	&command_inspect,
	&command_grab,
	&command_exec,
	&command_chroot,

	&command_check,
	&command_unpriv_setup,
	&command_policy,
	&command_gc,
	&command_clean,
	&command_completion,
	&command_manual,
};

const struct command_group command_groups[] = {
	{&command_build, "BUILD AND VERIFY"},
	{&command_lint, "WRITE AND PIN STACKERFILES"},
	{&command_fetch, "MOVE INPUTS AND IMAGES"},
	{&command_inspect, "LOOK INTO IMAGES"},
	{&command_check, "THE MACHINE AND STACKER ITSELF"},
};
/* clang-format on */
const size_t commands_len = ARRAY_LEN(commands);
const size_t command_groups_len = ARRAY_LEN(command_groups);
