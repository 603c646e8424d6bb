/*
 * Every tree of vectors/format-1, made on a real file system and packed by the real packer,
 * must give the digest written in it. Needs root, for owners and devices.
 */
#include "image_test.h"

#include "image/layer.h"
#include "util/num.h"
#include "util/vec.h"

#define VECTORS_DIR "vectors/format-1"

enum { LINE_WORDS_MAX = 8 };

struct vector {
	int upper_fd, lower_fd;
	bool has_lower;
	int64_t epoch_s;
	uint64_t entries;
	char sha256[DIGEST_TEXT_MAX];
	struct strvec
		times; /* "upper PATH MTIME", set last: making entries changes directories */
};

struct line {
	char *words[LINE_WORDS_MAX];
	size_t len;
};

/* Percent-decodes in place; gives the length, since values may hold NULs. */
static size_t decode(char *text)
{
	char *out = text;

	for (const char *at = text; *at; at++) {
		if (*at != '%') {
			*out++ = *at;
			continue;
		}
		assert_true(num_parse_hex(at + 1, 2, (uint8_t *)out++, 1));
		at += 2;
	}
	*out = '\0';
	return (size_t)(out - text);
}

static uint64_t number(const char *text)
{
	uint64_t value = 0;

	assert_true(num_parse_u64(text, strlen(text), UINT32_MAX, &value));
	return value;
}

static mode_t octal(const char *text)
{
	uint32_t mode = 0;

	assert_true(num_parse_mode(text, strlen(text), &mode));
	return mode;
}

static void make_file(int fd, const char *path, char *content)
{
	AUTO_CLOSE int file = openat(fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(file >= 0);
	if (strncmp(content, "zeros=", 6) == 0) {
		assert_int_equal(ftruncate(file, (off_t)number(content + 6)), 0);
		return;
	}
	assert_memory_equal(content, "text=", 5);
	size_t len = decode(content + 5);
	assert_int_equal(write(file, content + 5, len), len);
}

static void make_socket(int fd, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_CLOSE int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", fd, path);
	assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void make_device(int fd, const char *path, mode_t type, const char *numbers)
{
	const char *comma = strchr(numbers, ',');
	uint64_t major_number = 0;

	assert_non_null(comma);
	assert_true(num_parse_u64(numbers, (size_t)(comma - numbers), 255, &major_number));
	dev_t dev = makedev((unsigned)major_number, (unsigned)number(comma + 1));
	assert_int_equal(mknodat(fd, path, type | 0600, dev), 0);
}

/* TYPE MODE UID GID MTIME PATH [CONTENT]; owner before mode, since chown clears setuid. */
static void make_entry(struct vector *v, const char *tree, int fd, const struct line *line)
{
	const char *type = line->words[0];
	char *path = line->words[5], *content = line->words[6];

	decode(path);
	if (strcmp(type, "dir") == 0)
		assert_int_equal(mkdirat(fd, path, 0700), 0);
	else if (strcmp(type, "file") == 0)
		make_file(fd, path, content);
	else if (strcmp(type, "symlink") == 0)
		assert_true(decode(content) > 0 && symlinkat(content, fd, path) == 0);
	else if (strcmp(type, "fifo") == 0)
		assert_int_equal(mkfifoat(fd, path, 0600), 0);
	else
		make_device(fd, path, strcmp(type, "char") == 0 ? S_IFCHR : S_IFBLK, content);
	assert_int_equal(fchownat(fd, path, (uid_t)number(line->words[2]),
				  (gid_t)number(line->words[3]), AT_SYMLINK_NOFOLLOW),
			 0);
	if (strcmp(type, "symlink") != 0)
		assert_int_equal(fchmodat(fd, path, octal(line->words[1]), 0), 0);
	strvec_push(&v->times, tree);
	strvec_push(&v->times, path);
	strvec_push(&v->times, line->words[4]);
}

static void make_line(struct vector *v, const char *tree, int fd, const struct line *line)
{
	const char *type = line->words[0];

	if (strcmp(type, "gone") == 0) {
		decode(line->words[1]);
		make_gone(fd, line->words[1]);
	} else if (strcmp(type, "socket") == 0) {
		decode(line->words[1]);
		make_socket(fd, line->words[1]);
	} else if (strcmp(type, "link") == 0) {
		decode(line->words[1]);
		decode(line->words[2]);
		assert_int_equal(linkat(fd, line->words[2], fd, line->words[1], 0), 0);
	} else if (strcmp(type, "xattr") == 0) {
		char *value = line->len > 3 ? line->words[3]
					    : line->words[1] + strlen(line->words[1]);
		size_t len = decode(value);
		decode(line->words[1]);
		put_xattr(fd, line->words[1], line->words[2], value, len);
	} else {
		make_entry(v, tree, fd, line);
	}
}

static void apply_line(struct vector *v, const struct line *line)
{
	const char *word = line->words[0];
	struct line rest = {.len = line->len - 1};

	memcpy(rest.words, line->words + 1, rest.len * sizeof(rest.words[0]));
	if (strcmp(word, "epoch") == 0) {
		v->epoch_s = (int64_t)number(line->words[1]);
	} else if (strcmp(word, "entries") == 0) {
		v->entries = number(line->words[1]);
	} else if (strcmp(word, "sha256") == 0) {
		snprintf(v->sha256, sizeof(v->sha256), "%s", line->words[1]);
	} else {
		bool is_lower = strcmp(word, "lower") == 0;
		v->has_lower |= is_lower;
		make_line(v, word, is_lower ? v->lower_fd : v->upper_fd, &rest);
	}
}

/* Children were made after their parents, so going backwards leaves parents alone. */
static void set_times(const struct vector *v)
{
	for (size_t i = v->times.len; i > 0; i -= 3) {
		int fd =
			strcmp(v->times.items[i - 3], "lower") == 0 ? v->lower_fd : v->upper_fd;
		const char *text = v->times.items[i - 1];
		int64_t mtime_s = 0;

		assert_true(num_parse_i64(text, strlen(text), &mtime_s));
		/* A fraction that must be dropped, downwards also before 1970. */
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
					    {.tv_sec = mtime_s, .tv_nsec = 999999999}};
		assert_int_equal(
			utimensat(fd, v->times.items[i - 2], times, AT_SYMLINK_NOFOLLOW), 0);
	}
}

static void read_vector(struct vector *v, const char *name)
{
	AUTO_FREE char *path = mem_printf("%s/%s", VECTORS_DIR, name);
	AUTO(buf) text = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	char *rest = NULL;

	assert_int_equal(path_read_file(AT_FDCWD, path, &text, &e), 0);
	for (char *at = strtok_r(text.data, "\n", &rest); at;
	     at = strtok_r(NULL, "\n", &rest)) {
		struct line line = {.len = 0};
		char *end = NULL;

		for (char *w = strtok_r(at, " ", &end); w; w = strtok_r(NULL, " ", &end)) {
			assert_true(line.len < LINE_WORDS_MAX);
			line.words[line.len++] = w;
			if (w[0] == '#')
				break;
		}
		if (line.len > 0 && line.words[0][0] != '#')
			apply_line(v, &line);
	}
	set_times(v);
}

static void pack_vector(struct scratch *s, const char *name)
{
	struct vector v = {.epoch_s = -1};
	AUTO_FREE char *upper = mem_printf("%s.upper", name);
	AUTO_FREE char *lower = mem_printf("%s.lower", name);
	AUTO_FREE char *tar = mem_printf("%s.tar", name);
	struct layer_packed packed = {.size = 0};
	struct err e = ERR_INIT;

	make_dir(s->fd, upper);
	make_dir(s->fd, lower);
	v.upper_fd = open_dir(s->fd, upper);
	v.lower_fd = open_dir(s->fd, lower);
	read_vector(&v, name);
	int out_fd = openat(s->fd, tar, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	const struct layer_pack_options options = {.upper_fd = v.upper_fd,
						   .lower_fd = v.has_lower ? v.lower_fd : -1,
						   .epoch_s = v.epoch_s,
						   .out_fd = out_fd};
	assert_int_equal(layer_pack(&options, &packed, &e), 0);
	print_message("%s\n", name);
	expect_digest(&packed.diff_id, v.sha256);
	assert_int_equal(packed.entries, v.entries);
	assert_int_equal(packed.size, lseek(out_fd, 0, SEEK_END));
	close(out_fd);
	close(v.upper_fd);
	close(v.lower_fd);
	strvec_cleanup(&v.times);
}

static void test_every_vector(void **state)
{
	struct scratch *s = *state;
	DIR *dir = opendir(VECTORS_DIR);
	size_t vectors = 0;

	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	assert_non_null(dir);
	for (struct dirent *x = readdir(dir); x; x = readdir(dir)) {
		const char *dot = strrchr(x->d_name, '.');
		if (dot && strcmp(dot, ".tree") == 0) {
			pack_vector(s, x->d_name);
			vectors++;
		}
	}
	closedir(dir);
	assert_true(vectors >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_every_vector),
	};
	return cmocka_run_group_tests_name("image vectors", tests, NULL, NULL);
}
