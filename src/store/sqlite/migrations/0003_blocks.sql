-- Whom an account blocks, and which messages that kept from their recipient.

CREATE TABLE block (
    account_id INTEGER NOT NULL, -- who blocks
    other_id INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    withheld INTEGER NOT NULL, -- messages so far
    PRIMARY KEY (account_id, other_id)
) WITHOUT ROWID;

-- By sender: it stands in their log as any other, and in nobody else's.
CREATE TABLE withheld_message (
    account_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, message_id)
) WITHOUT ROWID;
