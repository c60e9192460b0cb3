-- Addressing, time, asks: what a message may ask for beyond its body, and what is still owed.

ALTER TABLE agents ADD COLUMN pruned_at INTEGER;      -- offline for a day: in no group, not listed; its name and inbox stay
ALTER TABLE agents ADD COLUMN will TEXT;              -- JSON of the message to send when it falls silent

ALTER TABLE messages ADD COLUMN priority INTEGER;     -- 0-9 as the sender gave it; NULL counts as PRIORITY_DEFAULT
ALTER TABLE messages ADD COLUMN expires_at INTEGER;
ALTER TABLE messages ADD COLUMN due_at INTEGER;       -- delivered from then on, as the sender asked for
ALTER TABLE messages ADD COLUMN reply_by_at INTEGER;  -- an ask: when its reply is overdue
ALTER TABLE messages ADD COLUMN offer_s REAL;         -- any:.. only: how long it lies with one recipient
ALTER TABLE messages ADD COLUMN supersedes INTEGER;
ALTER TABLE messages ADD COLUMN caused_by INTEGER;

-- The messages of a thread behind its root. Roots are not in it: a send that begins a thread pays nothing for it.
CREATE INDEX messages_thread ON messages (thread, message) WHERE thread <> message;

ALTER TABLE work ADD COLUMN superseded_by INTEGER;    -- by a newer message, while it was held: it ends with its claim

ALTER TABLE deliveries ADD COLUMN size INTEGER NOT NULL DEFAULT 0;   -- bytes of the body, as they count against the inbox
ALTER TABLE deliveries ADD COLUMN rank INTEGER NOT NULL DEFAULT 5;   -- 9 - priority: lower comes first; 5 is the rule
ALTER TABLE deliveries ADD COLUMN expires_at INTEGER;                -- NULL too when its holder claimed it in time
ALTER TABLE deliveries ADD COLUMN offer_at INTEGER;                  -- any:.. only: when another one is tried

-- How much an inbox holds is read off the index alone.
DROP INDEX deliveries_open;
CREATE INDEX deliveries_open ON deliveries (agent, message, size) WHERE stage IN ('queued', 'surfaced');

-- When a delivery is to be looked at again, because it is due, expires or is to be offered to another. A table and not
-- an index of deliveries: acks and plain sends, which set no alarm, pay nothing for it. An alarm whose reason is gone by
-- its time is dropped then.
CREATE TABLE alarms (
    at           INTEGER NOT NULL,          -- ms since 1970
    message      INTEGER NOT NULL,
    agent        TEXT NOT NULL,
    PRIMARY KEY (at, message, agent)
) STRICT, WITHOUT ROWID;

INSERT INTO alarms (at, message, agent)
SELECT due_at, message, agent FROM deliveries WHERE due_at IS NOT NULL AND stage = 'queued';
DROP INDEX deliveries_due;

-- Deliveries with another priority than the default, in the order in which they come. What is not open any more is
-- swept out when the inbox is read.
CREATE TABLE ranked (
    agent        TEXT NOT NULL,
    rank         INTEGER NOT NULL,
    message      INTEGER NOT NULL,
    PRIMARY KEY (agent, rank, message)
) STRICT, WITHOUT ROWID;

-- One row a reply that someone owes. state: open overdue passed answered refused withdrawn.
CREATE TABLE asks (
    message      INTEGER NOT NULL REFERENCES messages (message),
    agent        TEXT NOT NULL,             -- who owes the reply
    asker        TEXT NOT NULL,
    asked_at     INTEGER NOT NULL,
    reply_by_at  INTEGER NOT NULL,
    waits        INTEGER NOT NULL,          -- the asker does nothing else until then
    epoch        INTEGER NOT NULL,          -- of the asker: another instance waits for nothing
    state        TEXT NOT NULL,
    reply        INTEGER,                   -- the message that answered it
    PRIMARY KEY (message, agent)
) STRICT, WITHOUT ROWID;

CREATE INDEX asks_owing ON asks (agent, message) WHERE state IN ('open', 'overdue');
CREATE INDEX asks_owed ON asks (asker, message) WHERE state IN ('open', 'overdue');
CREATE INDEX asks_deadline ON asks (reply_by_at) WHERE state = 'open';
