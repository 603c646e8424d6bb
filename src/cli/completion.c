/* See completion.h. How a value completes is told by what its table calls it: FILE, DIR or the
 * words that it may be. */
#include "cli/completion.h"

#include <string.h>

#include "cli/command.h"
#include "cli/globals.h"
#include "util/str.h"

/* The `len` bytes between single quotes of a shell. */
static void add_quoted(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			buf_add_c(out, "'\\''");
		else
			buf_add_byte(out, *text);
	}
}

static bool is_words(const struct opt *o)
{
	return o->value && (strchr(o->value, '|') || o->value[0] > 'Z');
}

/* "a|b" -> "a b" */
static void add_words(struct buf *out, const char *value)
{
	for (; *value; value++)
		buf_add_byte(out, *value == '|' ? ' ' : *value);
}

/* Patterns of a case branch for each form of the option: "build:-f|build:--stacker-file". */
static void add_patterns(struct buf *out, const char *command, const struct opt *o)
{
	if (o->letter)
		buf_addf(out, "%s:-%c|", command, o->letter);
	buf_addf(out, "%s:--%s", command, o->name);
}

static void bash_option_list(struct buf *out, const struct opt *options)
{
	for (const struct opt *o = options; o->name; o++)
		buf_addf(out, "--%s ", o->name);
	buf_add_c(out, "--help");
}

static void bash_values(struct buf *out, const char *command, const struct opt *options)
{
	for (const struct opt *o = options; o->name; o++) {
		if (!o->value)
			continue;
		buf_add_c(out, "\t");
		add_patterns(out, command, o);
		buf_add_c(out, ")\n\t\t");
		if (is_words(o)) {
			buf_add_c(out, "COMPREPLY=($(compgen -W '");
			add_words(out, o->value);
			buf_add_c(out, "' -- \"$cur\"))\n");
		} else if (str_same(o->value, "DIR")) {
			buf_add_c(out, "compopt -o filenames\n"
				       "\t\tCOMPREPLY=($(compgen -d -- \"$cur\"))\n");
		} else if (str_same(o->value, "FILE")) {
			buf_add_c(out, "compopt -o filenames\n"
				       "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n");
		} else {
			buf_add_c(out, ":\n");
		}
		buf_add_c(out, "\t\treturn ;;\n");
	}
}

/* The command is the first word that is neither a global option nor the value of one. */
static void bash_find_command(struct buf *out)
{
	buf_add_c(out, "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		       "\t\tcase ${COMP_WORDS[i]} in\n\t\t");
	const char *separator = "";
	for (const struct opt *o = globals_options; o->name; o++) {
		if (!o->value)
			continue;
		buf_addf(out, "%s--%s", separator, o->name);
		separator = "|";
	}
	buf_add_c(out, ") [ \"${COMP_WORDS[i + 1]}\" = = ] && i=$((i + 2)) || i=$((i + 1)) ;;\n"
		       "\t\t-*) ;;\n"
		       "\t\t*) command=${COMP_WORDS[i]}; break ;;\n"
		       "\t\tesac\n"
		       "\tdone\n");
}

void completion_bash(struct buf *out)
{
	buf_add_c(out,
		  "# bash completion of stacker; made by 'stacker completion bash'\n"
		  "_stacker()\n{\n"
		  "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
		  "\tlocal command= words= i\n"
		  "\tCOMPREPLY=()\n"
		  "\t[ \"$cur\" = = ] && cur=\n"
		  "\t[ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD - 2]}\n");
	bash_find_command(out);
	buf_add_c(out, "\tcase $command:$prev in\n");
	bash_values(out, "", globals_options);
	for (size_t i = 0; i < commands_len; i++)
		bash_values(out, commands[i]->name, commands[i]->options);
	buf_add_c(out, "\tesac\n\tcase $command in\n\t'') words='");
	for (size_t i = 0; i < commands_len; i++)
		buf_addf(out, "%s ", commands[i]->name);
	bash_option_list(out, globals_options);
	buf_add_c(out, "' ;;\n");
	for (size_t i = 0; i < commands_len; i++) {
		buf_addf(out, "\t%s) words='", commands[i]->name);
		bash_option_list(out, commands[i]->options);
		buf_add_c(out, "' ;;\n");
	}
	buf_add_c(out, "\tesac\n"
		       "\tif [ -z \"$command\" ] || [[ $cur == -* ]]; then\n"
		       "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
		       "\tfi\n"
		       "}\n"
		       "complete -o default -F _stacker stacker\n");
}

/* Text within [...] of an _arguments specification. */
static void zsh_description(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("[]:\\", *text))
			buf_add_byte(out, '\\');
		if (*text == '\'')
			buf_add_c(out, "'\\''");
		else
			buf_add_byte(out, *text);
	}
}

static void zsh_value(struct buf *out, const struct opt *o)
{
	if (!o->value)
		return;
	buf_add_c(out, ":");
	if (is_words(o)) {
		buf_add_c(out, "value:(");
		add_words(out, o->value);
		buf_add_c(out, ")");
		return;
	}
	zsh_description(out, o->value);
	if (str_same(o->value, "DIR"))
		buf_add_c(out, ":_files -/");
	else if (str_same(o->value, "FILE"))
		buf_add_c(out, ":_files");
	else
		buf_add_c(out, ": ");
}

static void zsh_option(struct buf *out, const char *indent, const char *dashed,
		       const struct opt *o)
{
	buf_addf(out, " \\\n%s'%s%s", indent, o->kind == OPT_TEXTS ? "*" : "", dashed);
	buf_add_c(out, o->value && dashed[1] == '-' ? "=[" : "[");
	zsh_description(out, o->help);
	buf_add_c(out, "]");
	zsh_value(out, o);
	buf_add_c(out, "'");
}

static void zsh_options(struct buf *out, const char *indent, const struct opt *options)
{
	for (const struct opt *o = options; o->name; o++) {
		enum { DASHED_MAX = 128 };
		AUTO(buf) dashed = BUF_INIT(DASHED_MAX);
		buf_addf(&dashed, "--%s", o->name);
		zsh_option(out, indent, buf_text(&dashed), o);
		if (!o->letter)
			continue;
		buf_clear(&dashed);
		buf_addf(&dashed, "-%c", o->letter);
		zsh_option(out, indent, buf_text(&dashed), o);
	}
	buf_addf(out, " \\\n%s'(-h --help)'{-h,--help}'[print help]'", indent);
}

void completion_zsh(struct buf *out)
{
	buf_add_c(out, "#compdef stacker\n"
		       "# zsh completion of stacker; made by 'stacker completion zsh'\n"
		       "_stacker()\n{\n"
		       "\tlocal context state state_descr line\n"
		       "\ttypeset -A opt_args\n"
		       "\tlocal -a commands\n"
		       "\tcommands=(\n");
	for (size_t i = 0; i < commands_len; i++) {
		buf_addf(out, "\t\t'%s:", commands[i]->name);
		add_quoted(out, commands[i]->summary);
		buf_add_c(out, "'\n");
	}
	buf_add_c(out, "\t)\n\t_arguments -C");
	zsh_options(out, "\t\t", globals_options);
	buf_add_c(out, " \\\n\t\t'1:command:->command' \\\n\t\t'*::argument:->arguments'\n"
		       "\tcase $state in\n"
		       "\tcommand) _describe -t commands command commands ;;\n"
		       "\targuments)\n\t\tcase $line[1] in\n");
	for (size_t i = 0; i < commands_len; i++) {
		buf_addf(out, "\t\t%s)\n\t\t\t_arguments", commands[i]->name);
		zsh_options(out, "\t\t\t\t", commands[i]->options);
		buf_add_c(out, " \\\n\t\t\t\t'*:argument:_files' ;;\n");
	}
	buf_add_c(out, "\t\tesac ;;\n\tesac\n}\n_stacker \"$@\"\n");
}
