/* What a step may use: what the stackerfile asks for, within what policy allows, else the
 * policy's default. */
#ifndef BUILD_LIMITS_H
#define BUILD_LIMITS_H

#include "recipe/limits.h"
#include "sandbox/policy.h"

/* "recipe/limit-over-policy", at its place in the stackerfile, naming the maximum. */
int limits_decide(const struct recipe_limits *asked, const struct sandbox_policy *policy,
		  struct sandbox_limits *ret, struct err *e) WARN_UNUSED;

#endif
