-- What a blocker was not told of whom it blocks, and hears when the block ends.
ALTER TABLE block ADD COLUMN untold_renamed TEXT; -- the first one: log.text of such an entry
ALTER TABLE block ADD COLUMN untold_keys INTEGER NOT NULL DEFAULT 0; -- 1: new keys, too
