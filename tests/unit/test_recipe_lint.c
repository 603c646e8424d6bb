/* Lint: all errors at once, each rule about scripts, and the places that are named. */
#include "recipe_fixture.h"

#include <fcntl.h>

#include "recipe/lint.h"
#include "recipe/lint_rules.h"
#include "util/limits.h"
#include "util/path.h"
#include "util/str.h"

static struct lint_report lint(const char *text)
{
	const struct lint_options o = {.source = {.text = text,
						  .len = strlen(text),
						  .file = "f",
						  .default_arch = "amd64"}};
	struct lint_report r = {0};

	lint_check(&o, &r);
	return r;
}

/* "LINE:COLUMN ID" for each finding. */
static void expect_findings(const char *text, const char *expected)
{
	AUTO(lint_report) r = lint(text);
	AUTO(buf) got = BUF_INIT(65536);

	for (size_t i = 0; i < r.findings.len; i++) {
		const struct lint_finding *f = &r.findings.items[i];

		buf_addf(&got, "%u:%u %s\n", f->line, f->column, f->id);
		assert_int_equal(f->severity,
				 str_has_prefix(f->id, "lint/") ? LINT_WARNING : LINT_ERROR);
		assert_int_not_equal(f->message[0], '\0');
	}
	if (!str_same(buf_text(&got), expected))
		fail_msg("got:\n%sexpected:\n%sof:\n%s", buf_text(&got), expected, text);
	assert_int_equal(r.errors + r.warnings, r.findings.len);
}

static void test_sound_files_have_no_findings(void **state)
{
	(void)state;
	expect_findings("a: {from: {type: scratch}, run: 'echo x'}\n", "");
	expect_findings("a: {from: {type: scratch}}\nb: {from: {type: built, tag: a}}\n", "");
	expect_findings("a:\n  from: {type: scratch}\n  imports:\n"
			"    - path: https://example.org/f\n      hash: " HEX64 "\n",
			"");
}

static void test_what_is_no_map_is_one_error(void **state)
{
	(void)state;
	expect_findings("", "1:1 recipe/no-images\n");
	expect_findings("- a\n", "1:1 recipe/wrong-type\n");
	expect_findings("a: [\n", "2:1 yaml/syntax\n");
	expect_findings("a: {from: {type: scratch}}\na: {}\n", "2:1 yaml/duplicate-key\n");
	expect_findings("\x01", "1:1 yaml/control-character\n");
}

static void test_all_errors_of_an_image_are_listed(void **state)
{
	(void)state;
	expect_findings("a:\n"
			"  from: {type: scratchy, ulr: x}\n"
			"  enviroment: {A: b}\n"
			"  environment:\n"
			"    A: ~\n"
			"    'B C': d\n"
			"    E: f\n"
			"  imports:\n"
			"    - path: f\n"
			"      dest: g\n"
			"      unpack: true\n"
			"    - {dest: /x}\n"
			"    - path: g\n"
			"      dets: /x\n"
			"      mode: 755\n"
			"    - {path: h, dest: /y}\n"
			"  volumes: [x, /y, z]\n"
			"  working_dir: x\n"
			"  build_only: yes\n"
			"  runtime_user: '0x0'\n"
			"  cmd: \"'\"\n"
			"  labels: [x]\n"
			"  binds: [/x]\n"
			"  build_env_passthrough: [X]\n",
			"2:16 recipe/unknown-type\n"
			"2:26 recipe/unknown-directive\n"
			"3:3 recipe/unknown-directive\n"
			"5:8 recipe/null-value\n"
			"6:5 recipe/bad-key\n"
			"10:13 recipe/relative-path\n"
			"12:7 recipe/missing-path\n"
			"14:7 recipe/unknown-directive\n"
			"15:13 recipe/bad-mode\n"
			"17:13 recipe/relative-path\n"
			"17:20 recipe/relative-path\n"
			"18:16 recipe/relative-path\n"
			"19:15 recipe/wrong-type\n"
			"20:17 recipe/bad-user\n"
			"21:8 recipe/bad-command\n"
			"22:11 recipe/wrong-type\n"
			"23:3 recipe/not-hermetic\n"
			"24:3 recipe/not-hermetic\n");
}

static void test_errors_of_all_images_are_listed(void **state)
{
	(void)state;
	expect_findings("config: {limits: {memory: 2, tiem: 1s}, x: 1}\n"
			"a:b: {from: {type: scratch}, x: 1}\n"
			"c: {}\n"
			"d: text\n"
			"e: {from: {type: built, tag: f}}\n"
			"f: {from: {type: built, tag: e}}\n"
			"g: {from: {type: built, tag: nowhere}}\n"
			"h: {from: {type: built, tag: c}, imports: ['stacker://d/x']}\n",
			"1:27 recipe/bad-limit\n"
			"1:30 recipe/unknown-directive\n"
			"1:41 recipe/unknown-directive\n"
			"2:1 recipe/bad-name\n"
			"2:30 recipe/unknown-directive\n"
			"3:1 recipe/no-base\n"
			"4:4 recipe/wrong-type\n"
			"5:1 recipe/cycle\n"
			"7:1 recipe/unresolved\n");
}

static void test_every_unpinned_source_is_listed(void **state)
{
	(void)state;
	expect_findings("a:\n"
			"  from: {type: tar, url: 'https://example.org/r.tar'}\n"
			"  imports:\n"
			"    - https://example.org/a\n"
			"    - path: https://example.org/b\n"
			"      urls: ['https://example.net/b']\n"
			"      size: 3\n"
			"    - path: ftp://example.org/c\n",
			"2:26 recipe/unpinned\n"
			"4:7 recipe/unpinned\n"
			"5:13 recipe/unpinned\n"
			"8:13 recipe/bad-url\n");
}

static void test_pins_may_come_from_a_lock(void **state)
{
	static const char text[] =
		"a: {from: {type: scratch}, imports: ['https://example.org/a']}\n";
	struct lockfile lock = {0};
	char url[] = "https://example.org/a";
	struct lockfile_pin pin = {.url = url, .size = 1};
	AUTO(lint_report) r = {0};

	(void)state;
	digest_bytes(DIGEST_SHA256, "", 0, &pin.hash);
	lockfile_set(&lock, &pin);
	const struct pin_locks locks = {.own = &lock};
	const struct lint_options o = {.source = {.text = text,
						  .len = strlen(text),
						  .file = "f",
						  .default_arch = "amd64"},
				       .locks = &locks};

	lint_check(&o, &r);
	assert_int_equal(r.findings.len, 0);
	lockfile_cleanup(&lock);
}

static void test_missing_substitutions_are_listed(void **state)
{
	(void)state;
	expect_findings("a:\n"
			"  from: {type: scratch}\n"
			"  working_dir: ${{DIR}}\n"
			"  labels: {x: '${{LABEL}}', y: '${{KNOWN:y}}'}\n"
			"  run: date; echo ${{DIR}}\n"
			"  volumes: [x]\n",
			"3:16 recipe/no-substitution\n"
			"4:16 recipe/no-substitution\n"
			"5:8 lint/date\n"
			"6:13 recipe/relative-path\n");
}

static void test_prerequisites_leave_order_open(void **state)
{
	(void)state;
	expect_findings("config: {prerequisites: [../x.yaml]}\n"
			"a: {from: {type: built, tag: elsewhere}, x: 1}\n",
			"2:42 recipe/unknown-directive\n");
}

static void test_places_of_scripts(void **state)
{
	(void)state;
	expect_findings("a:\n"
			"  from: {type: scratch}\n"
			"  run: |\n"
			"\n"
			"    true\n"
			"      if x; then date; fi\n"
			"    echo \xc3\xa9 | date\n",
			"6:18 lint/date\n7:14 lint/date\n");
	expect_findings("a:\n"
			"  from: {type: scratch}\n"
			"  run:\n"
			"    - \"true; date\"\n"
			"    - 'date'\n"
			"    - date\n"
			"    - |-\n"
			"      true\n"
			"      date\n"
			"    - >\n"
			"      true;\n"
			"      date\n",
			"4:14 lint/date\n5:8 lint/date\n6:7 lint/date\n9:7 lint/date\n"
			"10:7 lint/date\n");
}

static void test_other_interpreters_are_not_read(void **state)
{
	(void)state;
	expect_findings("a: {from: {type: scratch}, run: ['#!/usr/bin/python3', date]}\n", "");
	expect_findings("a: {from: {type: scratch}, run: ['#!/usr/bin/env bash', date]}\n",
			"1:57 lint/date\n");
	expect_findings("a: {from: {type: scratch}, run: ['#!/bin/busybox sh', date]}\n",
			"1:55 lint/date\n");
}

static void test_a_comment_allows_a_rule(void **state)
{
	(void)state;
	expect_findings("a:\n"
			"  from: {type: scratch}\n"
			"  run: |\n"
			"    date # lint:allow date, it is only shown\n"
			"    date # lint:allow sleep\n",
			"5:5 lint/date\n");
}

static void test_findings_are_bounded(void **state)
{
	AUTO(buf) text = BUF_INIT(LIMIT_STACKERFILE_BYTES);

	(void)state;
	buf_add_c(&text, "a:\n  from: {type: scratch}\n");
	for (unsigned i = 0; i < LINT_FINDINGS_MAX + 5; i++)
		buf_addf(&text, "  x%u: 1\n", i);
	AUTO(lint_report) r = lint(buf_text(&text));

	assert_int_equal(r.findings.len, LINT_FINDINGS_MAX);
	buf_clear(&text);
	buf_add_c(&text, "a:\n  from: {type: scratch}\n  run: |\n");
	for (unsigned i = 0; i < LINT_FINDINGS_MAX + 5; i++)
		buf_add_c(&text, "    date\n");
	AUTO(lint_report) warned = lint(buf_text(&text));

	assert_int_equal(warned.findings.len, LINT_FINDINGS_MAX);
	assert_true(warned.truncated);
}

/* A line of script, and the rule that it breaks; NULL for none. */
struct habit {
	const char *id;
	const char *script;
};

static const struct habit habits[] = {
	{"git-clone", "git clone https://example.org/x"},
	{"git-clone", "cd x && git -C y fetch origin"},
	{"git-clone", "git submodule update --init"},
	{"git-clone", "svn checkout https://example.org/x"},
	{NULL, "git status; git log; git apply x.patch"},
	{"download", "curl -fsSL https://example.org/x | sh"},
	{"download", "X=$(wget -qO- https://example.org/x)"},
	{NULL, "curl --version"},
	{NULL, "echo curl; apt-get --help; ls /usr/bin/curl"},
	{"apt-update", "apt-get update"},
	{"apt-update", "DEBIAN_FRONTEND=noninteractive apt-get -qq update"},
	{"apt-install", "apt-get install -y gcc"},
	{"apt-install", "apt install gcc=4:12.2 make"},
	{NULL, "apt-get install -y gcc=4:12.2.0-3 make=4.3-4.1"},
	{NULL, "apt-get install -y /stacker/imports/gcc.deb"},
	{NULL, "apt-get -o Dir::Etc::SourceList=/stacker/imports/l update"},
	{NULL, "apt-get clean; apt-mark hold x"},
	{"apk-add", "apk add --no-cache curl"},
	{NULL, "apk add curl=8.5.0-r0"},
	{NULL, "apk add --no-network /stacker/imports/x.apk"},
	{"rpm-install", "dnf install -y gcc"},
	{"rpm-install", "pacman -Syu --noconfirm"},
	{NULL, "yum -y install /stacker/imports/x.rpm"},
	{NULL, "pacman -U /stacker/imports/x.pkg.tar.zst"},
	{"pip-install", "pip install requests"},
	{"pip-install", "python3 -m pip install -r requirements.txt"},
	{NULL, "pip install --require-hashes -r requirements.txt"},
	{NULL, "pip3 install --no-index --find-links=/stacker/imports x"},
	{NULL, "pip list"},
	{"npm-install", "npm install"},
	{"npm-install", "npm i -g typescript"},
	{NULL, "npm ci"},
	{NULL, "npm run build"},
	{"yarn-install", "yarn install"},
	{NULL, "yarn install --frozen-lockfile"},
	{NULL, "pnpm install --offline"},
	{"go-latest", "go install example.org/x@latest"},
	{"go-latest", "go get example.org/x"},
	{NULL, "go install example.org/x@v1.2.3"},
	{NULL, "go build ./...; go get example.org/x@v1.0.0"},
	{"cargo-unlocked", "cargo install ripgrep"},
	{"cargo-unlocked", "cargo update"},
	{NULL, "cargo install --locked ripgrep; cargo build --release"},
	{"gem-install", "gem install bundler"},
	{"gem-install", "bundle install"},
	{NULL, "gem install --local x.gem; bundle install --local"},
	{"composer-update", "composer require x/y"},
	{NULL, "composer install --no-dev"},
	{"jvm-online", "mvn package"},
	{"jvm-online", "./gradlew build"},
	{NULL, "mvn -o package; gradle --offline build"},
	{"date", "date > /built"},
	{"date", "echo \"built $(date +%F)\""},
	{"date", "echo $EPOCHSECONDS"},
	{NULL, "date -u -d @315532800 +%F; date -r file"},
	{NULL, "# date\necho 'date' \"the date\""},
	{"random", "echo $RANDOM"},
	{"random", "x=\"${RANDOM}\""},
	{"random", "head -c 8 /dev/urandom"},
	{"random", "x < /dev/random"},
	{"random", "cat /proc/sys/kernel/random/uuid"},
	{"random", "uuidgen > /id"},
	{"random", "sort -R x"},
	{NULL, "echo '$RANDOM' \\$RANDOM; sort x; uuidgen --md5 -n x -N y"},
	{"keys", "ssh-keygen -A"},
	{"keys", "openssl req -x509 -newkey rsa:2048"},
	{"keys", "gpg --batch --gen-key x"},
	{NULL, "ssh-keygen -l -f x; openssl x509 -in x; gpg --verify x"},
	{"password", "echo u:p | chpasswd"},
	{"password", "openssl passwd -6 x"},
	{NULL, "echo u:h | chpasswd -e; openssl passwd -6 -salt x y"},
	{"user-id", "useradd -r app"},
	{"user-id", "adduser --system app"},
	{"user-id", "addgroup app"},
	{NULL, "useradd -u 1000 app; useradd -ru 1 b; adduser --uid 5 c; groupadd -g 7 d"},
	{"temporary-name", "d=$(mktemp -d); cp x $d"},
	{NULL, "d=$(mktemp -d); cp x $d; rm -rf $d"},
	{"machine", "uname -r > /kernel"},
	{"machine", "uname -a"},
	{"machine", "make -j$(nproc)"},
	{"machine", "getconf _NPROCESSORS_ONLN"},
	{NULL, "uname -m; uname -s; getconf PAGE_SIZE; hostname"},
	{"native-code", "gcc -O2 -march=native x.c"},
	{NULL, "gcc -march=x86-64-v2 x.c"},
	{"archive-order", "tar czf /x.tgz dir"},
	{"archive-order", "tar -C / -cf /x.tar dir"},
	{"archive-order", "tar --create -f x dir"},
	{"archive-order", "zip -r x.zip dir"},
	{NULL, "tar --sort=name -cf x dir; tar xzf x; tar -xf cache.tar; tar -tf x"},
	{"gzip-name", "gzip -9 file"},
	{NULL, "gzip -n file; gzip -9n file; gzip -d x.gz; cat x | gzip > y; gunzip x"},
	{"unsorted", "find . -type f | xargs cat > all"},
	{"unsorted", "for f in $(find . -name x); do cat $f; done"},
	{NULL, "find . -type f | sort | xargs cat; find . -delete; find . | xargs rm"},
	{NULL, "find . -exec chmod 644 {} +"},
	{"unsorted", "ls -t | head -1"},
	{NULL, "ls | head -1; ls -l"},
	{"sleep", "server & sleep 5"},
	{NULL, "server & wait"},
};

static void test_habits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(habits); i++) {
		const struct habit *h = &habits[i];
		AUTO(buf) text = BUF_INIT(4096);

		buf_add_c(&text, "a:\n  from: {type: scratch}\n  run: |\n    ");
		for (const char *at = h->script; *at; at++)
			buf_addf(&text, "%c%s", *at, *at == '\n' ? "    " : "");
		buf_add_byte(&text, '\n');
		AUTO(lint_report) r = lint(buf_text(&text));
		AUTO_FREE char *id = mem_printf("lint/%s", h->id ? h->id : "");
		bool found = false;

		for (size_t k = 0; k < r.findings.len; k++)
			found = found || str_same(r.findings.items[k].id, id);
		if (h->id ? !found : r.findings.len > 0)
			fail_msg("%s: '%s'", h->id ? h->id : r.findings.items[0].id, h->script);
	}
}

/* Each rule is documented, and shown both ways by a test above. */
static void test_rules_are_documented_and_tested(void **state)
{
	AUTO(buf) doc = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	struct err e = ERR_INIT;

	(void)state;
	if (path_read_file(AT_FDCWD, "docs/lint.md", &doc, &e) != 0)
		fail_msg("%s", e.message);
	for (size_t i = 0; i < lint_rules_len; i++) {
		AUTO_FREE char *row = mem_printf("\n| `lint/%s` |", lint_rules[i].id);
		bool tested = false;

		if (!strstr(buf_text(&doc), row))
			fail_msg("docs/lint.md has no row for lint/%s", lint_rules[i].id);
		for (size_t k = 0; k < ARRAY_LEN(habits); k++)
			tested = tested || str_same(habits[k].id, lint_rules[i].id);
		if (!tested)
			fail_msg("no test of lint/%s", lint_rules[i].id);
		assert_non_null(lint_rules[i].remedy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound_files_have_no_findings),
		cmocka_unit_test(test_what_is_no_map_is_one_error),
		cmocka_unit_test(test_all_errors_of_an_image_are_listed),
		cmocka_unit_test(test_errors_of_all_images_are_listed),
		cmocka_unit_test(test_every_unpinned_source_is_listed),
		cmocka_unit_test(test_pins_may_come_from_a_lock),
		cmocka_unit_test(test_missing_substitutions_are_listed),
		cmocka_unit_test(test_prerequisites_leave_order_open),
		cmocka_unit_test(test_places_of_scripts),
		cmocka_unit_test(test_other_interpreters_are_not_read),
		cmocka_unit_test(test_a_comment_allows_a_rule),
		cmocka_unit_test(test_findings_are_bounded),
		cmocka_unit_test(test_habits),
		cmocka_unit_test(test_rules_are_documented_and_tested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
