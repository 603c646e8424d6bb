/* What stderr gets: the exact lines in both formats, and that no byte of a name drives it. */
#include "util_test.h"

#include <sys/ioctl.h>

#include "util/json_read.h"
#include "util/log.h"

struct capture {
	int read_fd;
	int write_fd;
};

static struct capture capture_start(enum log_level level, enum log_format format, bool colour)
{
	struct capture c;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	c = (struct capture){fds[0], fds[1]};
	log_setup(&(struct log_options){
		.level = level, .format = format, .colour = colour, .fd = c.write_fd});
	return c;
}

static char *capture_end(struct capture *c)
{
	AUTO(buf) b = BUF_INIT(1 << 20);

	log_setup(&(struct log_options){
		.level = LOG_NOTE, .format = LOG_FORMAT_TEXT, .fd = STDERR_FILENO});
	close(c->write_fd);
	assert_int_equal(path_read_fd(c->read_fd, "log", &b, NULL), 0);
	close(c->read_fd);
	return buf_take(&b);
}

static void expect_log(struct capture *c, const char *wanted)
{
	AUTO_FREE char *text = capture_end(c);

	assert_string_equal(text, wanted);
}

static struct err sample_error(void)
{
	struct err e = ERR_INIT;
	struct pos pos = {"stacker.yaml", 12, 7};

	err_at(&e, &pos, "recipe/unknown-directive", "unknown directive 'enviroment'");
	err_hint(&e, "did you mean 'environment'?");
	return e;
}

static void test_levels(void **state)
{
	struct capture c = capture_start(LOG_WARN, LOG_FORMAT_TEXT, false);

	(void)state;
	assert_true(log_enabled(LOG_ERROR));
	assert_true(log_enabled(LOG_WARN));
	assert_false(log_enabled(LOG_NOTE));
	log_warn("kept %d", 1);
	log_note("dropped");
	log_debug("dropped");
	expect_log(&c, "warning: kept 1\n");
	c = capture_start(LOG_DEBUG, LOG_FORMAT_TEXT, false);
	log_note("filesystem %s built successfully", "app");
	log_debug("x");
	expect_log(&c, "filesystem app built successfully\ndebug: x\n");
}

static void test_errors_as_text(void **state)
{
	struct capture c = capture_start(LOG_NOTE, LOG_FORMAT_TEXT, false);
	struct err e = sample_error();

	(void)state;
	log_err(&e);
	err_set(&e, ERR_INPUT, "input/x", "no position");
	log_err(&e);
	err_locate(&e, &(struct pos){"f", 3, 0});
	log_err(&e);
	expect_log(&c, "stacker.yaml:12:7: error: unknown directive 'enviroment' "
		       "[recipe/unknown-directive]\n"
		       "  hint: did you mean 'environment'?\n"
		       "error: no position [input/x]\n"
		       "f:3: error: no position [input/x]\n");
}

static void test_raising_place_with_debug(void **state)
{
	struct capture c = capture_start(LOG_DEBUG, LOG_FORMAT_TEXT, false);
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, ERR_INPUT, "input/x", "x");
	log_err(&e);
	AUTO_FREE char *text = capture_end(&c);
	assert_non_null(strstr(text, "  raised at "));
	assert_non_null(strstr(text, "test_util_log.c:"));
}

static void test_errors_as_json(void **state)
{
	struct capture c = capture_start(LOG_NOTE, LOG_FORMAT_JSON, true);
	struct err e = sample_error();

	(void)state;
	log_err(&e);
	log_warn("w \"%s\"", "\n");
	log_note("n");
	expect_log(&c, "{\"column\":7,\"file\":\"stacker.yaml\",\"hint\":\"did you mean "
		       "'environment'?\","
		       "\"id\":\"recipe/unknown-directive\",\"level\":\"error\",\"line\":12,"
		       "\"message\":\"unknown directive 'enviroment'\"}\n"
		       "{\"level\":\"warning\",\"message\":\"w \\\"\\\\x0a\\\"\"}\n"
		       "{\"level\":\"note\",\"message\":\"n\"}\n");
}

static void test_hostile_names_are_escaped(void **state)
{
	struct capture c = capture_start(LOG_NOTE, LOG_FORMAT_TEXT, false);
	struct err e = ERR_INIT;
	struct pos pos = {"a\x1b[2Jb", 1, 1};

	(void)state;
	log_note("entry '%s'", "a\nerror: forged\r\x1b]0;x\x07");
	err_at(&e, &pos, "x/y", "'\xff'");
	err_hint(&e, "\xe2\x80\xae");
	log_err(&e);
	expect_log(&c, "entry 'a\\x0aerror: forged\\x0d\\x1b]0;x\\x07'\n"
		       "a\\x1b[2Jb:1:1: error: '\\xff' [x/y]\n"
		       "  hint: \\xe2\\x80\\xae\n");
}

static void test_output_of_steps(void **state)
{
	struct capture c = capture_start(LOG_ERROR, LOG_FORMAT_TEXT, false);

	(void)state;
	log_output_line("app", "a\tb\x1b[1m", 7);
	log_output_line(NULL, "plain", 5);
	log_output_line("app", "", 0);
	expect_log(&c, "app: a\tb\\x1b[1m\nplain\napp: \n");
	c = capture_start(LOG_ERROR, LOG_FORMAT_JSON, false);
	log_output_line("app", "a\tb\xff", 4);
	expect_log(&c,
		   "{\"image\":\"app\",\"level\":\"output\",\"message\":\"a\\tb\\\\xff\"}\n");
}

static void test_colour(void **state)
{
	struct capture c = capture_start(LOG_NOTE, LOG_FORMAT_TEXT, true);

	(void)state;
	log_warn("w");
	log_note("n");
	expect_log(&c, "\x1b[1;33mwarning: \x1b[0mw\nn\n");
}

static void test_status_only_on_a_terminal(void **state)
{
	struct capture c = capture_start(LOG_NOTE, LOG_FORMAT_TEXT, false);

	(void)state;
	log_status("downloading");
	log_note("n");
	log_status(NULL);
	expect_log(&c, "n\n");
}

static void test_status_is_erased_by_the_next_message(void **state)
{
	AUTO_CLOSE int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct winsize size = {.ws_col = 10, .ws_row = 5};
	char text[256] = "";

	(void)state;
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) {
		print_message("skipped: no pseudo terminals here\n");
		skip();
	}
	int fd = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
	log_setup(
		&(struct log_options){.level = LOG_NOTE, .format = LOG_FORMAT_TEXT, .fd = fd});
	log_status("12345678\xc3\xa9z"); /* 9 columns: a character is not halved */
	log_note("n");
	log_status(NULL); /* nothing shown: nothing to erase */
	log_setup(&(struct log_options){
		.level = LOG_NOTE, .format = LOG_FORMAT_TEXT, .fd = STDERR_FILENO});
	/* A terminal hands its bytes over in pieces; the other end's close is the end of them. */
	close(fd);
	size_t len = 0;
	for (ssize_t got; (got = read(master, text + len, sizeof(text) - 1 - len)) > 0;)
		len += (size_t)got;
	assert_string_equal(text, "\r\x1b[K12345678\r\x1b[Kn\r\n");
}

static void test_long_messages_are_cut(void **state)
{
	struct capture c;
	size_t len = 100000;
	AUTO_FREE char *name = mem_alloc(len + 1);

	(void)state;
	memset(name, 'a', len);
	name[len] = '\0';
	c = capture_start(LOG_NOTE, LOG_FORMAT_TEXT, false);
	assert_true(fcntl(c.write_fd, F_SETPIPE_SZ, 1 << 18) >= 0);
	log_note("%s", name);
	AUTO_FREE char *text = capture_end(&c);
	assert_int_equal(strlen(text), 64 * 1024 + strlen("...\n"));
}

static void test_dead_reader_is_no_crash(void **state)
{
	struct capture c = capture_start(LOG_NOTE, LOG_FORMAT_TEXT, false);

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	close(c.read_fd);
	errno = 5;
	log_note("into the void");
	assert_int_equal(errno, 5);
	close(c.write_fd);
	log_note("bad fd");
	log_setup(&(struct log_options){
		.level = LOG_NOTE, .format = LOG_FORMAT_TEXT, .fd = STDERR_FILENO});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_errors_as_text),
		cmocka_unit_test(test_raising_place_with_debug),
		cmocka_unit_test(test_errors_as_json),
		cmocka_unit_test(test_hostile_names_are_escaped),
		cmocka_unit_test(test_output_of_steps),
		cmocka_unit_test(test_colour),
		cmocka_unit_test(test_status_only_on_a_terminal),
		cmocka_unit_test(test_status_is_erased_by_the_next_message),
		cmocka_unit_test(test_long_messages_are_cut),
		cmocka_unit_test(test_dead_reader_is_no_crash),
	};

	return cmocka_run_group_tests_name("util/log", tests, NULL, NULL);
}
