/* Dockerfiles as stackerfiles: what comes out, byte for byte, and that it is one. */
#include "recipe_fixture.h"

#include "recipe/convert.h"
#include "recipe/convert_internal.h"
#include "util/limits.h"
#include "util/str.h"

/* A context with these files; a directory is what others begin with. */
static const char *const context_files[] = {
	".hidden", "a.txt", "b.txt", "dir/one", "dir/sub/deep", "dir/two.md", "x.tar.gz",
};

static enum convert_kind kind(void *ctx, const char *path)
{
	size_t len = strlen(path);

	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(context_files); i++) {
		if (str_same(context_files[i], path))
			return CONVERT_FILE;
		if (len == 0 ||
		    (strncmp(context_files[i], path, len) == 0 && context_files[i][len] == '/'))
			return CONVERT_DIR;
	}
	return CONVERT_ABSENT;
}

static int list(void *ctx, const char *path, struct strvec *ret, struct err *e)
{
	size_t len = strlen(path);

	(void)ctx;
	(void)e;
	for (size_t i = 0; i < ARRAY_LEN(context_files); i++) {
		const char *rest = context_files[i] + len + (len > 0);

		if (strncmp(context_files[i], path, len) != 0 ||
		    (len > 0 && context_files[i][len] != '/'))
			continue;
		AUTO_FREE char *name = mem_strndup(rest, strcspn(rest, "/"));

		if (ret->len == 0 || !str_same(ret->items[ret->len - 1], name))
			strvec_push(ret, name);
	}
	return 0;
}

static const struct convert_files files = {NULL, kind, list};

static struct convert_result convert_with(const char *text, const char *ignore)
{
	const struct convert_options options = {.file = "Dockerfile",
						.prefix = "",
						.name = "image",
						.ignore = ignore,
						.files = &files};
	AUTO(dockerfile) d = {0};
	struct convert_result r = {0};
	struct err e = ERR_INIT;

	if (dockerfile_parse(text, strlen(text), "Dockerfile", &d, &e) != 0 ||
	    convert_dockerfile(&d, &options, &r, &e) != 0)
		fail_msg("refused: %u %s [%s]\n%s", e.line, e.message, e.id, text);
	return r;
}

static const char *body(const struct convert_result *r)
{
	const char *at = strstr(buf_text(&r->stackerfile), "\n\n");

	assert_non_null(at);
	return at + 2;
}

static void expect_text(const char *got, const char *expected)
{
	if (!str_same(got, expected))
		fail_msg("got:\n%s\nexpected:\n%s", got, expected);
}

/* Everything below the file's opening comment. */
static void expect_converted(const char *text, const char *expected)
{
	AUTO(convert_result) r = convert_with(text, NULL);

	expect_text(body(&r), expected);
}

static void expect_part(const char *text, const char *part)
{
	AUTO(convert_result) r = convert_with(text, NULL);

	if (!strstr(body(&r), part))
		fail_msg("got:\n%s\nexpected:\n%s", body(&r), part);
}

static void expect_error(const char *text, const char *id, unsigned line)
{
	const struct convert_options options = {
		.file = "Dockerfile", .prefix = "", .name = "i"};
	AUTO(dockerfile) d = {0};
	struct convert_result r = {0};
	struct err e = ERR_INIT;

	assert_int_equal(dockerfile_parse(text, strlen(text), "Dockerfile", &d, &e), 0);
	if (convert_dockerfile(&d, &options, &r, &e) == 0) {
		convert_result_cleanup(&r);
		fail_msg("accepted: %s", text);
	}
	assert_string_equal(e.id, id);
	assert_int_equal(e.line, line);
}

static void test_a_stage_is_a_chain(void **state)
{
	(void)state;
	expect_converted(
		"FROM scratch\nCOPY a.txt /\nRUN one\nCOPY b.txt /b\nCOPY dir /d\nRUN two\n",
		"image-part1:\n"
		"  from:\n"
		"    type: scratch\n"
		"  build_only: true\n"
		"  imports:\n"
		"    - path: a.txt\n"
		"      dest: /\n"
		"  build_env:\n"
		"    HOME: /root\n"
		"  run: |\n"
		"    (\n"
		"    one\n"
		"    )\n"
		"\n"
		"image:\n"
		"  from:\n"
		"    type: built\n"
		"    tag: image-part1\n"
		"  imports:\n"
		"    - path: b.txt\n"
		"      dest: /b\n"
		"    - path: dir/\n"
		"      dest: /d\n"
		"  build_env:\n"
		"    HOME: /root\n"
		"  run: |\n"
		"    (\n"
		"    two\n"
		"    )\n");
}

static void test_bases(void **state)
{
	static const char *const urls[][2] = {
		{"alpine", "docker.io/library/alpine:latest"},
		{"alpine:3.19", "docker.io/library/alpine:3.19"},
		{"org/app:1", "docker.io/org/app:1"},
		{"ghcr.io/org/app:1", "ghcr.io/org/app:1"},
		{"localhost/app:1", "localhost/app:1"},
		{"host:5000/app", "host:5000/app:latest"},
		{"alpine:3@sha256:" HEX64, "docker.io/library/alpine@sha256:" HEX64},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		AUTO_FREE char *text = mem_printf("FROM %s\n", urls[i][0]);
		AUTO_FREE char *part =
			mem_printf("    type: docker\n    url: \"docker://%s\"\n", urls[i][1]);

		expect_part(text, part);
	}
	expect_part("FROM --platform=linux/arm64 alpine:3\n", "  os: linux\n  arch: arm64\n");
	expect_part("ARG T=3\nFROM alpine:${T}\n", "library/alpine:${{ARG_T:3}}\"");
	expect_part("ARG B\nFROM $B\n", "url: \"docker://${{ARG_B}}\"");
}

static void test_the_configuration_is_carried_over(void **state)
{
	(void)state;
	expect_converted(
		"FROM scratch AS a\nENV X=1 Y=\"a b\"\nLABEL l=$X\nUSER u:g\nWORKDIR /w\n"
		"VOLUME /v\nMAINTAINER M\nCMD [\"c\", \"d e\"]\n"
		"FROM a\nENV X=2\nENTRYPOINT e $X\n",
		"a:\n"
		"  from:\n"
		"    type: scratch\n"
		"  build_only: true\n"
		"\n"
		"image:\n"
		"  from:\n"
		"    type: built\n"
		"    tag: a\n"
		"  environment:\n"
		"    X: \"2\"\n"
		"    Y: \"a b\"\n"
		"  entrypoint: [/bin/sh, \"-c\", \"e $X\"]\n"
		"  cmd: []\n"
		"  working_dir: /w\n"
		"  runtime_user: \"u:g\"\n"
		"  volumes: [/v]\n"
		"  labels:\n"
		"    l: \"1\"\n"
		"  annotations:\n"
		"    org.opencontainers.image.authors: M\n");
}

static void test_args_are_substitutions(void **state)
{
	AUTO(convert_result)
	r = convert_with(
		"ARG A=1\nARG B\nFROM scratch\nARG A\nARG B\nARG C=${A}-x\nARG D=\"q\\\"}\"\n"
		"RUN x\nENV E=$A F=${B:-f} G=${B:+g} H=$D\n",
		NULL);

	(void)state;
	expect_text(body(&r), "image:\n"
			      "  from:\n"
			      "    type: scratch\n"
			      "  build_env:\n"
			      "    HOME: /root\n"
			      "    A: \"${{ARG_A:1}}\"\n"
			      "    B: \"${{ARG_B:}}\"\n"
			      "    C: \"${{ARG_C:1-x}}\"\n"
			      "    D: \"${{ARG_D}}\"\n"
			      "  run: |\n"
			      "    (\n"
			      "    x\n"
			      "    )\n"
			      "    export E='${{ARG_A:1}}'\n"
			      "    export F='${{ARG_B:f}}'\n"
			      "    export G=''\n"
			      "    export H='${{ARG_D}}'\n"
			      "  environment:\n"
			      "    E: \"${{ARG_A:1}}\"\n"
			      "    F: \"${{ARG_B:f}}\"\n"
			      "    G: \"\"\n"
			      "    H: \"${{ARG_D}}\"\n");
	expect_text(strchr(buf_text(&r.substitutions), '\n') + 1,
		    "ARG_A: \"1\"\n"
		    "# has no default:\n# ARG_B: \"\"\n"
		    "ARG_C: \"1-x\"\n"
		    "ARG_D: \"q\\\"}\"\n");
}

static void test_keys_avoid_the_names_of_variables(void **state)
{
	(void)state;
	expect_part("FROM scratch\nARG A=1\nRUN echo $ARG_A\n",
		    "A: \"${{DOCKERFILE_ARG_A:1}}\"");
	expect_part("FROM scratch\nARG A=1\nRUN <<E\n${ARG_X}\nE\n", "${{DOCKERFILE_ARG_A:1}}");
}

static void test_placeholders_of_the_dockerfile_are_text(void **state)
{
	(void)state;
	expect_part("FROM scratch\nENV A='${{X}}'\n", "A: \"\\x24{{X}}\"");
	expect_part("FROM scratch\nRUN echo '${{X}}'\n",
		    "  run: \"(\\necho '\\x24{{X}}'\\n)\\n\"\n");
	expect_part("FROM scratch\nEXPOSE ${{X}}\n", "EXPOSE $ {{X}}");
}

static void test_scripts_keep_their_lines(void **state)
{
	(void)state;
	expect_part("FROM scratch\nRUN a && \\\n    # c\n    b \"d \\\n  e\"\n",
		    "    (\n    a && \\\n        b \"d \\\n      e\"\n    )\n");
	/* Within single quotes and comments, only the joined line means the same. */
	expect_part("FROM scratch\nRUN a 'b \\\nc'\n", "    (\n    a 'b c'\n    )\n");
	expect_part("FROM scratch\nRUN a # b \\\nc\n", "    (\n    a # b c\n    )\n");
}

static void test_other_shells_and_users(void **state)
{
	(void)state;
	expect_part("FROM scratch\nSHELL [\"/bin/bash\", \"-c\"]\nRUN a 'b'\n",
		    "    (\n    /bin/bash -c 'a '\\''b'\\'''\n    )\n");
	expect_part("FROM scratch\nWORKDIR /w\nUSER app\nRUN a\nRUN [\"b\", \"c d\"]\n",
		    "    mkdir -p /w\n"
		    "    (\n    cd /w\n    run_as app /bin/sh -e -c a\n    )\n"
		    "    (\n    cd /w\n    run_as app b 'c d'\n    )\n");
	expect_part("FROM scratch\nUSER 0\nRUN a\n", "    (\n    a\n    )\n");
}

static void test_copy_takes_directories_as_docker_does(void **state)
{
	static const char *const cases[][2] = {
		{"COPY a.txt /x", "    - path: a.txt\n      dest: /x\n"},
		{"COPY a.txt /x/", "    - path: a.txt\n      dest: /x/\n"},
		{"COPY /a.txt ./", "    - path: a.txt\n      dest: /w/\n"},
		{"COPY ../a.txt y", "    - path: a.txt\n      dest: /w/y\n"},
		{"COPY dir /x/", "    - path: dir/\n      dest: /x\n"},
		{"COPY dir/ /", "    - path: dir/\n      dest: /\n"},
		{"COPY . .", "    - path: \"./\"\n      dest: /w\n"},
		{"COPY *.txt /x", "    - path: a.txt\n      dest: /x\n    - path: b.txt\n"},
		{"COPY d*/t* /x/", "    - path: dir/two.md\n      dest: /x/\n"},
		{"COPY a.txt b.txt x",
		 "    - path: a.txt\n      dest: /w/x/\n    - path: b.txt\n"},
		{"COPY [\"a.txt\", \"/x y\"]", "      dest: \"/x y\"\n"},
		{"COPY --chown=1 a.txt /", "      uid: 1\n      gid: 1\n"},
		{"COPY --chown=root:5 a.txt /", "      uid: 0\n      gid: 5\n"},
		{"COPY --chmod=755 a.txt /", "      mode: 0755\n"},
		{"COPY --parents dir/sub/deep /p/", "      dest: /p/dir/sub/deep\n"},
		{"COPY --exclude=*.md dir /x",
		 "    - path: dir/one\n      dest: /x/one\n    - path: dir/sub/\n      dest: /x/sub\n"
		 "  working_dir"},
		{"COPY --from=image:1 /f /g",
		 "    - path: \"stacker://from-image-1/f\"\n      dest: /g\n"},
		{"COPY --from=0 /f/ /g", "    - path: \"stacker://s/f/\"\n      dest: /g\n"},
		{"COPY --from=S /bin/f /g/",
		 "    - path: \"stacker://s/bin/f\"\n      dest: /g/\n"},
		{"COPY --from=s /dist /g/",
		 "    - path: \"stacker://s/dist/\"\n      dest: /g\n"},
		{"ADD x.tar.gz /x",
		 "    - path: x.tar.gz\n      dest: /x\n      unpack: true\n"},
		{"ADD --unpack=false x.tar.gz /x/",
		 "    - path: x.tar.gz\n      dest: /x/\n  w"},
		{"ADD --checksum=sha256:" HEX64 " https://e.org/f /f",
		 "      dest: /f\n      hash: \"sha256:" HEX64 "\"\n      mode: 0600\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *text = mem_printf(
			"FROM scratch AS s\nFROM scratch\nWORKDIR /w\n%s\n", cases[i][0]);

		expect_part(text, cases[i][1]);
	}
}

static void test_names_of_owners_need_the_image(void **state)
{
	(void)state;
	expect_part("FROM scratch\nCOPY --chown=u:g a.txt /x/\nCOPY --chown=u:g dir /y\n"
		    "COPY b.txt /z\n",
		    "  run: |\n"
		    "    chown -R u:g /x/a.txt\n"
		    "    chown -R u:g /y\n"
		    "\n"
		    "image:\n");
}

static void test_dockerignore_counts(void **state)
{
	AUTO(convert_result)
	r = convert_with("FROM scratch\nCOPY . /x\nCOPY b.txt /\n",
			 ".hidden\ndir/*\n!dir/one\nb.*\n");

	(void)state;
	expect_text(body(&r),
		    "# line 3: COPY: 'b.txt' is left out by .dockerignore or --exclude\n"
		    "image:\n"
		    "  from:\n"
		    "    type: scratch\n"
		    "  imports:\n"
		    "    - path: a.txt\n"
		    "      dest: /x/a.txt\n"
		    "    - path: dir/one\n"
		    "      dest: /x/dir/one\n"
		    "    - path: x.tar.gz\n"
		    "      dest: /x/x.tar.gz\n");
}

static void test_what_is_not_converted_is_said(void **state)
{
	static const char *const cases[][2] = {
		{"EXPOSE 80", "line 2: EXPOSE 80 is not converted: it opens no port"},
		{"STOPSIGNAL 9", "line 2: STOPSIGNAL 9 is not converted"},
		{"HEALTHCHECK NONE", "line 2: HEALTHCHECK NONE is not converted"},
		{"ONBUILD RUN x", "line 2: ONBUILD is not part of OCI images: 'RUN x'"},
		{"RUN --mount=type=secret,id=x,target=/s y", "type=secret is not converted"},
		{"RUN --network=host x", "RUN --network=host is not converted"},
		{"RUN --security=insecure x", "RUN --security is not converted"},
		{"ADD https://e.org/x.git#v1 /x", "ADD of the git repository"},
		{"COPY --from=a:1 /x/*.y /z/", "the wildcards of '/x/*.y' are not converted"},
		{"COPY nowhere /x", "'nowhere' is not in the build context"},
		{"COPY *.nothing /x", "'*.nothing' matches nothing"},
		{"LABEL \"a b\"=c", "LABEL 'a b' is not converted"},
		{"USER 0x0", "USER '0x0' is not converted"},
		{"VOLUME v", "VOLUME 'v' is not converted"},
		{"ARG HTTP_PROXY", "ARG HTTP_PROXY is not converted"},
		{"ENV PATH=/x:$PATH", "PATH of the base image is taken to be"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *text = mem_printf("FROM alpine:3\n%s\n", cases[i][0]);
		AUTO(convert_result) r = convert_with(text, NULL);

		assert_true(r.comments > 0);
		expect_part(text, cases[i][1]);
	}
}

static void test_refusals(void **state)
{
	AUTO(buf) many = BUF_INIT(LIMIT_DOCKERFILE_BYTES);
	AUTO(buf) large = BUF_INIT(LIMIT_DOCKERFILE_BYTES);

	(void)state;
	expect_error("ARG A\n", "dockerfile/no-stage", 1);
	expect_error("ARG A\nRUN x\nFROM a\n", "dockerfile/no-stage", 2);
	expect_error("FROM a AS\n", "dockerfile/syntax", 1);
	expect_error("FROM a\nCOPY x\n", "dockerfile/syntax", 2);
	expect_error("FROM a\nENV A=b C\n", "dockerfile/syntax", 2);
	expect_error("FROM a\nSHELL x\n", "dockerfile/syntax", 2);
	expect_error("FROM a AS b\nCOPY --from=b c d\n", "dockerfile/syntax", 2);
	expect_error("FROM a\nONBUILD FROM b\n", "dockerfile/syntax", 2);
	expect_error("FROM a\nONBUILD RAN b\n", "dockerfile/unknown", 2);
	buf_add_c(&many, "FROM a\n");
	for (unsigned i = 0; i < LIMIT_DOCKERFILE_INSTRUCTIONS; i++)
		buf_add_c(&many, "RUN x\n");
	expect_error(buf_text(&many), "dockerfile/too-big", 1);
	buf_add_c(&large, "FROM a\nENV A=");
	for (unsigned i = 0; i < LIMIT_ENV_BYTES; i++)
		buf_add_byte(&large, 'x');
	expect_error(buf_text(&large), "dockerfile/too-big", 2);
}

/* A flat context of so many files; `x` is one that is ignored. */
static int list_many(void *ctx, const char *path, struct strvec *ret, struct err *e)
{
	const size_t *files_len = ctx;

	(void)path;
	(void)e;
	for (size_t i = 0; i < *files_len; i++) {
		AUTO_FREE char *name = mem_printf("f%zu", i);

		strvec_push(ret, name);
	}
	strvec_push(ret, "x");
	return 0;
}

static enum convert_kind kind_many(void *ctx, const char *path)
{
	(void)ctx;
	return path[0] == '\0' ? CONVERT_DIR : CONVERT_FILE;
}

/* The id of the error that converting a whole context of so many files gives, "" for none. */
static char *convert_many(size_t files_len, const char *ignore)
{
	const struct convert_files many = {&files_len, kind_many, list_many};
	const struct convert_options options = {.file = "Dockerfile",
						.prefix = "",
						.name = "i",
						.ignore = ignore,
						.files = &many};
	static const char text[] = "FROM scratch\nCOPY . /\n";
	AUTO(dockerfile) d = {0};
	AUTO(convert_result) r = {0};
	struct err e = ERR_INIT;

	assert_int_equal(dockerfile_parse(text, strlen(text), "Dockerfile", &d, &e), 0);
	return convert_dockerfile(&d, &options, &r, &e) == 0 ? mem_strdup("")
							     : mem_strdup(e.message);
}

static void expect_many(size_t files_len, const char *ignore, const char *part)
{
	AUTO_FREE char *got = convert_many(files_len, ignore);

	if (part ? !strstr(got, part) : got[0] != '\0')
		fail_msg("got '%s'", got);
}

static void test_contexts_are_bounded(void **state)
{
	(void)state;
	expect_many(LIMIT_CONVERT_IMPORTS, "x", NULL);
	expect_many(LIMIT_CONVERT_IMPORTS + 1, "x", "more than 2000 files");
	expect_many(LIMIT_CONVERT_LOOKS - 1, "no-match", NULL);
	expect_many(LIMIT_CONVERT_LOOKS, "no-match", "too many files to look at");
}

static void test_variables_are_bounded(void **state)
{
	AUTO(buf) text = BUF_INIT(LIMIT_DOCKERFILE_BYTES);

	(void)state;
	buf_add_c(&text, "FROM scratch\n");
	for (unsigned i = 0; i < 1000; i++)
		buf_addf(&text, "ENV A%u=\n", i);
	for (unsigned i = 0; i < 100; i++)
		buf_add_c(&text, "RUN x\nCOPY a.txt /\n");
	expect_error(buf_text(&text), "dockerfile/too-big", 1200);
}

static void test_names_are_unique_and_sound(void **state)
{
	AUTO(convert_result)
	r = convert_with("FROM scratch AS config\nFROM scratch AS a__b\nFROM scratch AS image\n"
			 "FROM scratch\nRUN x\nCOPY --from=a__b /f /g\n",
			 NULL);
	AUTO(stackerfile) s = expect_parses(buf_text(&r.stackerfile));

	(void)state;
	assert_non_null(stackerfile_find(&s, "config-stage"));
	assert_non_null(stackerfile_find(&s, "a_b"));
	assert_non_null(stackerfile_find(&s, "image"));
	assert_non_null(stackerfile_find(&s, "image-2"));
	assert_false(stackerfile_find(&s, "image-2")->build_only);
}

static void test_patterns_of_ignore_files(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} globs[] = {
		{"*.c", "a.c", true},
		{"*.c", "a/b.c", false},
		{"**/*.c", "a/b/c.c", true},
		{"**/*.c", "c.c", true},
		{"a/**", "a/b/c", true},
		{"a?c", "abc", true},
		{"a?c", "a/c", false},
		{"[a-c]x", "bx", true},
		{"[^a-c]x", "bx", false},
		{"\\*x", "*x", true},
		{"\\*x", "ax", false},
		{"a*b*c", "a1b2c", true},
		{"a*b*c", "a1c2b", false},
		{"**", "a/b", true},
		{"[x", "[x", false},
		{"", "", true},
		{"*", "", true},
	};
	AUTO(strvec) patterns = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(globs); i++) {
		if (ignore_glob(globs[i].pattern, globs[i].text) != globs[i].matches)
			fail_msg("'%s' and '%s'", globs[i].pattern, globs[i].text);
	}
	ignore_read("# comment\n\n /a/ \n!a/keep\r\nb/**/c\n", &patterns);
	assert_int_equal(patterns.len, 3);
	assert_true(ignore_matches(&patterns, "a"));
	assert_true(ignore_matches(&patterns, "a/x/y"));
	assert_false(ignore_matches(&patterns, "a/keep"));
	assert_true(ignore_matches(&patterns, "b/1/2/c"));
	assert_false(ignore_matches(&patterns, "c/a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stage_is_a_chain),
		cmocka_unit_test(test_bases),
		cmocka_unit_test(test_the_configuration_is_carried_over),
		cmocka_unit_test(test_args_are_substitutions),
		cmocka_unit_test(test_keys_avoid_the_names_of_variables),
		cmocka_unit_test(test_placeholders_of_the_dockerfile_are_text),
		cmocka_unit_test(test_scripts_keep_their_lines),
		cmocka_unit_test(test_other_shells_and_users),
		cmocka_unit_test(test_copy_takes_directories_as_docker_does),
		cmocka_unit_test(test_names_of_owners_need_the_image),
		cmocka_unit_test(test_dockerignore_counts),
		cmocka_unit_test(test_what_is_not_converted_is_said),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_contexts_are_bounded),
		cmocka_unit_test(test_variables_are_bounded),
		cmocka_unit_test(test_names_are_unique_and_sound),
		cmocka_unit_test(test_patterns_of_ignore_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
