/* typing.h - telling somebody that one writes to them.
 *
 * Uses:    http. Used by: api. Thread: a lane with a store.
 */
#ifndef MIGCHAT_API_TYPING_H
#define MIGCHAT_API_TYPING_H

#include "base/error.h"
#include "http/exchange.h"

struct services;

/* POST /api/typing?with_user=NAME: a route_handler. */
enum error api_typing(struct exchange *exchange, struct services *services);

#endif
