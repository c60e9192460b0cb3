-- Tokens: who may come in, in whose name, and for what.

-- One row a token. The token itself is not here, only its SHA-256. Numbers are never used again.
CREATE TABLE tokens (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    digest       BLOB NOT NULL UNIQUE,
    agent        TEXT,                      -- the only name it speaks for; NULL with integration NULL: any
    integration  TEXT,
    scopes       TEXT NOT NULL,             -- JSON list
    note         TEXT,
    created_at   INTEGER NOT NULL,          -- ms since 1970
    expires_at   INTEGER,
    revoked_at   INTEGER,
    ends_at      INTEGER                    -- whichever of the two comes first; NULL: never
) STRICT;

CREATE INDEX tokens_end ON tokens (ends_at);
