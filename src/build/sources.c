/* Mirrors by prefix. */
#include "build/sources.h"

#include <stdlib.h>
#include <string.h>

#include "util/str.h"

void build_sources_cleanup(struct build_sources *s)
{
	for (size_t i = 0; i < s->mirrors.len; i++) {
		free(s->mirrors.items[i].prefix);
		strvec_cleanup(&s->mirrors.items[i].targets);
	}
	vec_free(&s->mirrors);
	strvec_cleanup(&s->inputs);
	for (size_t i = 0; i < s->caches.len; i++)
		free(s->caches.items[i].url);
	vec_free(&s->caches);
}

void sources_expand(const struct build_sources *s, const char *url, struct strvec *ret)
{
	for (size_t i = 0; s && i < s->mirrors.len; i++) {
		const struct source_mirror *m = &s->mirrors.items[i];
		if (!str_has_prefix(url, m->prefix))
			continue;
		for (size_t k = 0; k < m->targets.len; k++) {
			AUTO_FREE char *there = mem_printf("%s%s", m->targets.items[k],
							   url + strlen(m->prefix));
			strvec_push(ret, there);
		}
	}
	strvec_push(ret, url);
}
