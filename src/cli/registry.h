/* The options and the environment that every command has which talks to registries. */
#ifndef CLI_REGISTRY_H
#define CLI_REGISTRY_H

#include "cli/command.h"

struct registry_flags {
	const char *ca_file;
	struct strvec token_hosts;
	const char **token_host_list; /* NULL-terminated; what the context borrows */
};
void registry_flags_cleanup(struct registry_flags *f);

#define REGISTRY_FLAG_OPTIONS(type, member)                                                    \
	{"ca-file", 0,                                                                         \
	 OPT_TEXT,  offsetof(type, member.ca_file),                                            \
	 "FILE",    "certificates (PEM) to trust beside the system's"},                        \
	{                                                                                      \
		"token-host", 0, OPT_TEXTS, offsetof(type, member.token_hosts), "HOST",        \
			"send the password to this token service, too, if a registry names it" \
	}

/* Tells an open context; the flags must outlive it. */
void registry_flags_apply(struct registry_flags *f, const struct cli *cli,
			  struct build_context *c);

#endif
