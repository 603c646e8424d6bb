/* Verdicts: one exit code out of many, and a report that says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/json_read.h"
#include "util/limits.h"
#include "util/mem.h"
#include "verify/verify.h"

static int exit_code_of(const enum verify_verdict *verdicts, size_t len)
{
	struct verify_image images[4] = {0};
	struct verify_report r = {.images = {.items = images, .len = len}};
	for (size_t i = 0; i < len; i++)
		images[i].verdict = verdicts[i];
	return verify_exit_code(&r);
}

static void test_the_gravest_verdict_decides(void **state)
{
	(void)state;
	static const struct {
		enum verify_verdict verdicts[3];
		int code;
	} cases[] = {
		{{VERIFY_REPRODUCED, VERIFY_REPRODUCED, VERIFY_REPRODUCED}, 0},
		{{VERIFY_REPRODUCED, VERIFY_REPRODUCED_CONTENT, VERIFY_REPRODUCED}, 3},
		{{VERIFY_REPRODUCED_CONTENT, VERIFY_CANNOT_REBUILD, VERIFY_REPRODUCED}, 4},
		{{VERIFY_CANNOT_REBUILD, VERIFY_DIFFERS, VERIFY_REPRODUCED}, 1},
		{{VERIFY_DIFFERS, VERIFY_TAMPERED_INPUT, VERIFY_CANNOT_REBUILD}, 6},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(exit_code_of(cases[i].verdicts, 3), cases[i].code);
}

static void test_equality_needs_every_rung(void **state)
{
	(void)state;
	struct layer_comparison layer = {.diff_id_equal = true, .blob_equal = true};
	struct comparison c = {.index_equal = true,
			       .manifest_equal = true,
			       .config_equal = true,
			       .layers = {.items = &layer, .len = 1}};
	assert_true(comparison_equal(&c));
	c.manifest_equal = false;
	assert_false(comparison_equal(&c));
	assert_true(comparison_content_equal(&c));
	c.damaged = true;
	assert_false(comparison_content_equal(&c));
	c.damaged = false;
	layer.diff_id_equal = false;
	assert_false(comparison_content_equal(&c));
}

static void test_causes_are_hints_from_the_difference(void **state)
{
	(void)state;
	static const struct {
		const char *path, *kind, *field, *cause;
	} cases[] = {
		{"etc/x", "meta", "mtime", "timestamp"},
		{"etc/x", "meta", "mode", "umask"},
		{"etc/x", "meta", "uid", "user"},
		{"var/cache/ldconfig/aux-cache", "content", "content", "known-cache"},
		{"usr/lib/a.pyc", "content", "content", "timestamp"},
		{"etc/x", "content", "content", "unexplained"},
		{"blob", "damaged", NULL, "damage"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct finding_vec v = {0};
		finding_add(&v, cases[i].path, 0, cases[i].kind, cases[i].field, NULL);
		assert_string_equal(v.items[0].cause, cases[i].cause);
		findings_cleanup(&v);
	}
}

static void test_the_json_report_says_what_was_found(void **state)
{
	(void)state;
	AUTO(verify_report) r = {0};
	struct verify_image image = {
		.name = mem_strdup("app"), .verdict = VERIFY_DIFFERS, .reason = "unstable"};
	finding_add(&image.comparison.findings, "bad\xff\nname", 2, "content", "content",
		    "a vs b");
	vec_push(&r.images, image);
	AUTO(buf) text = BUF_INIT(65536);
	verify_report_json(&r, &text);
	AUTO(json_doc) doc = {0};
	struct err e = ERR_INIT;
	assert_int_equal(json_read(buf_text(&text), text.len, MIB, "report", &doc, &e), 0);
	const json_t *first = json_array_get(json_object_get(doc.root, "images"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "verdict")), "differs");
	assert_string_equal(json_string_value(json_object_get(first, "reason")), "unstable");
	const json_t *finding = json_array_get(json_object_get(first, "findings"), 0);
	assert_int_equal(json_integer_value(json_object_get(finding, "layer")), 2);
	const char *path = json_string_value(json_object_get(finding, "path"));
	assert_non_null(strstr(path, "name"));
	assert_null(strchr(path, '\n'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_gravest_verdict_decides),
		cmocka_unit_test(test_equality_needs_every_rung),
		cmocka_unit_test(test_causes_are_hints_from_the_difference),
		cmocka_unit_test(test_the_json_report_says_what_was_found),
	};
	return cmocka_run_group_tests_name("verify/report", tests, NULL, NULL);
}
