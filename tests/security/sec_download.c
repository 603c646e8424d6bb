/*
 * Fetches pins by the real downloader, confined as in a build, where the command line cannot:
 * with a certificate authority of the test's own and with short time limits.
 *
 * usage: sec_download [--ca PEM] [--stall MS] [--total MS] DIR PIN...
 *   PIN is SHA256[:SIZE]=URL[=URL]...; all are fetched at once into the store DIR/store.
 * Prints "ok", or the error's id and message; exits with 0 or 1.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "build/policy.h"
#include "inputs/fetch.h"
#include "sandbox/confine.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"
#include "util/vec.h"

struct parsed_pin {
	struct pin pin;
	struct strvec urls;
};
struct parsed_pins VEC_OF(struct parsed_pin);

static int confine(void *policy, struct err *e)
{
	return sandbox_confine_fetcher(policy, e);
}

/* SHA256[:SIZE]=URL[=URL]...; URLs of the tests hold no "=". */
static int parse_pin(char *text, struct parsed_pin *ret, struct err *e)
{
	char *url = strchr(text, '=');
	if (!url)
		return err_set(e, ERR_USAGE, "test/usage", "'%s' is no pin", text);
	*url++ = '\0';
	ret->pin.size = -1;
	char *size = strchr(text, ':');
	uint64_t bytes;
	if (size) {
		*size++ = '\0';
		if (!num_parse_u64(size, strlen(size), INT64_MAX, &bytes))
			return err_set(e, ERR_USAGE, "test/usage", "'%s' is no size", size);
		ret->pin.size = (int64_t)bytes;
	}
	for (char *next; url; url = next) {
		next = strchr(url, '=');
		if (next)
			*next++ = '\0';
		strvec_push(&ret->urls, url);
	}
	AUTO_FREE char *digest = mem_printf("sha256:%s", text);
	return digest_parse(digest, &ret->pin.hash, e);
}

static int fetch(const char *dir, char **texts, size_t len, struct fetch_options *options,
		 struct err *e)
{
	AUTO(sandbox_policy) policy = {0};
	AUTO(store) store = STORE_INIT;
	AUTO_CLOSE int fd = -1;
	struct digest digest;
	AUTO_FREE struct parsed_pin *parsed = mem_zalloc(len, sizeof(*parsed));
	AUTO_FREE struct pin *pins = mem_zalloc(len, sizeof(*pins));
	if (policy_load(&policy, &digest, e) < 0 ||
	    path_make_private_dir(AT_FDCWD, dir, &fd, e) < 0 || store_open(fd, &store, e) < 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (parse_pin(texts[i], &parsed[i], e) < 0)
			return -1;
		pins[i] = parsed[i].pin;
		pins[i].urls = (const char *const *)parsed[i].urls.items;
		pins[i].urls_len = parsed[i].urls.len;
	}
	options->confine = confine;
	options->confine_ctx = &policy;
	int r = fetch_pins(&store, pins, len, options, e);
	for (size_t i = 0; i < len; i++)
		strvec_cleanup(&parsed[i].urls);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{"ca", required_argument, NULL, 'c'},
		{"stall", required_argument, NULL, 's'},
		{"total", required_argument, NULL, 't'},
		{0},
	};
	struct fetch_options options = {.backoff_ms = 10};
	struct err e = ERR_INIT;
	uint64_t ms = 0;
	for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		if (c == 'c')
			options.ca_file = optarg;
		else if (c == '?' || !num_parse_u64(optarg, strlen(optarg), UINT32_MAX, &ms))
			return 2;
		if (c == 's')
			options.stall_ms = (unsigned)ms;
		if (c == 't')
			options.total_ms = ms;
	}
	if (optind + 1 >= argc)
		return 2;
	if (fetch(argv[optind], argv + optind + 1, (size_t)(argc - optind - 1), &options, &e) <
	    0) {
		printf("%s %s\n", e.id, e.message);
		return 1;
	}
	printf("ok\n");
	return 0;
}
