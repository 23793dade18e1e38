-- The log per account and what hangs on it. Keyed by account; no foreign keys, triggers, partial
-- indexes or sequences, so that it can be partitioned by account later.

CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY, -- epoch, names, next_account_id, next_session_id, next_message_id, next_chore_id
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE account (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,          -- as it is shown today
    password_hash TEXT NOT NULL, -- empty once deleted
    created_at_ms INTEGER NOT NULL,
    deleted_at_ms INTEGER
);

-- Who a name belongs to: enum name_state.
CREATE TABLE name (
    folded TEXT NOT NULL, -- ASCII letters in lower case
    name TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    state INTEGER NOT NULL,
    held_until_ms INTEGER NOT NULL,
    PRIMARY KEY (folded, name)
) WITHOUT ROWID;
CREATE INDEX name_of_account ON name (account_id);

CREATE TABLE session (
    token_digest BLOB NOT NULL PRIMARY KEY, -- SHA-256
    id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    label TEXT,
    created_at_ms INTEGER NOT NULL,
    last_used_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_of_account ON session (account_id, id);

-- struct entry of store.h, clustered: a list is one range scan.
CREATE TABLE log (
    account_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    other_id INTEGER NOT NULL,
    chain INTEGER NOT NULL,
    ref INTEGER NOT NULL,
    received INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    text TEXT,
    PRIMARY KEY (account_id, seq)
) WITHOUT ROWID;

CREATE TABLE conversation (
    account_id INTEGER NOT NULL,
    other_id INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    received INTEGER NOT NULL,
    read INTEGER NOT NULL,
    PRIMARY KEY (account_id, other_id)
) WITHOUT ROWID;

CREATE TABLE sent_key (
    account_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    message_id INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) WITHOUT ROWID;

CREATE TABLE key_bundle (
    account_id INTEGER NOT NULL PRIMARY KEY,
    identity_key TEXT NOT NULL,
    signed_prekey TEXT NOT NULL,
    signed_prekey_signature TEXT NOT NULL,
    updated_at_ms INTEGER NOT NULL
);

CREATE TABLE one_time_prekey (
    account_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    public_key TEXT NOT NULL,
    PRIMARY KEY (account_id, position)
) WITHOUT ROWID;

-- Digests of one-time prekeys handed out: never again.
CREATE TABLE claimed_prekey (
    account_id INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (account_id, digest)
) WITHOUT ROWID;

CREATE TABLE chore (
    id INTEGER NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    text TEXT,
    created_at_ms INTEGER NOT NULL
);
