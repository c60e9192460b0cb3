-- Work: ten states, tasks with a history, and what depends on what.

ALTER TABLE messages ADD COLUMN type TEXT;             -- what kind of thing it is, for who sorts by it
ALTER TABLE messages ADD COLUMN severity TEXT;         -- info warning error critical

ALTER TABLE work ADD COLUMN sender TEXT NOT NULL DEFAULT '';  -- the message's, so that a word about work needs no join
ALTER TABLE work ADD COLUMN rank INTEGER NOT NULL DEFAULT 5;  -- 9 - priority: lower is claimed first
ALTER TABLE work ADD COLUMN attempts_max INTEGER NOT NULL DEFAULT 3;
ALTER TABLE work ADD COLUMN marks INTEGER NOT NULL DEFAULT 0; -- what else a claim has to look at; see store/work.py
ALTER TABLE work ADD COLUMN history BLOB;              -- lines of JSON; that it was sent stands in messages
ALTER TABLE work ADD COLUMN holder_instance TEXT;     -- the process that claimed it: what it claims again is the same claim
ALTER TABLE work ADD COLUMN began_at INTEGER;          -- when its holder said that it was at work
ALTER TABLE work ADD COLUMN needs TEXT;                -- parked: human input auth dependency
ALTER TABLE work ADD COLUMN park_until INTEGER;        -- parked: ms since 1970, by the relay's own clock
ALTER TABLE work ADD COLUMN progress REAL;             -- 0-1
ALTER TABLE work ADD COLUMN note TEXT;                 -- the line that came with it
ALTER TABLE work ADD COLUMN progress_at INTEGER;
ALTER TABLE work ADD COLUMN source TEXT;               -- the outside system that reported it; the sender where it does not say
ALTER TABLE work ADD COLUMN dedupe_key TEXT;
ALTER TABLE work ADD COLUMN depends_on TEXT;           -- JSON, as its sender said it
-- Said once more, so that an index need not look at the state: a list of states costs each write 2 us an index.
ALTER TABLE work ADD COLUMN is_listed INTEGER;         -- 1 unless it is over; buried work is listed
ALTER TABLE work ADD COLUMN ready_rank INTEGER;        -- its rank while it is ready
ALTER TABLE work ADD COLUMN held_by TEXT;              -- its holder while it is claimed, working or parked
ALTER TABLE work ADD COLUMN open_key TEXT;             -- its dedupe_key while it is neither over nor buried
ALTER TABLE work ADD COLUMN occurrences INTEGER NOT NULL DEFAULT 1;
ALTER TABLE work ADD COLUMN last_seen_at INTEGER;

UPDATE work SET sender = (SELECT sender FROM messages AS m WHERE m.message = work.message),
                rank = (SELECT 9 - coalesce(m.priority, 4) FROM messages AS m WHERE m.message = work.message),
                marks = 7, is_listed = CASE WHEN state IN ('ready', 'delayed', 'claimed', 'buried') THEN 1 END,
                held_by = CASE state WHEN 'claimed' THEN holder END;
UPDATE work SET ready_rank = rank WHERE state = 'ready';
UPDATE work SET state = 'superseded' WHERE state = 'failed' AND reason GLOB 'superseded by *';

DROP INDEX work_open;
DROP INDEX work_claimed;
DROP INDEX work_delayed;
UPDATE work SET ready_at = NULL WHERE state <> 'delayed' AND ready_at IS NOT NULL;

-- What is not over, and what is buried: to list and count, and for those who come later.
CREATE INDEX work_open ON work (target) WHERE is_listed IS NOT NULL;
-- What can be claimed, in the order in which it is claimed.
CREATE INDEX work_ready ON work (target, ready_rank, message) WHERE ready_rank IS NOT NULL;
CREATE INDEX work_held ON work (held_by) WHERE held_by IS NOT NULL;
CREATE INDEX work_delayed ON work (ready_at) WHERE ready_at IS NOT NULL;
-- One open task for one thing of one source.
CREATE UNIQUE INDEX work_dedupe ON work (source, open_key) WHERE open_key IS NOT NULL;

-- A task was reported again: each report counts once, however often it is repeated.
CREATE TABLE reports (
    sender       TEXT NOT NULL,
    key          TEXT NOT NULL,
    message      INTEGER NOT NULL REFERENCES messages (message),
    PRIMARY KEY (sender, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX reports_of ON reports (message);

-- `message` waits until `needs` is done.
CREATE TABLE dependencies (
    message      INTEGER NOT NULL REFERENCES messages (message),
    needs        INTEGER NOT NULL REFERENCES messages (message),
    PRIMARY KEY (message, needs)
) STRICT, WITHOUT ROWID;

CREATE INDEX dependencies_needed ON dependencies (needs, message);
