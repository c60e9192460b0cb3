-- The core: agents, messages, deliveries, work.

-- One row an agent that was ever seen. tags, caps, channels, meta are JSON.
CREATE TABLE agents (
    agent        TEXT PRIMARY KEY,
    label        TEXT,
    tags         TEXT NOT NULL DEFAULT '[]',
    caps         TEXT NOT NULL DEFAULT '[]',
    channels     TEXT NOT NULL DEFAULT '[]',
    machine      TEXT,
    meta         TEXT,
    instance     TEXT NOT NULL,
    epoch        INTEGER NOT NULL,          -- grows with each new instance; 0: it only ever visited
    first_seen_at INTEGER NOT NULL,         -- ms since 1970
    last_seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a message. message only grows and is never used again (see counters).
CREATE TABLE messages (
    message      INTEGER PRIMARY KEY,
    sender       TEXT NOT NULL,
    target       TEXT NOT NULL,             -- as the sender wrote it
    body         ANY NOT NULL,              -- TEXT or BLOB, as it was sent
    sent_at      INTEGER NOT NULL,
    thread       INTEGER NOT NULL,          -- message id of the root
    hops         INTEGER NOT NULL,
    recipients   INTEGER NOT NULL,          -- the first answer, for a send that is repeated
    online       INTEGER NOT NULL,
    claimable    INTEGER NOT NULL,
    subject      TEXT,
    channel      TEXT,
    reply_to     INTEGER,
    intent       TEXT,
    content_type TEXT,
    headers      TEXT,                      -- JSON
    key          TEXT
) STRICT;

-- One send, one message: what makes a repeated key find the first message.
CREATE UNIQUE INDEX messages_key ON messages (sender, key) WHERE key IS NOT NULL;

-- One row a message in an inbox. Ordered by message: new rows always go to the right edge, receipts are one range.
CREATE TABLE deliveries (
    message      INTEGER NOT NULL REFERENCES messages (message),
    agent        TEXT NOT NULL,             -- perhaps never seen (hold)
    stage        TEXT NOT NULL,             -- queued surfaced done nacked expired superseded dead; pushed is memory's
    at           INTEGER NOT NULL,          -- when this stage was reached
    attempt      INTEGER NOT NULL,          -- the number of its next push, or of the last one
    nacks        INTEGER NOT NULL DEFAULT 0, -- how often it was refused with retry: what ends it, restarts don't
    due_at       INTEGER,                   -- not before (after a nack); NULL: now
    reason       TEXT,
    PRIMARY KEY (message, agent)
) STRICT, WITHOUT ROWID;

-- The inbox: what is not dealt with. It is as long as the inboxes are, however long the history is.
CREATE INDEX deliveries_open ON deliveries (agent, message) WHERE stage IN ('queued', 'surfaced');
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;

-- One row a claimable message. The states are those of claim.py.
CREATE TABLE work (
    message      INTEGER PRIMARY KEY REFERENCES messages (message),
    target       TEXT NOT NULL,             -- the message's: whom it may be offered to when they come later
    state        TEXT NOT NULL,
    fence        INTEGER NOT NULL,          -- grows by one with each claim
    attempts     INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    holder       TEXT,                      -- who holds it, or held it last
    holder_epoch INTEGER,
    lease_s      REAL,
    ready_at     INTEGER,                   -- delayed: until when
    result       ANY,
    reason       TEXT
) STRICT;

CREATE INDEX work_open ON work (target) WHERE state IN ('ready', 'claimed', 'delayed');
CREATE INDEX work_claimed ON work (holder) WHERE state = 'claimed';
CREATE INDEX work_delayed ON work (ready_at) WHERE state = 'delayed';

-- The lowest message id that may be given out. Whoever deletes messages moves it behind them in the same transaction,
-- by the trigger below; a turn that only makes messages does not pay a page for it.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('message', 1);

CREATE TRIGGER messages_never_reused AFTER DELETE ON messages
WHEN old.message >= (SELECT value FROM counters WHERE name = 'message')
BEGIN
    UPDATE counters SET value = old.message + 1 WHERE name = 'message';
END;
