/*
 * The fetcher stays in the host's network and mount namespaces, so what confines it is Landlock
 * (which files) and seccomp (which calls).
 */
#include "sandbox/confine.h"

#include <sys/prctl.h>

#include "sandbox/landlock_internal.h"
#include "sandbox/seccomp.h"
#include "util/mem.h"

/* What the resolver, TLS and a late-loaded part of the C library read. */
static const char *const readable[] = {
	"/etc/resolv.conf",
	"/etc/hosts",
	"/etc/host.conf",
	"/etc/nsswitch.conf",
	"/etc/gai.conf",
	"/etc/services",
	"/etc/protocols",
	"/etc/localtime",
	"/etc/ld.so.cache",
	"/etc/ssl/certs",
	"/etc/ssl/openssl.cnf",
	"/etc/pki/tls",
	"/etc/pki/ca-trust",
	"/etc/ca-certificates",
	"/usr/share/ca-certificates",
	"/usr/local/share/ca-certificates",
	"/usr/share/zoneinfo",
	"/usr/lib",
	"/usr/lib64",
	"/lib",
	"/lib64",
	"/run/systemd/resolve",
	"/run/resolvconf",
	"/dev/null",
	"/dev/random",
	"/dev/urandom",
};

int sandbox_confine_fetcher(const struct sandbox_policy *policy, struct err *e)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot confine the fetcher");
	/* Without Landlock the seccomp list still forbids opens that could write. */
	if (landlock_reader(readable, ARRAY_LEN(readable), e) < 0)
		return -1;
	return sandbox_seccomp_load(policy, POLICY_FETCHER, e);
}
