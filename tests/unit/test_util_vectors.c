/* The canonical JSON of each NAME.json.txt in vectors/format-1: each text becomes the line behind it, and
 * that has the digest that follows. */
#include <dirent.h>
#include <fcntl.h>

#include "util_test.h"

#include "util/digest.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/path.h"

#define VECTORS_DIR "vectors/format-1/"

static void check_line(const char *line, struct buf *form, unsigned *cases)
{
	struct err e = ERR_INIT;

	if (strncmp(line, "json ", 5) == 0) {
		AUTO(json_doc) doc = {NULL};
		if (json_read(line + 5, strlen(line + 5), 1 << 20, "vector", &doc, &e) < 0)
			fail_msg("%s: %s", line, e.message);
		buf_clear(form);
		json_write(doc.root, form);
		(*cases)++;
	} else if (strncmp(line, "as ", 3) == 0) {
		assert_string_equal(buf_text(form), line + 3);
	} else if (strncmp(line, "sha256 ", 7) == 0) {
		struct digest digest;
		char hex[DIGEST_TEXT_MAX];
		digest_bytes(DIGEST_SHA256, form->data, form->len, &digest);
		digest_format_hex(&digest, hex);
		assert_string_equal(hex, line + 7);
	} else {
		assert_int_equal(line[0], '#');
	}
}

static unsigned check_file(const char *name)
{
	AUTO_FREE char *path = mem_printf(VECTORS_DIR "%s", name);
	AUTO(buf) text = BUF_INIT(1 << 20);
	AUTO(buf) form = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	unsigned cases = 0;
	char *rest = NULL;

	assert_int_equal(path_read_file(AT_FDCWD, path, &text, &e), 0);
	for (char *line = strtok_r(text.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		check_line(line, &form, &cases);
	return cases;
}

static void test_every_document(void **state)
{
	(void)state;
	DIR *dir = opendir(VECTORS_DIR);
	unsigned cases = 0;

	assert_non_null(dir);
	for (const struct dirent *x; (x = readdir(dir));) {
		const char *end = strstr(x->d_name, ".json.txt");
		if (end && strcmp(end, ".json.txt") == 0)
			cases += check_file(x->d_name);
	}
	closedir(dir);
	assert_true(cases >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_document),
	};
	return cmocka_run_group_tests_name("JSON vectors", tests, NULL, NULL);
}
