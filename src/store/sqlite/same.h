/* same.h - whether two databases hold the same.
 *
 * Uses:    sqlite3, base.
 * Used by: store/sqlite/copy.c.
 * Thread:  the connections'.
 */
#ifndef MIGCHAT_STORE_SQLITE_SAME_H
#define MIGCHAT_STORE_SQLITE_SAME_H

#include <sqlite3.h>
#include <stdbool.h>

/* Compares schema, versions and every row of every table, holding one row of each at a time. False
 * also when one of them cannot be read to its end: that is no copy of anything. */
bool databases_are_same(sqlite3 *one, sqlite3 *other);

#endif
