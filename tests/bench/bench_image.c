/*
 * The work of the packer and the unpacker by itself, without a sandbox around it: what is
 * measured beside other tools' (image.py). Prints one JSON object.
 *
 * usage: bench_image pack UPPER LOWER OUT gzip|zstd|none THREADS    LOWER may be "-"
 *        bench_image unpack BLOB gzip|zstd|none DIFF_ID DIR         DIR is made
 *        bench_image stack DIR THREADS DIFF_ID:BLOB...    all gzip, lowest first; DIR is made
 *        bench_image encode FILE ROUNDS      our DEFLATE and zlib's level 6 in turns, one thread
 *        bench_image hash FILE
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "image/deflate.h"
#include "image/layer.h"
#include "image/unpack.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"
#include "util/str.h"

static const char usage[] = "usage: see the head of tests/bench/bench_image.c\n";

static int fail(const struct err *e)
{
	fprintf(stderr, "bench_image: error: %s\n", e->message);
	return 1;
}

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool form_of(const char *name, enum layer_compression *ret)
{
	static const char *const names[] = {
		[LAYER_TAR] = "none", [LAYER_GZIP] = "gzip", [LAYER_ZSTD] = "zstd"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_same(name, names[i])) {
			*ret = (enum layer_compression)i;
			return true;
		}
	}
	return false;
}

static int bench_pack(char **args)
{
	struct err e = ERR_INIT;
	AUTO_CLOSE int upper = -1;
	AUTO_CLOSE int lower = -1;
	AUTO_CLOSE int out = open(args[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct layer_packed packed;
	char diff_id[DIGEST_TEXT_MAX];
	uint64_t threads = 0;
	enum layer_compression form;
	if (out < 0 || !form_of(args[3], &form) ||
	    !num_parse_u64(args[4], strlen(args[4]), 1024, &threads)) {
		fputs(usage, stderr);
		return 2;
	}
	if (path_open_dir(AT_FDCWD, args[0], &upper, &e) < 0 ||
	    (!str_same(args[1], "-") && path_open_dir(AT_FDCWD, args[1], &lower, &e) < 0))
		return fail(&e);
	const struct layer_pack_options options = {
		.upper_fd = upper,
		.lower_fd = lower,
		.epoch_s = INT64_C(4000000000),
		.out_fd = out,
		.compression = form,
		.threads = (unsigned)threads,
	};
	if (layer_pack(&options, &packed, &e) < 0)
		return fail(&e);
	digest_format(&packed.diff_id, diff_id);
	printf("{\"tar_bytes\": %ju, \"bytes\": %ju, \"entries\": %ju, \"diff_id\": \"%s\"}\n",
	       (uintmax_t)packed.size, (uintmax_t)packed.blob_size, (uintmax_t)packed.entries,
	       diff_id);
	return 0;
}

static int bench_unpack(char **args)
{
	struct err e = ERR_INIT;
	AUTO_CLOSE int blob = open(args[0], O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int root = -1;
	struct digest diff_id;
	enum layer_compression form;
	if (blob < 0 || !form_of(args[1], &form)) {
		fputs(usage, stderr);
		return 2;
	}
	if (digest_parse(args[2], &diff_id, &e) < 0 ||
	    path_make_dir(AT_FDCWD, args[3], 0755, &root, &e) < 0 ||
	    unpack_layer(&(struct unpack_layer){blob, form, diff_id, root},
			 &(struct beneath){0}, &unpack_default_limits, &e) < 0)
		return fail(&e);
	puts("{}");
	return 0;
}

static int open_layer(const char *arg, int dir_fd, size_t number, struct unpack_layer *ret,
		      struct err *e)
{
	char diff_id[DIGEST_TEXT_MAX], name[16];
	const char *blob = strrchr(arg, ':');
	if (blob == NULL)
		return err_set(e, ERR_USAGE, "bench/layer", "'%s' is not DIFF_ID:BLOB", arg);
	snprintf(diff_id, sizeof(diff_id), "%.*s", (int)(blob - arg), arg);
	snprintf(name, sizeof(name), "%zu", number);
	*ret = (struct unpack_layer){.compression = LAYER_GZIP};
	ret->blob_fd = open(blob + 1, O_RDONLY | O_CLOEXEC);
	if (ret->blob_fd < 0)
		return err_sys(e, "cannot open '%s'", blob + 1);
	if (digest_parse(diff_id, &ret->diff_id, e) < 0)
		return -1;
	return path_make_dir(dir_fd, name, 0755, &ret->root_fd, e);
}

static int bench_stack(char **args)
{
	struct err e = ERR_INIT;
	AUTO_CLOSE int dir = -1;
	struct unpack_layer layers[64];
	size_t len = 0;
	uint64_t threads = 0;
	if (!num_parse_u64(args[1], strlen(args[1]), 1024, &threads)) {
		fputs(usage, stderr);
		return 2;
	}
	if (path_make_dir(AT_FDCWD, args[0], 0755, &dir, &e) < 0)
		return fail(&e);
	for (; args[2 + len] != NULL && len < ARRAY_LEN(layers); len++)
		if (open_layer(args[2 + len], dir, len, &layers[len], &e) < 0)
			return fail(&e);
	if (unpack_stack(layers, len, &unpack_default_limits, (unsigned)threads, &e) < 0)
		return fail(&e);
	puts("{}");
	return 0;
}

struct mapped {
	const uint8_t *bytes;
	size_t len;
};

static bool map_file(const char *path, struct mapped *ret)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	ret->len = (size_t)st.st_size;
	const void *bytes = mmap(NULL, ret->len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	ret->bytes = bytes;
	return bytes != MAP_FAILED;
}

static size_t encode_ours(const struct mapped *in, uint8_t *out)
{
	AUTO_FREE struct deflate_encoder *d = deflate_encoder_new();
	size_t total = 0;
	for (size_t at = 0; at < in->len; at += DEFLATE_SEGMENT_BYTES) {
		size_t left = in->len - at;
		size_t len = left < DEFLATE_SEGMENT_BYTES ? left : DEFLATE_SEGMENT_BYTES;
		total += deflate_segment(d, in->bytes + at, len, out);
	}
	return total;
}

static size_t encode_zlib(const struct mapped *in, uint8_t *out)
{
	z_stream z = {0};
	size_t at = 0;
	int r = Z_OK;
	BUG_IF(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK);
	AUTO_FREE uint8_t *part = mem_alloc(DEFLATE_SEGMENT_BYTES);
	while (r == Z_OK) {
		if (z.avail_in == 0 && at < in->len) {
			size_t left = in->len - at;
			size_t len =
				left < DEFLATE_SEGMENT_BYTES ? left : DEFLATE_SEGMENT_BYTES;
			memcpy(part, in->bytes + at, len);
			z.next_in = part;
			z.avail_in = (unsigned)len;
			at += len;
		}
		z.next_out = out;
		z.avail_out = DEFLATE_BOUND_BYTES;
		r = deflate(&z, at < in->len ? Z_NO_FLUSH : Z_FINISH);
	}
	size_t total = z.total_out;
	BUG_IF(r != Z_STREAM_END || z.total_in != in->len);
	(void)deflateEnd(&z);
	return total;
}

static double best(size_t (*encode)(const struct mapped *, uint8_t *), const struct mapped *in,
		   uint8_t *out, size_t *ret_len, double least)
{
	double start = cpu_s();
	*ret_len = encode(in, out);
	double took = cpu_s() - start;
	return least == 0 || took < least ? took : least;
}

static int bench_encode(char **args)
{
	struct mapped in;
	uint64_t rounds = 0;
	AUTO_FREE uint8_t *out = mem_alloc(DEFLATE_BOUND_BYTES);
	double ours = 0, zlib = 0;
	size_t ours_len = 0, zlib_len = 0;
	if (!map_file(args[0], &in) || !num_parse_u64(args[1], strlen(args[1]), 100, &rounds)) {
		fputs(usage, stderr);
		return 2;
	}
	for (uint64_t i = 0; i < rounds; i++) {
		ours = best(encode_ours, &in, out, &ours_len, ours);
		zlib = best(encode_zlib, &in, out, &zlib_len, zlib);
	}
	double len = (double)in.len;
	printf("{\"bytes\": %zu, \"ours_mb_s\": %.1f, \"zlib6_mb_s\": %.1f, \"speed\": %.3f, "
	       "\"ours_ratio\": %.4f, \"zlib6_ratio\": %.4f}\n",
	       in.len, len / ours / 1e6, len / zlib / 1e6, zlib / ours, len / (double)ours_len,
	       len / (double)zlib_len);
	return 0;
}

static int bench_hash(char **args)
{
	struct mapped in;
	struct digest d;
	if (!map_file(args[0], &in)) {
		fputs(usage, stderr);
		return 2;
	}
	double start = cpu_s();
	digest_bytes(DIGEST_SHA256, in.bytes, in.len, &d);
	double sha256_s = cpu_s() - start;
	start = cpu_s();
	uLong crc = crc32_z(0, in.bytes, in.len);
	double crc_s = cpu_s() - start;
	printf("{\"sha256_mb_s\": %.0f, \"crc32_mb_s\": %.0f, \"crc32\": %lu}\n",
	       (double)in.len / sha256_s / 1e6, (double)in.len / crc_s / 1e6, crc);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args_least, args_most;
		int (*run)(char **args);
	} commands[] = {{"pack", 5, 5, bench_pack},
			{"unpack", 4, 4, bench_unpack},
			{"stack", 3, 66, bench_stack},
			{"encode", 2, 2, bench_encode},
			{"hash", 1, 1, bench_hash}};
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (argc >= commands[i].args_least + 2 && argc <= commands[i].args_most + 2 &&
		    str_same(argv[1], commands[i].name))
			return commands[i].run(argv + 2);
	}
	fputs(usage, stderr);
	return 2;
}
