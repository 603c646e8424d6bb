/*
 * Every tree of vectors/format-1, made on a real file system and packed by the real packer,
 * must give the digests written in it: of the archive, of its gzip form, and of the documents
 * of an image that is this one layer. Needs root, for owners and devices. With the argument
 * "slow" the slow ones too; with "facts" what was found is printed, for new vectors.
 */
#include "image_test.h"

#include "image/config.h"
#include "image/layer.h"
#include "image/manifest.h"
#include "image/volatile.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/vec.h"

#define VECTORS_DIR "vectors/format-1"

enum { LINE_WORDS_MAX = 8 };

struct vector {
	int upper_fd, lower_fd;
	bool has_lower;
	int64_t epoch_s;
	struct volatile_list volatile_files;
	uint64_t entries, gzip_bytes;
	char sha256[DIGEST_TEXT_MAX], gzip[DIGEST_TEXT_MAX];
	char config[DIGEST_TEXT_MAX], manifest[DIGEST_TEXT_MAX];
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

	assert_true(num_parse_u64(text, strlen(text), INT64_MAX, &value));
	return value;
}

/* Data that is neither random nor regular; the README of the vectors says how it is made. */
struct mix {
	uint32_t state;
	struct buf *out;
};

static uint32_t mix_next(struct mix *m)
{
	uint32_t x = m->state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return m->state = x;
}

static void mix_number(struct mix *m, uint32_t number)
{
	for (unsigned shift = 0; shift < 32; shift += 8)
		buf_add_byte(m->out, (char)(number >> shift));
}

static void mix_random(struct mix *m, size_t size)
{
	while (m->out->len < size)
		mix_number(m, mix_next(m));
}

static void mix_runs(struct mix *m, size_t size)
{
	while (m->out->len < size) {
		uint32_t x = mix_next(m);
		for (uint32_t i = 0; i < 1 + (x >> 8 & 0x3ff); i++)
			buf_add_byte(m->out, (char)x);
	}
}

static void mix_words(struct mix *m, size_t size)
{
	char words[256][11];
	uint32_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t len = 2 + mix_next(m) % 9;
		for (size_t k = 0; k < len; k++)
			words[i][k] = (char)('a' + mix_next(m) % 26);
		words[i][len] = '\0';
	}
	while (m->out->len < size) {
		uint32_t x = mix_next(m);
		buf_add_c(m->out, words[(x & 0xff) * (x >> 8 & 0xff) >> 8]);
		buf_add_byte(m->out, ++count % 12 == 0 ? '\n' : ' ');
	}
}

static void mix_records(struct mix *m, size_t size)
{
	for (uint32_t number = 0; m->out->len < size; number++) {
		uint32_t x = mix_next(m);
		const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, x >> 20 & 7, 0, 0, 0};
		mix_number(m, number);
		mix_number(m, number * 8);
		mix_number(m, x & 0xfff);
		mix_number(m, 0x1000 + (x >> 12 & 0xff));
		buf_add(m->out, code, sizeof(code));
		mix_number(m, 0);
		mix_number(m, 0);
	}
}

/* "WAY,SIZE,SEED" */
static void write_mix(int fd, const char *text)
{
	static const struct {
		const char *name;
		void (*make)(struct mix *m, size_t size);
	} ways[] = {{"random", mix_random},
		    {"runs", mix_runs},
		    {"words", mix_words},
		    {"records", mix_records}};
	AUTO(buf) out = BUF_INIT(1 << 21);
	const char *comma = strchr(text, ','), *last = strrchr(text, ',');
	uint64_t size = 0;
	bool found = false;

	assert_true(comma && last > comma);
	assert_true(num_parse_u64(comma + 1, (size_t)(last - comma - 1), 1 << 20, &size));
	struct mix m = {.state = (uint32_t)number(last + 1), .out = &out};
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		if (strncmp(text, ways[i].name, (size_t)(comma - text)) != 0)
			continue;
		ways[i].make(&m, size);
		found = true;
	}
	assert_true(found && !out.overflowed);
	assert_int_equal(write(fd, out.data, size), size);
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
	char *rest = NULL;

	assert_true(file >= 0);
	for (char *piece = strtok_r(content, ";", &rest); piece;
	     piece = strtok_r(NULL, ";", &rest)) {
		if (strncmp(piece, "zeros=", 6) == 0) {
			off_t end = lseek(file, (off_t)number(piece + 6), SEEK_END);
			assert_int_equal(ftruncate(file, end), 0); /* a hole */
		} else if (strncmp(piece, "mix=", 4) == 0) {
			write_mix(file, piece + 4);
		} else {
			assert_memory_equal(piece, "text=", 5);
			size_t len = decode(piece + 5);
			assert_int_equal(write(file, piece + 5, len), len);
		}
	}
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

static void add_volatile(struct vector *v, const struct line *line)
{
	enum volatile_rule rule = VOLATILE_REMOVE;

	assert_true(line->len >= 3 && volatile_rule_parse(line->words[1], &rule));
	decode(line->words[2]);
	if (line->len > 3)
		decode(line->words[3]);
	volatile_list_add(&v->volatile_files, line->words[2], rule,
			  line->len > 3 ? line->words[3] : NULL);
}

static bool apply_digest(struct vector *v, const struct line *line)
{
	const struct {
		const char *word;
		char *text;
	} digests[] = {{"sha256", v->sha256},
		       {"gzip", v->gzip},
		       {"config", v->config},
		       {"manifest", v->manifest}};

	for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
		if (strcmp(line->words[0], digests[i].word) != 0)
			continue;
		snprintf(digests[i].text, DIGEST_TEXT_MAX, "%s", line->words[1]);
		return true;
	}
	return false;
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
	} else if (strcmp(word, "gzip-size") == 0) {
		v->gzip_bytes = number(line->words[1]);
	} else if (strcmp(word, "volatile") == 0) {
		add_volatile(v, line);
	} else if (!apply_digest(v, line)) {
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

static void open_vector(struct scratch *s, struct vector *v, const char *name)
{
	AUTO_FREE char *upper = mem_printf("%s.upper", name);
	AUTO_FREE char *lower = mem_printf("%s.lower", name);

	make_dir(s->fd, upper);
	make_dir(s->fd, lower);
	v->upper_fd = open_dir(s->fd, upper);
	v->lower_fd = open_dir(s->fd, lower);
	read_vector(v, name);
}

static void close_vector(struct vector *v)
{
	close(v->upper_fd);
	close(v->lower_fd);
	strvec_cleanup(&v->times);
	volatile_list_cleanup(&v->volatile_files);
}

/* Packs; the digest is of the blob as it was written. */
static struct layer_packed pack_as(struct scratch *s, const struct vector *v,
				   enum layer_compression compression, unsigned threads,
				   struct digest *ret_blob)
{
	struct layer_packed packed = {.size = 0};
	struct err e = ERR_INIT;
	AUTO_CLOSE int out = openat(s->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	const struct layer_pack_options options = {.upper_fd = v->upper_fd,
						   .lower_fd = v->has_lower ? v->lower_fd : -1,
						   .epoch_s = v->epoch_s,
						   .volatile_files = &v->volatile_files,
						   .out_fd = out,
						   .compression = compression,
						   .threads = threads};
	if (layer_pack(&options, &packed, &e) < 0)
		fail_msg("%s", e.message);
	assert_int_equal(packed.blob_size, lseek(out, 0, SEEK_END));
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	AUTO(digest_stream) blob = {0};
	char bytes[65536];
	digest_stream_init(&blob, DIGEST_SHA256);
	for (ssize_t n; (n = read(out, bytes, sizeof(bytes))) != 0;) {
		assert_true(n > 0);
		digest_stream_add(&blob, bytes, (size_t)n);
	}
	digest_stream_final(&blob, ret_blob);
	return packed;
}

/* What it is, or with "facts", what it is said to be from now on. */
static void expect_fact(const char *name, const struct digest *found, const char *expected,
			bool shows)
{
	char text[DIGEST_TEXT_MAX];

	digest_format_hex(found, text);
	if (shows)
		print_message("%s %s\n", name, text);
	else if (strcmp(text, expected) != 0)
		fail_msg("%s is %s, not %s", name, text, expected);
}

/* An image from scratch that is this layer, or none if the layer is empty. */
static void expect_documents(const struct vector *v, const struct layer_packed *packed,
			     const struct digest *gzip, bool shows)
{
	AUTO(image_config) config = {0};
	AUTO(manifest) manifest = {0};
	AUTO(buf) text = BUF_INIT(LIMIT_CONFIG_BYTES);
	struct digest digest;
	const struct config_directives directives = {
		.os = "linux", .architecture = "amd64", .created_s = v->epoch_s};
	struct descriptor layer = {.media_type = mem_strdup(OCI_LAYER_GZIP_TYPE),
				   .digest = *gzip,
				   .size = packed->blob_size};

	if (packed->entries > 0) {
		image_config_add_layer(&config, &packed->diff_id, "vector", v->epoch_s);
		vec_push(&manifest.layers, layer);
	} else {
		descriptor_cleanup(&layer);
	}
	image_config_apply(&config, &directives);
	image_config_write(&config, &text);
	digest_bytes(DIGEST_SHA256, text.data, text.len, &digest);
	expect_fact("config", &digest, v->config, shows);
	manifest.config = (struct descriptor){
		.media_type = mem_strdup(OCI_CONFIG_TYPE), .digest = digest, .size = text.len};
	buf_clear(&text);
	manifest_write(&manifest, &text);
	digest_bytes(DIGEST_SHA256, text.data, text.len, &digest);
	expect_fact("manifest", &digest, v->manifest, shows);
}

static void pack_vector(struct scratch *s, const char *name, bool slow, bool shows)
{
	struct vector v = {.epoch_s = -1};
	struct digest blob;

	print_message("%s\n", name);
	open_vector(s, &v, name);
	struct layer_packed packed = pack_as(s, &v, LAYER_GZIP, 2, &blob);
	expect_fact("sha256", &packed.diff_id, v.sha256, shows);
	expect_fact("gzip", &blob, v.gzip, shows);
	expect_documents(&v, &packed, &blob, shows);
	if (shows)
		print_message("entries %ju\ngzip-size %ju\n", (uintmax_t)packed.entries,
			      (uintmax_t)packed.blob_size);
	else
		assert_true(packed.entries == v.entries && packed.blob_size == v.gzip_bytes);
	if (!slow) {
		/* No thread but the caller's: the same bytes. And no compression. */
		struct digest alone, plain;
		(void)pack_as(s, &v, LAYER_GZIP, 0, &alone);
		assert_memory_equal(&alone, &blob, sizeof(blob));
		packed = pack_as(s, &v, LAYER_TAR, 1, &plain);
		assert_memory_equal(&plain, &packed.diff_id, sizeof(plain));
	}
	close_vector(&v);
}

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len > end_len && strcmp(name + len - end_len, end) == 0;
}

static void pack_all(struct scratch *s, bool slow, bool shows)
{
	DIR *dir = opendir(VECTORS_DIR);
	size_t vectors = 0;

	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	assert_non_null(dir);
	for (struct dirent *x = readdir(dir); x; x = readdir(dir)) {
		if (!ends_in(x->d_name, ".tree") || ends_in(x->d_name, ".slow.tree") != slow)
			continue;
		pack_vector(s, x->d_name, slow, shows);
		vectors++;
	}
	closedir(dir);
	assert_true(vectors >= (slow ? 1 : 11));
}

static void test_every_vector(void **state)
{
	pack_all(*state, false, false);
}

static void test_slow_vectors(void **state)
{
	pack_all(*state, true, false);
}

static void show_facts(void **state)
{
	pack_all(*state, false, true);
	pack_all(*state, true, true);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_every_vector),
	};
	const struct CMUnitTest slow[] = {
		scratch_test(test_every_vector),
		scratch_test(test_slow_vectors),
	};
	const struct CMUnitTest facts[] = {
		scratch_test(show_facts),
	};

	if (argc > 1 && strcmp(argv[1], "slow") == 0)
		return cmocka_run_group_tests_name("all image vectors", slow, NULL, NULL);
	if (argc > 1 && strcmp(argv[1], "facts") == 0)
		return cmocka_run_group_tests_name("facts of vectors", facts, NULL, NULL);
	return cmocka_run_group_tests_name("image vectors", tests, NULL, NULL);
}
