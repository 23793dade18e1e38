-- The peer's database: the tables of the Rust server, indexed for what the routes ask.
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    username TEXT NOT NULL UNIQUE
);
CREATE TABLE sessions (
    token TEXT PRIMARY KEY,
    user_id INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    from_id INTEGER NOT NULL,
    to_id INTEGER NOT NULL,
    content TEXT NOT NULL,
    created_at TEXT NOT NULL,
    read_at TEXT
);
CREATE INDEX messages_from ON messages (from_id, id);
CREATE INDEX messages_to ON messages (to_id, id);
-- Which message an Idempotency-Key made.
CREATE TABLE sent_keys (
    user_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (user_id, key)
) WITHOUT ROWID;
