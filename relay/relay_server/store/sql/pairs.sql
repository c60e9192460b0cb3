-- Pairs: who is in one, and what becomes of it. Each statement has a name, and is followed by what it is for.

-- name: pair
SELECT pair, opener, invited, state, opened_at, changed_at, objective, accepted_at, ended_by, reason
FROM pairs WHERE pair = ?;

-- name: taken_by
-- The pair that an agent is in: one that it opened, or one that it accepted.
SELECT p.pair, p.opener, p.invited, p.state, p.opened_at, p.changed_at, p.objective, p.accepted_at, p.ended_by, p.reason
FROM taken AS t CROSS JOIN pairs AS p ON p.pair = t.pair WHERE t.agent = ?;

-- name: put_pair
INSERT INTO pairs (pair, opener, invited, state, is_live, opened_at, changed_at, objective)
VALUES (?1, ?2, ?3, 'pending', 1, ?4, ?4, ?5);

-- name: take
-- Nothing happens when the agent is in a pair already.
INSERT INTO taken (agent, pair) VALUES (?, ?) ON CONFLICT (agent) DO NOTHING;

-- name: put_pair_key
INSERT INTO pair_keys (opener, key, pair) VALUES (?, ?, ?);

-- name: pair_by_key
-- A pair that was found pending by an open of this key.
SELECT p.pair, p.opener, p.invited, p.state, p.opened_at, p.changed_at, p.objective, p.accepted_at, p.ended_by, p.reason
FROM pair_keys AS k CROSS JOIN pairs AS p ON p.pair = k.pair WHERE k.opener = ? AND k.key = ?;

-- name: invitation
-- What the open of a pair was answered.
SELECT thread, hops, recipients, online, sent_at FROM messages WHERE message = ?;

-- name: accept_pair
UPDATE pairs SET state = 'active', changed_at = ?1, accepted_at = ?1 WHERE pair = ?2 AND state = 'pending';

-- name: end_pair
UPDATE pairs SET state = ?, is_live = NULL, changed_at = ?, ended_by = ?, reason = ? WHERE pair = ? AND is_live IS NOT NULL;

-- name: let_go
DELETE FROM taken WHERE pair = ?;

-- name: live_pairs
-- At start: what memory is rebuilt from.
SELECT pair, opener, invited, state, opened_at, changed_at, objective, accepted_at, ended_by, reason
FROM pairs INDEXED BY pairs_live WHERE is_live IS NOT NULL AND pair > 0;

-- name: pairs_behind
SELECT pair, opener, invited, state, opened_at, changed_at, objective, accepted_at, ended_by, reason
FROM pairs WHERE pair > ? ORDER BY pair LIMIT ?;

-- name: live_pairs_behind
SELECT pair, opener, invited, state, opened_at, changed_at, objective, accepted_at, ended_by, reason
FROM pairs INDEXED BY pairs_live WHERE is_live IS NOT NULL AND pair > ? ORDER BY pair LIMIT ?;

-- name: pairs_of
SELECT pair, opener, invited, state, opened_at, changed_at, objective, accepted_at, ended_by, reason FROM (
    SELECT * FROM pairs INDEXED BY pairs_of_opener WHERE opener = ?1 AND pair > ?2
    UNION ALL
    SELECT * FROM pairs INDEXED BY pairs_of_invited WHERE invited = ?1 AND pair > ?2
) ORDER BY pair LIMIT ?3;

-- name: delete_pair_keys
DELETE FROM pair_keys WHERE pair = ?;

-- name: delete_pair
DELETE FROM pairs WHERE pair = ?;
