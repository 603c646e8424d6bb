/*
 * Compiles a role's rules into one classic BPF program. libseccomp knows the names and the
 * native architecture; the program is ours, because its rule language cannot say "else": a call
 * that is allowed for some arguments and fails with its own errno for all others (socket:
 * EAFNOSUPPORT, clone: EPERM) needs a complement there, or a stack of filters whose order
 * decides. Here the rules of one call are tried in the order of the policy file and the first
 * that matches decides; a call without a match fails with ENOSYS, as on a kernel that lacks it.
 */
#include "sandbox/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "sandbox/evidence_internal.h"
#include "sandbox/seccomp_internal.h"
#include "util/mem.h"

enum {
	LEAF_MAX = 255, /* a conditional jump reaches so far */
	LINEAR_MAX = 4, /* below it, comparing one by one is no slower than dividing */
};

/* System call numbers of the x32 ABI carry this bit under the architecture of x86-64. */
#define X32_BIT 0x40000000u

struct bound_rule {
	uint32_t number;
	size_t order;
	const struct policy_rule *rule;
	uint32_t verdict; /* SECCOMP_RET_... if the rule applies */
};
struct bound_rules {
	struct bound_rule *items;
	size_t len;
	size_t cap;
	uint32_t otherwise; /* the verdict if none applies */
};

void seccomp_program_cleanup(struct seccomp_program *p)
{
	mem_free_cleanup(&p->code);
	p->len = p->cap = 0;
}

static void emit(struct seccomp_program *p, uint16_t code, uint32_t k, size_t jt, size_t jf)
{
	BUG_IF(jt > LEAF_MAX || jf > LEAF_MAX);
	if (p->len == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 512;
		p->code = mem_realloc_array(p->code, p->cap, sizeof(*p->code));
	}
	p->code[p->len++] = (struct sock_filter){code, (uint8_t)jt, (uint8_t)jf, k};
}

static void emit_load(struct seccomp_program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void emit_return(struct seccomp_program *p, uint32_t action)
{
	emit(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Offset of one half of an argument; both supported architectures are little-endian. */
static size_t arg_offset(unsigned arg, bool high)
{
	return offsetof(struct seccomp_data, args) + 8 * (size_t)arg + (high ? 4 : 0);
}

static bool half_checked(const struct policy_arg *a, bool high)
{
	return (high ? a->mask >> 32 : a->mask & UINT32_MAX) != 0;
}

static size_t arg_len(const struct policy_arg *a)
{
	return 3 * ((size_t)half_checked(a, true) + (size_t)half_checked(a, false));
}

static size_t rule_len(const struct policy_rule *r)
{
	size_t len = 1;
	for (size_t i = 0; i < r->args_len; i++)
		len += arg_len(&r->args[i]);
	return len;
}

/* Falls through if the check holds, else jumps to `fail`, an absolute index. */
static void emit_arg(struct seccomp_program *p, const struct policy_arg *a, size_t fail)
{
	size_t end = p->len + arg_len(a);
	for (int high = 1; high >= 0; high--) {
		if (!half_checked(a, high))
			continue;
		bool last = p->len + 3 == end;
		emit_load(p, arg_offset(a->arg, high));
		emit(p, BPF_ALU | BPF_AND | BPF_K, (uint32_t)(high ? a->mask >> 32 : a->mask),
		     0, 0);
		size_t next = p->len + 1;
		size_t equal = a->negate && last ? fail - next : 0;
		size_t unequal = a->negate ? end - next : fail - next;
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(high ? a->value >> 32 : a->value),
		     equal, unequal);
	}
}

static void emit_rule(struct seccomp_program *p, const struct bound_rule *b)
{
	size_t fail = p->len + rule_len(b->rule);
	for (size_t i = 0; i < b->rule->args_len; i++)
		emit_arg(p, &b->rule->args[i], fail);
	emit_return(p, b->verdict);
}

/* The first index after the rules of the call at `at`. */
static size_t call_end(const struct bound_rules *v, size_t at)
{
	size_t end = at;
	while (end < v->len && v->items[end].number == v->items[at].number)
		end++;
	return end;
}

static int emit_leaf(struct seccomp_program *p, const struct bound_rules *v, size_t from,
		     size_t to, struct err *e)
{
	size_t len = 1;
	for (size_t i = from; i < to; i++)
		len += rule_len(v->items[i].rule);
	if (len > LEAF_MAX)
		return err_set(e, ERR_POLICY, "sandbox/policy",
			       "too many rules for system call %u", v->items[from].number);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, v->items[from].number, 0, len);
	for (size_t i = from; i < to; i++)
		emit_rule(p, &v->items[i]);
	emit_return(p, v->otherwise);
	return 0;
}

/* Binary search over the calls whose rules are [from, to). The accumulator holds the number. */
static int emit_tree(struct seccomp_program *p, const struct bound_rules *v, size_t from,
		     size_t to, struct err *e)
{
	if (to - from <= LINEAR_MAX || call_end(v, from) == to) {
		for (size_t at = from, end; at < to; at = end) {
			end = call_end(v, at);
			if (emit_leaf(p, v, at, end, e) < 0)
				return -1;
		}
		emit_return(p, v->otherwise);
		return 0;
	}
	size_t middle = from + (to - from) / 2;
	while (middle > from && v->items[middle - 1].number == v->items[middle].number)
		middle--;
	if (middle == from)
		middle = call_end(v, from);
	/* The branches may be longer than a conditional jump: an unconditional one leads right.
	 */
	emit(p, BPF_JMP | BPF_JGE | BPF_K, v->items[middle].number, 0, 1);
	size_t jump = p->len;
	emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
	if (emit_tree(p, v, from, middle, e) < 0)
		return -1;
	p->code[jump].k = (uint32_t)(p->len - jump - 1);
	return emit_tree(p, v, middle, to, e);
}

static int compare_bound(const void *a, const void *b)
{
	const struct bound_rule *x = a, *y = b;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int check_args(const struct policy_rule *r, struct err *e)
{
	const char *name = r->name ? r->name : "";
	if (r->args_len > ARRAY_LEN(r->args) || r->errno_ < 0 || r->errno_ > 4095)
		return err_set(e, ERR_POLICY, "sandbox/policy", "malformed rule for '%s'",
			       name);
	for (size_t i = 0; i < r->args_len; i++) {
		const struct policy_arg *a = &r->args[i];
		/* Such a check could never hold, or always: a slip that would open or close a
		 * call. */
		if (a->arg > 5 || a->mask == 0 || (a->value & ~a->mask) != 0)
			return err_set(e, ERR_POLICY, "sandbox/policy",
				       "argument check of '%s' cannot match", name);
	}
	return 0;
}

static int unknown_call(const char *name, struct err *e)
{
	err_set(e, ERR_POLICY, "sandbox/policy",
		"unknown system call '%s' in the seccomp policy", name);
	return err_hint(e, "a call newer than libseccomp is listed by its number");
}

static uint32_t verdict_of(const struct policy_rule *r, int number, bool watched)
{
	if (watched && (r->errno_ != 0 || evidence_is_observed(number)))
		return SECCOMP_RET_USER_NOTIF;
	return r->errno_ == 0 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | (uint32_t)r->errno_;
}

/* sendto() is also what libraries make of send(), which is frequent and has no address. */
static void bind_addressed(struct bound_rules *ret, const struct policy_rule *r, int number)
{
	static const struct policy_rule addressed = {
		.number = SYS_sendto,
		.args = {{.arg = 4, .mask = UINT64_MAX, .value = 0, .negate = true}},
		.args_len = 1,
	};
	if (number != SYS_sendto || r->errno_ != 0 || r->args_len > 0)
		return;
	struct bound_rule b = {(uint32_t)number, ret->len, &addressed, SECCOMP_RET_USER_NOTIF};
	vec_push(ret, b);
}

/*
 * libseccomp gives pseudo numbers below -1 to calls that other architectures have and this one
 * has not (arch_prctl on arm64, sync_file_range2 here): those rules fall away. -1 is a name
 * that it does not know at all, which is a slip in the policy or a call newer than the library,
 * to be given by number (the numbers from 424 on are the same everywhere).
 */
static int bind_rules(const struct policy_rule_vec *rules, bool watched,
		      struct bound_rules *ret, struct err *e)
{
	ret->otherwise = watched ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | ENOSYS;
	for (size_t i = 0; i < rules->len; i++) {
		const struct policy_rule *r = &rules->items[i];
		if (check_args(r, e) < 0)
			return -1;
		int number = r->number >= 0 ? r->number : seccomp_syscall_resolve_name(r->name);
		if (number == __NR_SCMP_ERROR)
			return unknown_call(r->name, e);
		if (number < 0)
			continue;
		if (watched)
			bind_addressed(ret, r, number);
		struct bound_rule b = {(uint32_t)number, ret->len, r,
				       verdict_of(r, number, watched)};
		vec_push(ret, b);
	}
	if (ret->len == 0)
		return err_set(e, ERR_POLICY, "sandbox/policy",
			       "the seccomp policy of a role is empty");
	qsort(ret->items, ret->len, sizeof(*ret->items), compare_bound);
	return 0;
}

static int compile(const struct bound_rules *bound, struct seccomp_program *p, struct err *e)
{
	uint32_t arch = seccomp_arch_native();
	emit_load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, arch, 1, 0);
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
	emit_load(p, offsetof(struct seccomp_data, nr));
	if (arch == AUDIT_ARCH_X86_64) {
		emit(p, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
		emit_return(p, SECCOMP_RET_KILL_PROCESS);
	}
	if (emit_tree(p, bound, 0, bound->len, e) < 0)
		return -1;
	if (p->len > BPF_MAXINSNS)
		return err_set(e, ERR_POLICY, "sandbox/policy",
			       "the seccomp policy is too long: %zu instructions", p->len);
	return 0;
}

static int bind_and_compile(const struct policy_rule_vec *rules, bool watched,
			    struct seccomp_program *ret, struct err *e)
{
	struct bound_rules bound = {0};
	AUTO(seccomp_program) p = {0};
	int r = bind_rules(rules, watched, &bound, e);
	if (r == 0)
		r = compile(&bound, &p, e);
	vec_free(&bound);
	if (r < 0)
		return -1;
	*ret = p;
	p = (struct seccomp_program){0};
	return 0;
}

int seccomp_program_compile(const struct policy_rule_vec *rules, struct seccomp_program *ret,
			    struct err *e)
{
	return bind_and_compile(rules, false, ret, e);
}

int seccomp_program_compile_watched(const struct policy_rule_vec *rules,
				    struct seccomp_program *ret, struct err *e)
{
	return bind_and_compile(rules, true, ret, e);
}

static int load_failed(struct err *e)
{
	err_sys(e, "cannot load the seccomp filter");
	err_recode(e, ERR_SANDBOX, "sandbox/seccomp");
	return err_hint(e, "the kernel needs CONFIG_SECCOMP_FILTER");
}

static long load(const struct seccomp_program *p, unsigned flags)
{
	struct sock_fprog prog = {.len = (unsigned short)p->len, .filter = p->code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

int seccomp_program_install(const struct seccomp_program *p, struct err *e)
{
	return load(p, 0) == 0 ? 0 : load_failed(e);
}

int seccomp_program_install_watched(const struct seccomp_program *p, int *ret_listener,
				    struct err *e)
{
	/* With the first flag (Linux 5.19) a call that we have heard of is not interrupted by a
	 * signal handler, so that it is neither repeated nor ends in EINTR. */
	long fd = load(p, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV |
				  SECCOMP_FILTER_FLAG_NEW_LISTENER);
	if (fd < 0 && errno == EINVAL)
		fd = load(p, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	if (fd < 0)
		return load_failed(e);
	*ret_listener = (int)fd;
	return 0;
}

/* The instructions that emit() is given above, and no others. */
uint32_t seccomp_program_run(const struct seccomp_program *p, const struct seccomp_data *data)
{
	uint32_t a = 0;
	for (size_t at = 0; at < p->len; at++) {
		const struct sock_filter *f = &p->code[at];
		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			BUG_IF(f->k > sizeof(*data) - sizeof(a));
			memcpy(&a, (const char *)data + f->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += a == f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += a >= f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JA:
			at += f->k;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		default:
			BUG_IF(true);
		}
	}
	BUG_IF(true);
}

int sandbox_seccomp_load(const struct sandbox_policy *policy, enum policy_role role,
			 struct err *e)
{
	BUG_IF((unsigned)role >= POLICY_ROLES);
	AUTO(seccomp_program) p = {0};
	if (seccomp_program_compile(&policy->seccomp[role], &p, e) < 0)
		return -1;
	return seccomp_program_install(&p, e);
}
