-- Exactly-once keys in the order they came. From here they move into sent_key, many together.
CREATE TABLE sent_key_recent (
    message_id INTEGER NOT NULL PRIMARY KEY,
    account_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL
);
