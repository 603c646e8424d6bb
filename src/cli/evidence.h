/* A step's evidence as a few lines for people, on stderr. */
#ifndef CLI_EVIDENCE_H
#define CLI_EVIDENCE_H

#include <jansson.h>

/* `record` as build/evidence.h has it; a member that is missing is not shown. */
void evidence_show(const json_t *record);

#endif
