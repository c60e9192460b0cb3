-- Tokens: what is kept of those that were made. Each statement has a name, and is followed by what it is for.

-- name: put_token
INSERT INTO tokens (digest, agent, integration, scopes, note, created_at, expires_at, ends_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
RETURNING number;

-- name: forget_tokens
-- What was over long ago is not shown any more either.
DELETE FROM tokens WHERE ends_at <= ?;

-- name: revoke_token
-- Nothing happens to one that is over already.
UPDATE tokens SET revoked_at = ?1, ends_at = ?1 WHERE number = ?2 AND (ends_at IS NULL OR ends_at > ?1);

-- name: token
SELECT number, scopes, created_at, agent, integration, note, expires_at, revoked_at, ends_at FROM tokens WHERE number = ?;

-- name: tokens_behind
SELECT number, scopes, created_at, agent, integration, note, expires_at, revoked_at, ends_at
FROM tokens WHERE number > ? ORDER BY number LIMIT ?;

-- name: tokens_kept
-- At start: who lets them in looks at when they end.
SELECT number, digest, scopes, agent, integration, ends_at FROM tokens WHERE number > 0;
