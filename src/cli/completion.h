/* Shell completions, from the tables of options and nothing else. */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include "util/buf.h"

void completion_bash(struct buf *out);
void completion_zsh(struct buf *out);

#endif
