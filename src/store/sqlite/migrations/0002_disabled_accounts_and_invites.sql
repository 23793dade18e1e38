-- Accounts that an operator has closed, and codes that let somebody sign up.

ALTER TABLE account ADD COLUMN disabled_at_ms INTEGER; -- NULL: it is not

CREATE TABLE invite (
    id INTEGER NOT NULL PRIMARY KEY, -- from meta next_invite_id, never given twice
    code_digest BLOB NOT NULL,       -- SHA-256; the code itself is nowhere kept
    uses_left INTEGER NOT NULL,
    label TEXT,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL, -- 0: never
    revoked_at_ms INTEGER NOT NULL  -- 0: it is not
);
CREATE UNIQUE INDEX invite_of_code ON invite (code_digest);
