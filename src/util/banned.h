/*
 * Turns calls that have no safe use here into compile errors. Included by the compiler's -include
 * for every file. Numbers go through util/num, time through util/clock, opens start from a
 * directory fd. Macros with arguments, so that only calls are caught, not the names of members.
 */
#ifndef UTIL_BANNED_H
#define UTIL_BANNED_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#undef alloca
#define alloca(...) banned_call_alloca
#undef atoi
#define atoi(...) banned_call_atoi
#undef atol
#define atol(...) banned_call_atol
#undef getenv
#define getenv(...) banned_call_getenv
#undef gethostname
#define gethostname(...) banned_call_gethostname
#undef gets
#define gets(...) banned_call_gets
#undef gmtime
#define gmtime(...) banned_call_gmtime
#undef localtime
#define localtime(...) banned_call_localtime
#undef mktemp
#define mktemp(...) banned_call_mktemp
#undef popen
#define popen(...) banned_call_popen
#undef rand
#define rand(...) banned_call_rand
#undef random
#define random(...) banned_call_random
#undef setlocale
#define setlocale(...) banned_call_setlocale
#undef sprintf
#define sprintf(...) banned_call_sprintf
#undef srand
#define srand(...) banned_call_srand
#undef strcat
#define strcat(...) banned_call_strcat
#undef strcpy
#define strcpy(...) banned_call_strcpy
#undef strtok
#define strtok(...) banned_call_strtok
#undef strtol
#define strtol(...) banned_call_strtol
#undef strtoll
#define strtoll(...) banned_call_strtoll
#undef strtoul
#define strtoul(...) banned_call_strtoul
#undef strtoull
#define strtoull(...) banned_call_strtoull
#undef system
#define system(...) banned_call_system
#undef tmpnam
#define tmpnam(...) banned_call_tmpnam
#undef vsprintf
#define vsprintf(...) banned_call_vsprintf

#endif
