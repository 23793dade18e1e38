/* rust_schema.h - the tables of the Rust MigChat server, as its start makes them.
 *
 * Uses: nothing. Used by: adopt_test.c, adopt_failure_test.c.
 */
#ifndef MIGCHAT_TEST_RUST_SCHEMA_H
#define MIGCHAT_TEST_RUST_SCHEMA_H

#define RUST_SCHEMA_FIRST                                                                          \
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT NOT NULL UNIQUE,"     \
    " password_hash TEXT NOT NULL, created_at TEXT NOT NULL DEFAULT (datetime('now')));"           \
    "CREATE TABLE sessions (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL,"       \
    " token TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL DEFAULT (datetime('now')),"             \
    " FOREIGN KEY (user_id) REFERENCES users(id));"                                                \
    "CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, from_user_id INTEGER NOT NULL,"  \
    " to_user_id INTEGER NOT NULL, content TEXT NOT NULL,"                                         \
    " created_at TEXT NOT NULL DEFAULT (datetime('now')),"                                         \
    " FOREIGN KEY (from_user_id) REFERENCES users(id),"                                            \
    " FOREIGN KEY (to_user_id) REFERENCES users(id));"                                             \
    "CREATE INDEX idx_sessions_token ON sessions(token);"                                          \
    "CREATE INDEX idx_messages_to_user ON messages(to_user_id);"                                   \
    "CREATE INDEX idx_messages_from_user ON messages(from_user_id);"

#define RUST_SCHEMA_KEYS                                                                           \
    "CREATE TABLE user_keys (user_id INTEGER PRIMARY KEY, identity_key TEXT NOT NULL,"             \
    " signed_prekey TEXT NOT NULL, signed_prekey_signature TEXT NOT NULL,"                         \
    " created_at TEXT NOT NULL DEFAULT (datetime('now')),"                                         \
    " FOREIGN KEY (user_id) REFERENCES users(id));"                                                \
    "CREATE TABLE one_time_prekeys (id INTEGER PRIMARY KEY AUTOINCREMENT,"                         \
    " user_id INTEGER NOT NULL, key_id INTEGER NOT NULL, public_key TEXT NOT NULL,"                \
    " used BOOLEAN DEFAULT FALSE, created_at TEXT NOT NULL DEFAULT (datetime('now')),"             \
    " FOREIGN KEY (user_id) REFERENCES users(id));"                                                \
    "CREATE INDEX idx_user_keys_user_id ON user_keys(user_id);"                                    \
    "CREATE INDEX idx_one_time_prekeys_user_id ON one_time_prekeys(user_id);"                      \
    "CREATE INDEX idx_one_time_prekeys_used ON one_time_prekeys(used);"

#define RUST_SCHEMA                                                                                \
    RUST_SCHEMA_FIRST "ALTER TABLE messages ADD COLUMN read_at TEXT;" RUST_SCHEMA_KEYS

#define RUST_TOKEN_ANN "AnnAnnAnnAnnAnnAnnAnnAnnAnnAnn01"
#define RUST_TOKEN_BOB "BobBobBobBobBobBobBobBobBobBob02"

#define RUST_USERS                                                                                 \
    "INSERT INTO users VALUES (1, 'ann', '$2b$12$ann', '2025-11-03T12:00:00.123456789+00:00'),"    \
    " (2, 'Bob Ärger?', '$2b$12$bob', '2025-11-03 12:00:01'),"                                     \
    " (5, 'ANN', '$2b$12$big', '2025-11-03T14:00:02+02:00');"                                      \
    "INSERT INTO sessions VALUES (3, 1, '" RUST_TOKEN_ANN "', '2025-11-03T12:00:00+00:00'),"       \
    " (4, 2, '" RUST_TOKEN_BOB "', '2025-11-03T12:00:00+00:00');"

#endif
