/* From options and environment to what the registry client wants. */
#include "cli/registry.h"

#include <string.h>
#include <unistd.h>

#include "util/num.h"

void registry_flags_cleanup(struct registry_flags *f)
{
	strvec_cleanup(&f->token_hosts);
	mem_free_cleanup(&f->token_host_list);
}

static void show(void *ctx, const struct registry_progress *p)
{
	const struct cli *cli = ctx;
	char bytes[32];
	char expected[32];
	char line[128];
	num_format_size(p->bytes, bytes);
	num_format_size(p->bytes_expected, expected);
	snprintf(line, sizeof(line), "transferring blobs: %zu of %zu, %s of %s", p->done,
		 p->total, bytes, expected);
	log_status(cli->terminal && p->done < p->total ? line : NULL);
}

void registry_flags_apply(struct registry_flags *f, const struct cli *cli,
			  struct build_context *c)
{
	union {
		const struct cli *in;
		void *out;
	} ctx = {.in = cli}; /* show() takes it back as const */
	f->token_host_list = mem_zalloc(f->token_hosts.len + 1, sizeof(char *));
	for (size_t i = 0; i < f->token_hosts.len; i++)
		f->token_host_list[i] = f->token_hosts.items[i];
	c->registry.ca_file = f->ca_file;
	c->registry.token_hosts = f->token_host_list;
	c->registry.environment = (const char *const *)environ;
	c->registry.progress = show;
	c->registry.ctx = ctx.out;
}
