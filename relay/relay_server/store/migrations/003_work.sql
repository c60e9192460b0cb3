-- Work: ten states, tasks with a history, and what depends on what.

ALTER TABLE messages ADD COLUMN type TEXT;             -- what kind of thing it is, for who sorts by it
ALTER TABLE messages ADD COLUMN severity TEXT;         -- info warning error critical

ALTER TABLE work ADD COLUMN sender TEXT NOT NULL DEFAULT '';  -- the message's, so that a word about work needs no join
ALTER TABLE work ADD COLUMN rank INTEGER NOT NULL DEFAULT 5;  -- 9 - priority: lower is claimed first
ALTER TABLE work ADD COLUMN attempts_max INTEGER NOT NULL DEFAULT 3;
ALTER TABLE work ADD COLUMN marks INTEGER NOT NULL DEFAULT 0; -- what else a claim has to look at; see store/work.py
ALTER TABLE work ADD COLUMN steps INTEGER NOT NULL DEFAULT 0; -- lines of its history so far
ALTER TABLE work ADD COLUMN began_at INTEGER;          -- when its holder said that it was at work
ALTER TABLE work ADD COLUMN needs TEXT;                -- parked: human input auth dependency
ALTER TABLE work ADD COLUMN park_until INTEGER;        -- parked: ms since 1970, by the relay's own clock
ALTER TABLE work ADD COLUMN progress REAL;             -- 0-1
ALTER TABLE work ADD COLUMN note TEXT;                 -- the line that came with it
ALTER TABLE work ADD COLUMN progress_at INTEGER;
ALTER TABLE work ADD COLUMN source TEXT;               -- the outside system that reported it; the sender where it does not say
ALTER TABLE work ADD COLUMN dedupe_key TEXT;
ALTER TABLE work ADD COLUMN occurrences INTEGER NOT NULL DEFAULT 1;
ALTER TABLE work ADD COLUMN last_seen_at INTEGER;

UPDATE work SET sender = (SELECT sender FROM messages AS m WHERE m.message = work.message),
                rank = (SELECT 9 - coalesce(m.priority, 4) FROM messages AS m WHERE m.message = work.message),
                marks = 7;
UPDATE work SET state = 'superseded' WHERE state = 'failed' AND reason GLOB 'superseded by *';

DROP INDEX work_open;
DROP INDEX work_claimed;

-- What is not over, and what is buried: to list and count, and for those who come later.
CREATE INDEX work_open ON work (target) WHERE state IN ('ready', 'delayed', 'claimed', 'working', 'parked', 'buried');
-- What can be claimed, in the order in which it is claimed.
CREATE INDEX work_ready ON work (target, rank, message) WHERE state = 'ready';
CREATE INDEX work_held ON work (holder) WHERE state IN ('claimed', 'working', 'parked');
-- One open task for one thing of one source.
CREATE UNIQUE INDEX work_dedupe ON work (source, dedupe_key)
WHERE dedupe_key IS NOT NULL AND state IN ('ready', 'delayed', 'claimed', 'working', 'parked');

-- What happened to work: one row a line, the newest HISTORY_MAX are kept. That it was sent stands in messages.
CREATE TABLE history (
    message      INTEGER NOT NULL REFERENCES messages (message),
    step         INTEGER NOT NULL,          -- 1, 2, ..
    at           INTEGER NOT NULL,
    event        TEXT NOT NULL,             -- those of claim.py, and recur
    state        TEXT NOT NULL,             -- that it led to
    agent        TEXT,                      -- who did it; NULL: the relay
    fence        INTEGER,
    note         TEXT,
    key          TEXT,                      -- recur: the key of the send that reported it again
    PRIMARY KEY (message, step)
) STRICT, WITHOUT ROWID;

-- `message` waits until `needs` is done.
CREATE TABLE dependencies (
    message      INTEGER NOT NULL REFERENCES messages (message),
    needs        INTEGER NOT NULL REFERENCES messages (message),
    PRIMARY KEY (message, needs)
) STRICT, WITHOUT ROWID;

CREATE INDEX dependencies_needed ON dependencies (needs, message);
