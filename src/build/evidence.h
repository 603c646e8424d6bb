/*
 * The record of a step, kept beside its log as cache/<recipe>.evidence.json: canonical JSON,
 * but no part of the image nor of any digest, since what it counts differs from run to run.
 */
#ifndef BUILD_EVIDENCE_H
#define BUILD_EVIDENCE_H

#include <jansson.h>

#include "build/job.h"

/* Of a step that ran, well or not; called again if more is known. */
int evidence_save(const struct job *j, struct err *e) WARN_UNUSED;
/* *ret is NULL if the image has no step or its record is gone; else the caller's. */
int evidence_load(const struct build_context *c, const struct digest *recipe, json_t **ret,
		  struct err *e) WARN_UNUSED;
/* "<recipe hex>.evidence.json" in the cache directory. */
enum { EVIDENCE_FILE_MAX = DIGEST_TEXT_MAX + 32 };
void evidence_file_name(const struct digest *recipe, char out[EVIDENCE_FILE_MAX]);

#endif
