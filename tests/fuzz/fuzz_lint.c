/*
 * Lint over any bytes. Besides not crashing: it has an error for whatever a build refuses, and
 * none for what a build takes; and it lists them by place.
 */
#include <stdint.h>

#include "../unit/recipe_parse.h"
#include "recipe/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lint_options options = {.source = {.text = (const char *)data,
							.len = size,
							.file = "f",
							.default_arch = "amd64"}};
	AUTO(lint_report) report = {0};
	AUTO(stackerfile) s = {0};
	struct err e = ERR_INIT;

	lint_check(&options, &report);
	for (size_t i = 0; i < report.findings.len; i++) {
		const struct lint_finding *f = &report.findings.items[i];

		BUG_IF(f->line == 0 || f->column == 0 || f->message[0] == '\0');
		BUG_IF(i > 0 && f->line < f[-1].line);
	}
	if (recipe_parse((const char *)data, size, &s, &e) == 0)
		BUG_IF(report.errors > 0);
	else
		BUG_IF(report.errors == 0);
	return 0;
}
