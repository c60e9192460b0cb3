-- What the HTTP door needs of messages: JSON beside the body, and that a sender took one back.
ALTER TABLE messages ADD COLUMN payload TEXT;        -- JSON, as the sender wrote it; counts with the body
ALTER TABLE messages ADD COLUMN withdrawn_at INTEGER; -- ms since 1970; NULL: it was not
