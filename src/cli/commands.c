/* Which commands there are. */
#include "cli/command.h"

#include "util/mem.h"

/* One a line, since everybody adds to it. */
/* clang-format off */
const struct command *const commands[] = {
	&command_build,
	&command_recursive_build,
	&command_verify,
	&command_eval,
	&command_schema,
	&command_lock,
	&command_explain_miss,
	&command_publish,
	&command_copy,
	&command_fetch,
	&command_bundle,
	&command_lint,
	&command_convert,
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
/* clang-format on */
const size_t commands_len = ARRAY_LEN(commands);
