-- Callbacks: what an outside system is to hear of the tasks that it reported. A row is written with the change that it
-- tells, and stays when it was delivered (without its body) or given up, as long as the task's message does.

CREATE TABLE callbacks (
    callback     INTEGER PRIMARY KEY AUTOINCREMENT,     -- the order in which things happened
    event        TEXT NOT NULL UNIQUE,                  -- the id by which the receiver knows a repetition
    integration  TEXT NOT NULL,
    message      INTEGER NOT NULL,                      -- the task; no reference: it may go before this does
    kind         TEXT NOT NULL,                         -- done, progress, ..
    at           INTEGER NOT NULL,                      -- when it happened; ms since 1970
    body         TEXT,                                  -- what is posted; NULL when it was delivered
    state        TEXT NOT NULL,                         -- waiting delivered dead
    attempts     INTEGER NOT NULL DEFAULT 0,
    due_at       INTEGER,                               -- of the oldest that waits of its task: when to try; else NULL
    tried_at     INTEGER,
    reason       TEXT                                   -- why the last attempt came to nothing
) STRICT;

CREATE INDEX callbacks_listed ON callbacks (integration, state);
CREATE INDEX callbacks_of ON callbacks (message, state);
CREATE INDEX callbacks_due ON callbacks (integration, due_at) WHERE due_at IS NOT NULL;
