/* A command's manual page, from its record: what --help says, in scdoc's language. */
#ifndef CLI_MANUAL_H
#define CLI_MANUAL_H

#include "cli/command.h"

void manual_page(const struct command *c, struct buf *out);

#endif
