/* renamed.h - the text of an account_renamed entry: ["from","to"], as JSON.
 *
 * Uses:    base.
 * Used by: domain/account.c, domain/block.c, api/event.c.
 * Thread:  any.
 */
#ifndef MIGCHAT_DOMAIN_RENAMED_H
#define MIGCHAT_DOMAIN_RENAMED_H

#include "base/arena.h"
#include "base/str.h"

/* In the arena. */
struct str renamed_text(struct str from, struct str to, struct arena *arena);
/* The same of who was told nothing since `first`, and hears it now: from what that one was from.
 * NULL when they are equal: there and back again. */
struct str renamed_text_since(struct str first, struct str to, struct arena *arena);
/* Both with their quotes, in `text`, which is one of the above. */
void renamed_text_split(struct str text, struct str *out_from, struct str *out_to);

#endif
