/*
 * The recorder: which system calls a step makes, and which of them the policy refuses, with
 * their arguments. It traces stacker from outside, so that step, filter and supervisor are the
 * released ones, and asks the step's own compiled filter about each call before the kernel
 * does.
 *
 * usage: sec_recorder OUTPUT PROGRAM [ARGUMENT...]; as root, since tracing breaks newuidmap.
 * OUTPUT gets sorted lines: "made NAME COUNT" and "denied NAME(ARG0,ARG1,ARG2) ERRNO COUNT",
 * where arguments are given for calls that the policy decides by them. Exit status: that of
 * PROGRAM.
 *
 * What is a step: what a process of a pid namespace below ours has executed, and its
 * descendants. Everything else, stacker and its workers included, runs at full speed.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "build/policy.h"
#include "sandbox/seccomp_internal.h"
#include "util/mem.h"

enum {
	PIDS = 1 << 22, /* the kernel's largest pid, and one */
	CALLS = 1024,	/* numbers above are counted as the last */
	ARGS = 3,
};

enum task_state {
	KNOWN = 1,   /* its parent's fork was seen */
	WAITING = 2, /* it has stopped before that */
	IN_STEP = 4,
};

struct denial {
	uint64_t number, args[ARGS];
	uint32_t error;
	uint64_t count;
};
struct denials VEC_OF(struct denial);

struct recorder {
	struct seccomp_program filter;
	bool by_args[CALLS]; /* the policy looks at arguments of this call */
	uint64_t made[CALLS];
	struct denials denied;
	uint8_t *tasks; /* enum task_state by pid */
};

static uint32_t jump_taken(const struct sock_filter *op, uint32_t acc)
{
	switch (BPF_OP(op->code)) {
	case BPF_JEQ:
		return acc == op->k ? op->jt : op->jf;
	case BPF_JGE:
		return acc >= op->k ? op->jt : op->jf;
	case BPF_JA:
		return op->k;
	default:
		BUG_IF(true); /* seccomp.c emits no other */
		return 0;
	}
}

/* Runs the filter as the kernel does, on the instructions that seccomp.c emits. */
static uint32_t filter_verdict(const struct seccomp_program *p, const struct seccomp_data *data)
{
	uint32_t acc = 0;
	for (size_t i = 0; i < p->len; i++) {
		const struct sock_filter *op = &p->code[i];
		switch (BPF_CLASS(op->code)) {
		case BPF_LD:
			BUG_IF(op->k + sizeof(acc) > sizeof(*data));
			memcpy(&acc, (const char *)data + op->k, sizeof(acc));
			break;
		case BPF_ALU:
			BUG_IF(BPF_OP(op->code) != BPF_AND);
			acc &= op->k;
			break;
		case BPF_JMP:
			i += jump_taken(op, acc);
			break;
		case BPF_RET:
			return op->k;
		default:
			BUG_IF(true); /* likewise */
		}
	}
	BUG_IF(true); /* each path returns */
	return 0;
}

static size_t call_index(uint64_t number)
{
	return number < CALLS ? (size_t)number : CALLS - 1;
}

static void record_denial(struct recorder *r, const struct denial *wanted)
{
	for (size_t i = 0; i < r->denied.len; i++) {
		struct denial *d = &r->denied.items[i];
		if (d->number == wanted->number && d->error == wanted->error &&
		    memcmp(d->args, wanted->args, sizeof(d->args)) == 0) {
			d->count++;
			return;
		}
	}
	vec_push(&r->denied, *wanted);
}

static void record_call(struct recorder *r, pid_t pid)
{
	struct __ptrace_syscall_info info;
	long got = ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
	if (got <= 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	struct seccomp_data data = {.nr = (int)info.entry.nr, .arch = info.arch};
	for (size_t i = 0; i < 6; i++)
		data.args[i] = info.entry.args[i];
	size_t index = call_index(info.entry.nr);
	r->made[index]++;
	uint32_t verdict = filter_verdict(&r->filter, &data);
	if (verdict == SECCOMP_RET_ALLOW)
		return;
	struct denial denial = {
		.number = info.entry.nr, .error = verdict & SECCOMP_RET_DATA, .count = 1};
	for (size_t i = 0; r->by_args[index] && i < ARGS; i++)
		denial.args[i] = info.entry.args[i];
	record_denial(r, &denial);
}

/* How many pid namespaces down PID lives. */
static int namespace_depth(pid_t pid)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *status = fopen(path, "re");
	int depth = 0;
	while (status && depth == 0 && fgets(line, sizeof(line), status)) {
		if (strncmp(line, "NSpid:", 6) != 0)
			continue;
		for (const char *c = line; *c; c++)
			depth += *c == '\t';
	}
	if (status)
		fclose(status);
	return depth;
}

static void resume(struct recorder *r, pid_t pid, int signal)
{
	bool in_step = r->tasks[pid] & IN_STEP;
	/* It may have been killed meanwhile. */
	(void)ptrace(in_step ? PTRACE_SYSCALL : PTRACE_CONT, pid, NULL, (long)signal);
}

static void on_fork(struct recorder *r, pid_t parent)
{
	unsigned long child = 0;
	if (ptrace(PTRACE_GETEVENTMSG, parent, NULL, &child) < 0 || child >= PIDS)
		return;
	bool waiting = r->tasks[child] & WAITING;
	r->tasks[child] = (uint8_t)(KNOWN | (r->tasks[parent] & IN_STEP));
	if (waiting)
		resume(r, (pid_t)child, 0);
}

static void on_stop(struct recorder *r, pid_t pid, int status, int own_depth)
{
	int signal = WSTOPSIG(status);
	switch ((unsigned)status >> 16) {
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		on_fork(r, pid);
		break;
	case PTRACE_EVENT_EXEC:
		if (namespace_depth(pid) > own_depth)
			r->tasks[pid] |= IN_STEP;
		break;
	case PTRACE_EVENT_STOP:
		if (signal != SIGTRAP) {
			(void)ptrace(PTRACE_LISTEN, pid, NULL, NULL);
			return;
		}
		if (!(r->tasks[pid] & KNOWN)) {
			r->tasks[pid] |= WAITING;
			return;
		}
		break;
	default:
		if (signal == (SIGTRAP | 0x80))
			record_call(r, pid);
		else
			return resume(r, pid, signal);
	}
	resume(r, pid, 0);
}

/* Returns the exit status of FIRST once no process is left. */
static int follow(struct recorder *r, pid_t first)
{
	int result = 1, own_depth = namespace_depth(getpid());
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return result;
		if (WIFSTOPPED(status)) {
			on_stop(r, pid, status, own_depth);
			continue;
		}
		r->tasks[pid] = 0;
		if (pid == first)
			result = WIFEXITED(status) ? WEXITSTATUS(status)
						   : 128 + WTERMSIG(status);
	}
}

static char *call_name(uint64_t number)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);
	char *copy = name ? mem_strdup(name) : mem_printf("%llu", (unsigned long long)number);
	free(name);
	return copy;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int write_lines(const struct recorder *r, const char *path, struct err *e)
{
	AUTO(strvec) lines = {0};
	for (size_t i = 0; i < CALLS; i++) {
		if (!r->made[i])
			continue;
		AUTO_FREE char *name = call_name(i);
		AUTO_FREE char *line =
			mem_printf("made %s %llu", name, (unsigned long long)r->made[i]);
		strvec_push(&lines, line);
	}
	for (size_t i = 0; i < r->denied.len; i++) {
		const struct denial *d = &r->denied.items[i];
		AUTO_FREE char *name = call_name(d->number), *args = mem_strdup("");
		if (r->by_args[call_index(d->number)]) {
			mem_free_cleanup(&args);
			args = mem_printf("(%#llx,%#llx,%#llx)", (unsigned long long)d->args[0],
					  (unsigned long long)d->args[1],
					  (unsigned long long)d->args[2]);
		}
		AUTO_FREE char *line = mem_printf("denied %s%s %s %llu", name, args,
						  strerrorname_np((int)d->error),
						  (unsigned long long)d->count);
		strvec_push(&lines, line);
	}
	if (lines.len)
		qsort(lines.items, lines.len, sizeof(*lines.items), compare_lines);
	FILE *out = fopen(path, "we");
	if (!out)
		return err_sys(e, "cannot write '%s'", path);
	for (size_t i = 0; i < lines.len; i++)
		fprintf(out, "%s\n", lines.items[i]);
	return fclose(out) == 0 ? 0 : err_sys(e, "cannot write '%s'", path);
}

static int load_filter(struct recorder *r, struct err *e)
{
	AUTO(sandbox_policy) policy = {0};
	struct digest digest;
	if (policy_load(&policy, &digest, e) < 0)
		return -1;
	const struct policy_rule_vec *rules = &policy.seccomp[POLICY_STEP];
	for (size_t i = 0; i < rules->len; i++) {
		const struct policy_rule *rule = &rules->items[i];
		int number =
			rule->name ? seccomp_syscall_resolve_name(rule->name) : rule->number;
		if (number >= 0 && rule->args_len)
			r->by_args[call_index((uint64_t)number)] = true;
	}
	return seccomp_program_compile(rules, &r->filter, e);
}

static int start(struct recorder *r, char **argv, pid_t *ret, struct err *e)
{
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot fork");
	if (pid == 0) {
		raise(SIGSTOP); /* until it is traced */
		execv(argv[0], argv);
		_exit(127);
	}
	int status;
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
		       PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	if (waitpid(pid, &status, WUNTRACED) < 0 ||
	    ptrace(PTRACE_SEIZE, pid, NULL, options) < 0 || kill(pid, SIGCONT) < 0)
		return err_sys(e, "cannot trace '%s'", argv[0]);
	r->tasks[pid] = KNOWN;
	*ret = pid;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: sec_recorder OUTPUT PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	struct err e = {0};
	struct recorder r = {.tasks = mem_zalloc(PIDS, 1)};
	pid_t first;
	int result = 1;
	if (load_filter(&r, &e) == 0 && start(&r, argv + 2, &first, &e) == 0) {
		result = follow(&r, first);
		if (write_lines(&r, argv[1], &e) < 0)
			result = 1;
	}
	if (e.message[0])
		fprintf(stderr, "sec_recorder: %s\n", e.message);
	seccomp_program_cleanup(&r.filter);
	vec_free(&r.denied);
	mem_free_cleanup(&r.tasks);
	return result;
}
