-- Time: alarms, what comes due or is over, offers that lapse, and what is old enough to go. Each statement has a name, and is followed by what it is for.

-- name: set_alarm
INSERT OR IGNORE INTO alarms (at, message, agent) VALUES (?, ?, ?);

-- name: offer_on
-- For any one of many: whoever had it last keeps it until the offer lapses, which is now.
UPDATE deliveries SET stage = 'queued', at = ?1, attempt = attempt + 1, due_at = NULL, reason = NULL, expires_at = ?2,
                      offer_at = ?1
WHERE message = ?3 AND agent = ?4 AND stage NOT IN ('nacked', 'dead');

-- name: offer_now
-- Its recipient declined: the offer has lapsed. The stage says what became of it here.
UPDATE deliveries SET offer_at = ? WHERE message = ? AND agent = ?;

-- name: put_off_offer
-- Asked about now, or nobody else to offer it to: not again before this.
UPDATE deliveries SET offer_at = ? WHERE message = ? AND agent = ? AND offer_at IS NOT NULL;

-- name: end_offer
-- Another one gets it. Whoever declined it stays in the ledger as that.
UPDATE deliveries SET offer_at = NULL, due_at = NULL,
    at = CASE stage WHEN 'queued' THEN ? ELSE at END,
    reason = CASE stage WHEN 'queued' THEN ? ELSE reason END,
    stage = CASE stage WHEN 'queued' THEN 'superseded' ELSE stage END
WHERE message = ? AND agent = ? AND stage IN ('queued', 'nacked', 'dead')
  AND NOT EXISTS (SELECT 1 FROM work WHERE work.message = deliveries.message AND work.state <> 'ready')
RETURNING size, rank, stage;

-- name: offer_to
INSERT INTO deliveries (message, agent, stage, at, attempt, size, rank, expires_at, offer_at)
VALUES (?1, ?2, 'queued', ?3, 1, ?4, ?5, ?6, ?7)
ON CONFLICT (message, agent) DO UPDATE SET
    stage = 'queued', at = excluded.at, attempt = attempt + 1, due_at = NULL, reason = NULL,
    expires_at = excluded.expires_at, offer_at = excluded.offer_at
RETURNING attempt;

-- name: had_it
SELECT agent, stage IN ('nacked', 'dead') FROM deliveries WHERE message = ?;

-- name: drop_offer
-- Whoever has it declined, and nobody else is there.
UPDATE deliveries SET offer_at = NULL
WHERE message = ? AND agent = ? AND offer_at IS NOT NULL AND stage IN ('nacked', 'dead')
RETURNING stage, reason;

-- name: take_alarms
-- The deliveries to look at now. An alarm goes off once; whoever puts a thing off sets another one.
DELETE FROM alarms WHERE (at, message, agent) IN (SELECT at, message, agent FROM alarms WHERE at <= ? ORDER BY at LIMIT ?)
RETURNING message, agent;

-- name: expire_delivery
UPDATE deliveries SET stage = 'expired', at = ?1, due_at = NULL, offer_at = NULL, reason = ?2
WHERE message = ?3 AND agent = ?4 AND stage = 'queued' AND expires_at <= ?1;

-- name: ripe_delivery
UPDATE deliveries SET due_at = NULL
WHERE message = ?1 AND agent = ?2 AND stage IN ('queued', 'surfaced') AND due_at <= ?3;

-- name: lapsed_offer
SELECT 1 FROM deliveries WHERE message = ? AND agent = ? AND stage IN ('queued', 'nacked', 'dead') AND offer_at <= ?;

-- name: next_due
SELECT min(due) FROM (
    SELECT min(at) AS due FROM alarms
    UNION ALL
    SELECT min(ready_at) FROM work WHERE ready_at IS NOT NULL
    UNION ALL
    SELECT min(reply_by_at) FROM asks WHERE state = 'open'
);

-- name: finished
-- Of the next messages behind one, those with nothing open and nothing that changed since: they may go. The last column
-- says that a message is too young, and so is what comes behind it.
SELECT message, sent_at < ?2 AND NOT EXISTS (
    SELECT 1 FROM deliveries AS d
    WHERE d.message = m.message AND (d.stage IN ('queued', 'surfaced') OR d.at >= ?2)
) AND NOT EXISTS (
    SELECT 1 FROM work AS w
    WHERE w.message = m.message AND (w.is_listed AND w.state <> 'buried' OR w.changed_at >= ?2)
) AND NOT EXISTS (
    SELECT 1 FROM asks AS a WHERE a.message = m.message AND (a.state IN ('open', 'overdue') OR a.reply_by_at >= ?2)
) AND NOT EXISTS (
    SELECT 1 FROM pairs AS p WHERE p.pair = m.message AND (p.is_live OR p.changed_at >= ?2)
), sent_at >= ?2
FROM messages AS m WHERE message > ?1 ORDER BY message LIMIT ?3;

-- name: delete_deliveries
DELETE FROM deliveries WHERE message = ?;

-- name: delete_work
DELETE FROM work WHERE message = ?;

-- name: delete_asks
DELETE FROM asks WHERE message = ?;

-- name: delete_message
DELETE FROM messages WHERE message = ?;
