-- Pairs: exclusive conversations of two agents.

-- One row a pair. Its number is that of the message that opened it, which is the root of its thread.
CREATE TABLE pairs (
    pair         INTEGER PRIMARY KEY REFERENCES messages (message),
    opener       TEXT NOT NULL,
    invited      TEXT NOT NULL,
    state        TEXT NOT NULL,             -- pending active rejected ended
    is_live      INTEGER,                   -- 1 while it is pending or active, then NULL: what an index can take
    opened_at    INTEGER NOT NULL,          -- ms since 1970
    changed_at   INTEGER NOT NULL,
    accepted_at  INTEGER,
    objective    TEXT,
    ended_by     TEXT,                      -- NULL: the relay, because one of the two was gone
    reason       TEXT
) STRICT;

CREATE INDEX pairs_of_opener ON pairs (opener, pair);
CREATE INDEX pairs_of_invited ON pairs (invited, pair);
CREATE INDEX pairs_live ON pairs (pair) WHERE is_live IS NOT NULL;

-- Who is taken, and by which pair: an opener from its opening on, who was invited from its acceptance on. The primary
-- key is what makes a pair exclusive.
CREATE TABLE taken (
    agent        TEXT PRIMARY KEY,
    pair         INTEGER NOT NULL REFERENCES pairs (pair)
) STRICT, WITHOUT ROWID;

CREATE INDEX taken_by ON taken (pair);

-- Keys of opens that found their pair pending already, so that they are answered the same when it is not any more. The
-- key of the open that made it stands in its message.
CREATE TABLE pair_keys (
    opener       TEXT NOT NULL,
    key          TEXT NOT NULL,
    pair         INTEGER NOT NULL REFERENCES pairs (pair),
    PRIMARY KEY (opener, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX pair_keys_of ON pair_keys (pair);
