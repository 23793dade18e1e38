/* attributes.h - the few compiler attributes the code relies on.
 *
 * Uses:    nothing.
 * Used by: everyone.
 */
#ifndef MIGCHAT_BASE_ATTRIBUTES_H
#define MIGCHAT_BASE_ATTRIBUTES_H

/* The result says whether the call worked; ignoring it is a compile error. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* Checked by the compiler like printf; `format_at` and `args_at` count from 1. */
#define PRINTF_LIKE(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

/* Called seldom: inlined into what runs for every request it would make that dearer. */
#define NOT_INLINED __attribute__((noinline))

/* A function that never returns. */
#define NO_RETURN __attribute__((noreturn))

#endif
