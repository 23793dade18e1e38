/* wal_buffer.h - SQLite's file layer, with the writes to the WAL joined.
 *
 * SQLite writes each frame of a commit with two calls, 24 bytes and a page: a commit of 64 sends
 * is some 300 system calls. Through this layer it is a few. Nothing else is changed: what a commit
 * wrote is in the file before SQLite goes on to sync it and to show it to readers.
 *
 * Uses:    sqlite3 (VFS: https://sqlite.org/vfs.html).
 * Used by: store/sqlite/connection.
 * Thread:  a file is used by its connection's thread.
 * Memory:  WAL_BUFFER_BYTES for each WAL file that was written, until it is closed.
 */
#ifndef MIGCHAT_STORE_SQLITE_WAL_BUFFER_H
#define MIGCHAT_STORE_SQLITE_WAL_BUFFER_H

/* 31 frames of 4 KiB pages. */
#define WAL_BUFFER_BYTES (128u * 1024u)

/* Registers the layer, once per process, before the first connection is opened: not as the default.
 * Returns its name, for sqlite3_open_v2; NULL where SQLite has no file layer to build on. */
const char *wal_buffer_register(void);

#endif
