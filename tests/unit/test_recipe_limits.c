/* `limits` under `config`: what is taken, exactly, and what is not. */
#include "recipe_fixture.h"

#include "util/limits.h"

static void test_values(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_parses(
		"config:\n  limits: {memory: 2GiB, processes: 7, disk: 1TiB, files: 8, "
		"time: 30m, log: \"64KiB\"}\na: {from: {type: scratch}}\n");
	assert_int_equal(s.limits.memory_bytes.value, 2 * GIB);
	assert_int_equal(s.limits.processes.value, 7);
	assert_int_equal(s.limits.disk_bytes.value, 1024 * GIB);
	assert_int_equal(s.limits.files.value, 8);
	assert_int_equal(s.limits.time_ms.value, 1800000);
	assert_int_equal(s.limits.log_bytes.value, 64 * KIB);
	assert_int_equal(s.limits.memory_bytes.pos.line, 2);
}

static void test_absent(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"a: {from: {type: scratch}}\n",
		"config: {limits: }\na: {from: {type: scratch}}\n",
		"config: {limits: {}}\na: {from: {type: scratch}}\n",
		"config: {limits: {time: ~}}\na: {from: {type: scratch}}\n"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO(stackerfile) s = expect_parses(texts[i]);
		assert_int_equal(s.limits.memory_bytes.value, 0);
		assert_int_equal(s.limits.time_ms.value, 0);
	}
}

/* 2^54 KiB is 2^64 bytes: one too many. */
static void test_edges(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_parses("config: {limits: {memory: 18014398509481983KiB, time: 1s}}\n"
			  "a: {from: {type: scratch}}\n");
	assert_int_equal(s.limits.memory_bytes.value, UINT64_MAX - 1023);
	assert_int_equal(s.limits.time_ms.value, 1000);
	expect_refused("config: {limits: {memory: 18014398509481984KiB}}\n"
		       "a: {from: {type: scratch}}\n",
		       "recipe/bad-limit", "limit 'memory'");
}

static void test_least_memory(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_parses("config: {limits: {memory: 16MiB}}\na: {from: {type: scratch}}\n");
	assert_int_equal(s.limits.memory_bytes.value, 16 * MIB);
	expect_refused("config: {limits: {memory: 16383KiB}}\na: {from: {type: scratch}}\n",
		       "recipe/bad-limit", "less than a sandbox itself needs");
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *limits, *id;
	} cases[] = {
		{"memory: 2", "recipe/bad-limit"},
		{"memory: 2GB", "recipe/bad-limit"},
		{"memory: 2gib", "recipe/bad-limit"},
		{"memory: \"2 GiB\"", "recipe/bad-limit"},
		{"memory: 02GiB", "recipe/bad-limit"},
		{"memory: +2GiB", "recipe/bad-limit"},
		{"memory: 0GiB", "recipe/bad-limit"},
		{"memory: GiB", "recipe/bad-limit"},
		{"memory: 1.5GiB", "recipe/bad-limit"},
		{"time: 30", "recipe/bad-limit"},
		{"time: 1h30m", "recipe/bad-limit"},
		{"time: 1GiB", "recipe/bad-limit"},
		{"disk: \"\"", "recipe/bad-limit"},
		{"processes: 0", "recipe/bad-limit"},
		{"processes: x", "recipe/not-an-integer"},
		{"files: 1KiB", "recipe/not-an-integer"},
		{"files: \"5\"", "recipe/not-an-integer"},
		{"memory: [1GiB]", "recipe/wrong-type"},
		{"cpu: 1", "recipe/unknown-directive"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *text =
			mem_printf("config: {limits: {%s}}\na: {from: {type: scratch}}\n",
				   cases[i].limits);
		expect_refused(text, cases[i].id, "");
	}
	expect_refused("config: {limits: 5}\na: {from: {type: scratch}}\n", "recipe/wrong-type",
		       "limits");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),	cmocka_unit_test(test_absent),
		cmocka_unit_test(test_edges),	cmocka_unit_test(test_least_memory),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
