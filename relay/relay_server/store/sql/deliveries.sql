-- Deliveries: one message in one inbox, from queued to its last stage; and how an inbox is read. Each statement has a name, and is followed by what it is for.

-- name: put_delivery
INSERT INTO deliveries (message, agent, stage, at, attempt, size) VALUES (?, ?, 'queued', ?, 1, ?);

-- name: put_special_delivery
INSERT INTO deliveries (message, agent, stage, at, attempt, size, rank, due_at, expires_at, offer_at)
VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?);

-- name: put_withdrawn
-- A candidate for work that nobody gets yet.
INSERT INTO deliveries (message, agent, stage, at, attempt, size, rank, reason)
VALUES (?, ?, 'superseded', ?, 0, ?, ?, ?);

-- name: put_ranked
INSERT OR IGNORE INTO ranked (agent, rank, message) VALUES (?, ?, ?);

-- name: put_dead_delivery
-- There was no room for it: the ledger says so.
INSERT INTO deliveries (message, agent, stage, at, attempt, reason) VALUES (?, ?, 'dead', ?, 0, ?);

-- name: inbox_size
-- How many messages and bytes an inbox holds. Reads the index of open deliveries alone.
SELECT count(*), coalesce(sum(size), 0) FROM deliveries INDEXED BY deliveries_open
WHERE agent = ? AND stage IN ('queued', 'surfaced');

-- name: ack_surfaced
UPDATE deliveries SET stage = 'surfaced', at = ?, reason = NULL WHERE message = ? AND agent = ? AND stage = 'queued';

-- name: ack_done
-- Work that is ready or delayed stays open: a candidate's ack does not end it.
UPDATE deliveries SET stage = 'done', at = ?, reason = NULL
WHERE message = ? AND agent = ? AND stage IN ('queued', 'surfaced')
  AND NOT EXISTS (SELECT 1 FROM work WHERE work.message = deliveries.message AND work.state IN ('ready', 'delayed'));

-- name: end_delivery
-- The work was done or given up: its holder's own delivery follows.
UPDATE deliveries SET stage = ?, at = ?, due_at = NULL, reason = ? WHERE message = ? AND agent = ?;

-- name: end_delivery_done
UPDATE deliveries SET stage = 'done', at = ?, due_at = NULL, reason = NULL WHERE message = ? AND agent = ?;

-- name: ack_late
-- It was withdrawn (a newer one, its time) while its recipient had it, who then dealt with it all the same. Not work:
-- that was withdrawn because another one does it.
UPDATE deliveries SET stage = 'done', at = ?, reason = NULL
WHERE message = ? AND agent = ? AND stage IN ('superseded', 'expired')
  AND NOT EXISTS (SELECT 1 FROM work WHERE work.message = deliveries.message);

-- name: put_off
-- A candidate acked work that nobody holds: it is offered to it again, later.
UPDATE deliveries SET stage = 'queued', at = ?, attempt = attempt + 1, due_at = ?
WHERE message = ? AND agent = ? AND stage IN ('queued', 'surfaced');

-- name: delivery_state
SELECT attempt, stage, nacks, expires_at, offer_at FROM deliveries WHERE message = ? AND agent = ?;

-- name: nack_retry
UPDATE deliveries SET stage = 'queued', at = ?, attempt = attempt + 1, nacks = nacks + 1, due_at = ?, reason = ?
WHERE message = ? AND agent = ? AND stage IN ('queued', 'surfaced');

-- name: nack_end
-- stage: nacked, dead or expired.
UPDATE deliveries SET stage = ?, at = ?, due_at = NULL, reason = ?
WHERE message = ? AND agent = ? AND stage IN ('queued', 'surfaced');

-- name: refill
-- The open, due part of an inbox, oldest first. The caller stops when it has enough. The second column: it was surfaced
-- by an earlier session, and its time is over.
SELECT d.attempt, d.expires_at <= ?3, m.message, m.sender, m.target, m.body, m.sent_at, m.thread, m.hops, m.subject, m.channel,
       m.reply_to, m.intent, m.content_type, m.headers, m.claimable, m.priority, m.expires_at, m.supersedes, m.caused_by,
       m.reply_by_at, m.type, m.severity, m.payload, m.withdrawn_at
FROM deliveries AS d INDEXED BY deliveries_open CROSS JOIN messages AS m ON m.message = d.message
WHERE d.agent = ?1 AND d.message > ?2 AND d.stage IN ('queued', 'surfaced') AND (d.due_at IS NULL OR d.due_at <= ?3)
  AND (d.expires_at IS NULL OR d.expires_at > ?3 OR d.stage = 'surfaced') AND d.rank = 5
ORDER BY d.message
LIMIT ?4;

-- name: refill_ranked
-- The part of it with another priority than the default, between two ranks.
SELECT d.attempt, d.expires_at <= ?4, m.message, m.sender, m.target, m.body, m.sent_at, m.thread, m.hops, m.subject, m.channel,
       m.reply_to, m.intent, m.content_type, m.headers, m.claimable, m.priority, m.expires_at, m.supersedes, m.caused_by,
       m.reply_by_at, m.type, m.severity, m.payload, m.withdrawn_at
FROM ranked AS r CROSS JOIN deliveries AS d ON d.message = r.message AND d.agent = r.agent
CROSS JOIN messages AS m ON m.message = r.message
WHERE r.agent = ?1 AND r.rank BETWEEN ?2 AND ?3 AND d.stage IN ('queued', 'surfaced')
  AND (d.due_at IS NULL OR d.due_at <= ?4)
  AND (d.expires_at IS NULL OR d.expires_at > ?4 OR d.stage = 'surfaced')
ORDER BY r.rank, r.message
LIMIT ?5;

-- name: expire_unseen
-- It stood in front of an earlier session, and its time was over before this one was given it.
UPDATE deliveries SET stage = 'expired', at = ?1, due_at = NULL, offer_at = NULL, reason = ?2
WHERE message = ?3 AND agent = ?4 AND stage = 'surfaced' AND expires_at <= ?1;

-- name: sweep_ranked
-- Those at the front that are not open any more: what is read in this order is dealt with in this order.
DELETE FROM ranked WHERE (agent, rank, message) IN (
    SELECT r.agent, r.rank, r.message
    FROM (SELECT agent, rank, message FROM ranked WHERE agent = ? ORDER BY rank, message LIMIT ?) AS r
    WHERE NOT EXISTS (
        SELECT 1 FROM deliveries AS d
        WHERE d.message = r.message AND d.agent = r.agent AND d.stage IN ('queued', 'surfaced')));

-- name: rank_again
-- It is open again for all of these.
INSERT OR IGNORE INTO ranked (agent, rank, message)
SELECT agent, rank, message FROM deliveries WHERE message = ? AND rank <> 5 AND stage = 'queued';

-- name: inbox_open
SELECT d.stage, d.at, d.attempt, d.reason, CASE d.stage WHEN 'queued' THEN d.due_at END, m.message, m.sender, m.target, m.body, m.sent_at, m.thread, m.hops,
       m.subject, m.channel, m.reply_to, m.intent, m.content_type, m.headers, m.claimable, m.priority, m.expires_at,
       m.supersedes, m.caused_by, m.reply_by_at, m.type, m.severity, m.payload, m.withdrawn_at
FROM deliveries AS d INDEXED BY deliveries_open CROSS JOIN messages AS m ON m.message = d.message
WHERE d.agent = ? AND d.stage IN ('queued', 'surfaced') AND d.message > ? AND (?3 IS NULL OR m.channel = ?3)
ORDER BY d.message;

-- name: inbox_all
SELECT d.stage, d.at, d.attempt, d.reason, CASE d.stage WHEN 'queued' THEN d.due_at END, m.message, m.sender, m.target, m.body, m.sent_at, m.thread, m.hops,
       m.subject, m.channel, m.reply_to, m.intent, m.content_type, m.headers, m.claimable, m.priority, m.expires_at,
       m.supersedes, m.caused_by, m.reply_by_at, m.type, m.severity, m.payload, m.withdrawn_at
FROM deliveries AS d JOIN messages AS m ON m.message = d.message
WHERE d.agent = ? AND d.message > ? AND (?3 IS NULL OR m.channel = ?3)
ORDER BY d.message;

-- name: deliveries_of
SELECT agent, stage, at, attempt, reason FROM deliveries WHERE message = ? ORDER BY agent;

-- name: ledger_of
-- All that is known of a message's deliveries, to explain where it stands.
SELECT agent, stage, at, attempt, reason, nacks, rank, CASE stage WHEN 'queued' THEN due_at END, expires_at,
       CASE WHEN stage IN ('queued', 'nacked', 'dead') THEN offer_at END
FROM deliveries WHERE message = ? ORDER BY agent;

-- name: before_it
-- How many open deliveries of an inbox come before one of them, up to a limit.
SELECT count(*) FROM (
    SELECT 1 FROM deliveries INDEXED BY deliveries_open
    WHERE agent = ?1 AND stage IN ('queued', 'surfaced') AND (rank < ?2 OR (rank = ?2 AND message < ?3))
    LIMIT ?4) AS subquery;

-- name: oldest_open
SELECT message FROM deliveries WHERE agent = ? AND stage IN ('queued', 'surfaced') ORDER BY message LIMIT 1;

-- name: one_delivery
SELECT stage, at, attempt, reason, CASE stage WHEN 'queued' THEN due_at END
FROM deliveries WHERE message = ? AND agent = ?;
