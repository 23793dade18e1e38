-- Who may sign up, and accounts that an operator has disabled.

ALTER TABLE account ADD COLUMN disabled_at_ms INTEGER;

-- 1 while its account is disabled: stands here so that finding a session tells it.
ALTER TABLE session ADD COLUMN is_barred INTEGER NOT NULL DEFAULT 0;

CREATE TABLE invite (
    id INTEGER NOT NULL PRIMARY KEY,
    code_digest BLOB NOT NULL, -- SHA-256
    uses_left INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL
);
CREATE UNIQUE INDEX invite_of_code ON invite (code_digest);

INSERT OR IGNORE INTO meta(key, value) VALUES ('next_invite_id', '1');
