/* Which commands there are. */
#include "cli/command.h"

const struct command *const commands[] = {
	&command_build, &command_verify, &command_check, &command_policy, &command_clean,
};
const size_t commands_len = ARRAY_LEN(commands);
