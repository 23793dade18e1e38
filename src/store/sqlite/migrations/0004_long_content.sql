-- A message too long to stand in two logs: once, by its id. Its entries have no text.
CREATE TABLE content (
    message_id INTEGER NOT NULL PRIMARY KEY, -- log.ref
    entries INTEGER NOT NULL,                -- of how many, in whichever logs: it goes with the last
    text TEXT NOT NULL
);
