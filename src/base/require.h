/* require.h - checks on ourselves, always compiled in.
 *
 * REQUIRE(condition) prints file, line and condition on stderr and aborts when the condition is
 * false: our own mistake. It never looks at what a client sent; wrong input is an error value.
 *
 * Uses: nothing. Used by: everyone. Thread: any.
 */
#ifndef MIGCHAT_BASE_REQUIRE_H
#define MIGCHAT_BASE_REQUIRE_H

#include "base/attributes.h"

#define REQUIRE(condition) ((condition) ? (void)0 : require_failed(__FILE__, __LINE__, #condition))

NO_RETURN void require_failed(const char *file, int line, const char *condition);

#endif
