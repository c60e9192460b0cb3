-- Every statement of the SQLite engine, by name. A name is followed by what it is for.

-- name: next_message
-- The next message id, at start: behind the newest message and behind what was ever deleted.
SELECT (SELECT value FROM counters WHERE name = 'message'), (SELECT coalesce(max(message), 0) + 1 FROM messages);

-- name: stretch
-- Pages that are rolled back: see SQLiteStore._stretch_wal.
INSERT INTO stretch (filler)
WITH RECURSIVE pages (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM pages LIMIT ?)
SELECT zeroblob(4000) FROM pages;

-- name: touch
-- A write that changes nothing and is committed.
UPDATE counters SET value = value WHERE name = 'message';

-- name: put_agent
-- Register: a new instance makes the epoch grow, the same one keeps it.
INSERT INTO agents (agent, label, tags, caps, channels, machine, meta, instance, epoch, first_seen_at, last_seen_at)
VALUES (:agent, :label, :tags, :caps, :channels, :machine, :meta, :instance, 1, :now, :now)
ON CONFLICT (agent) DO UPDATE SET
    label = excluded.label, tags = excluded.tags, caps = excluded.caps, channels = excluded.channels,
    machine = excluded.machine, meta = excluded.meta, last_seen_at = excluded.last_seen_at,
    epoch = epoch + (instance <> excluded.instance), instance = excluded.instance
RETURNING epoch;

-- name: put_visitor
-- A visit: the name becomes known, so that it can be answered; an agent of this name stays as it is.
INSERT INTO agents (agent, instance, epoch, first_seen_at, last_seen_at) VALUES (?1, '', 0, ?2, ?2)
ON CONFLICT (agent) DO UPDATE SET
    last_seen_at = CASE WHEN epoch = 0 THEN excluded.last_seen_at ELSE last_seen_at END
RETURNING epoch;

-- name: pending
-- How much an inbox holds. Reads the index of open deliveries alone.
SELECT count(*) FROM deliveries WHERE agent = ? AND stage IN ('queued', 'surfaced');

-- name: change_agent
UPDATE agents SET
    label = coalesce(:label, label), tags = coalesce(:tags, tags), caps = coalesce(:caps, caps),
    channels = coalesce(:channels, channels), meta = coalesce(:meta, meta), last_seen_at = :now
WHERE agent = :agent;

-- name: seen_agent
UPDATE agents SET last_seen_at = ? WHERE agent = ?;

-- name: count_attempt
-- A delivery was pushed and its session ended without an ack: the next push is another attempt.
UPDATE deliveries SET attempt = attempt + 1 WHERE message = ? AND agent = ? AND stage IN ('queued', 'surfaced');

-- name: put_message
INSERT INTO messages (message, sender, target, body, sent_at, thread, hops, recipients, online, claimable,
                      subject, channel, reply_to, intent, content_type, headers, key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: put_delivery
INSERT INTO deliveries (message, agent, stage, at, attempt) VALUES (?, ?, 'queued', ?, 1);

-- name: put_work
INSERT INTO work (message, target, state, fence, attempts, changed_at) VALUES (?, ?, 'ready', 0, 0, ?);

-- name: offer_ready_work
-- Work that was there before the worker: what is ready and meant for such an agent comes into its inbox. What someone
-- holds, or what waits for its next attempt, comes there as withdrawn: should it be offered again, then to this one too.
INSERT INTO deliveries (message, agent, stage, at, attempt)
SELECT w.message, ?1, CASE w.state WHEN 'ready' THEN 'queued' ELSE 'superseded' END, ?2, 1
FROM work AS w INDEXED BY work_open CROSS JOIN messages AS m ON m.message = w.message
WHERE w.state IN ('ready', 'claimed', 'delayed') AND w.target IN (SELECT value FROM json_each(?3)) AND m.sender <> ?1
  AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.message = w.message AND d.agent = ?1)
ORDER BY w.message
LIMIT ?4;

-- name: message_by_key
-- The message that a key already made, to answer again or to refuse.
SELECT message, thread, hops, recipients, online, sent_at, target, body, subject, channel, reply_to, intent,
       content_type, headers, claimable
FROM messages WHERE sender = ? AND key = ?;

-- name: parent
-- What a reply needs of the message it answers.
SELECT thread, hops, intent FROM messages WHERE message = ?;

-- name: ack_surfaced
UPDATE deliveries SET stage = 'surfaced', at = ? WHERE message = ? AND agent = ? AND stage = 'queued';

-- name: ack_done
-- Work that is ready or delayed stays open: a candidate's ack does not end it.
UPDATE deliveries SET stage = 'done', at = ?, due_at = NULL
WHERE message = ? AND agent = ? AND stage IN ('queued', 'surfaced')
  AND NOT EXISTS (SELECT 1 FROM work WHERE work.message = deliveries.message AND work.state IN ('ready', 'delayed'));

-- name: end_delivery
-- The work was done or given up: its holder's own delivery follows.
UPDATE deliveries SET stage = ?, at = ?, due_at = NULL, reason = ? WHERE message = ? AND agent = ?;

-- name: put_off
-- A candidate acked work that nobody holds: it is offered to it again, later.
UPDATE deliveries SET stage = 'queued', at = ?, attempt = attempt + 1, due_at = ?
WHERE message = ? AND agent = ? AND stage IN ('queued', 'surfaced');

-- name: delivery_state
SELECT attempt, stage, nacks FROM deliveries WHERE message = ? AND agent = ?;

-- name: nack_retry
UPDATE deliveries SET stage = 'queued', at = ?, attempt = attempt + 1, nacks = nacks + 1, due_at = ?, reason = ?
WHERE message = ? AND agent = ? AND stage IN ('queued', 'surfaced');

-- name: nack_end
-- stage: nacked or dead.
UPDATE deliveries SET stage = ?, at = ?, reason = ?
WHERE message = ? AND agent = ? AND stage IN ('queued', 'surfaced');

-- name: refill
-- The open, due part of an inbox, oldest first. The caller stops when it has enough.
SELECT d.attempt, m.message, m.sender, m.target, m.body, m.sent_at, m.thread, m.hops, m.subject, m.channel,
       m.reply_to, m.intent, m.content_type, m.headers, m.claimable
FROM deliveries AS d INDEXED BY deliveries_open CROSS JOIN messages AS m ON m.message = d.message
WHERE d.agent = ? AND d.message > ? AND d.stage IN ('queued', 'surfaced') AND (d.due_at IS NULL OR d.due_at <= ?)
ORDER BY d.message
LIMIT ?;

-- name: message_row
SELECT message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
       claimable
FROM messages WHERE message = ?;

-- name: claim
-- ready -> claimed. At most one of any number of claimers gets a row back.
UPDATE work SET state = 'claimed', fence = fence + 1, attempts = attempts + 1, holder = ?, holder_epoch = ?,
                lease_s = ?, changed_at = ?, reason = NULL
WHERE message = ? AND state = 'ready'
RETURNING fence;

-- name: work_state
SELECT state, fence, attempts, holder, holder_epoch, lease_s FROM work WHERE message = ?;

-- name: message_exists
SELECT 1 FROM messages WHERE message = ?;

-- name: withdraw_others
-- Someone claimed it: it is no longer for the other candidates to take.
UPDATE deliveries SET stage = 'superseded', at = ?, due_at = NULL, reason = ?
WHERE message = ? AND agent <> ? AND stage IN ('queued', 'surfaced')
RETURNING agent;

-- name: renew
UPDATE work SET holder_epoch = ?, lease_s = coalesce(?, lease_s), changed_at = ?
WHERE message = ? AND fence = ? AND holder = ? AND state = 'claimed'
RETURNING lease_s;

-- name: end_claim
-- claimed -> any other state, for the holder with the current fence.
UPDATE work SET state = ?, attempts = attempts - ?, changed_at = ?, ready_at = ?, result = ?, reason = ?
WHERE message = ? AND fence = ? AND holder = ? AND state = 'claimed';

-- name: expire_claim
-- claimed -> ready or buried, unless the fence has moved on.
UPDATE work SET state = ?, changed_at = ?, reason = ?
WHERE message = ? AND fence = ? AND holder_epoch = ? AND state = 'claimed'
RETURNING holder;

-- name: claims_of
SELECT message, fence FROM work WHERE holder = ? AND holder_epoch = ? AND state = 'claimed';

-- name: offer_again
-- Every candidate that has not declined gets it again.
UPDATE deliveries SET stage = 'queued', at = ?, attempt = attempt + 1, due_at = NULL, reason = NULL
WHERE message = ? AND stage NOT IN ('nacked', 'dead')
RETURNING agent, attempt;

-- name: withdraw
-- Nobody's to take for now: it failed and waits.
UPDATE deliveries SET stage = 'superseded', at = ?, due_at = NULL, reason = ?
WHERE message = ? AND stage IN ('queued', 'surfaced');

-- name: ripe_deliveries
UPDATE deliveries SET due_at = NULL WHERE due_at IS NOT NULL AND due_at <= ? RETURNING agent;

-- name: ripe_work
UPDATE work SET state = 'ready', changed_at = ?, ready_at = NULL WHERE state = 'delayed' AND ready_at <= ?
RETURNING message;

-- name: next_due
SELECT min(due) FROM (
    SELECT min(due_at) AS due FROM deliveries WHERE due_at IS NOT NULL
    UNION ALL
    SELECT min(ready_at) FROM work WHERE state = 'delayed'
);

-- name: all_agents
SELECT agent, label, tags, caps, channels, machine, meta, epoch, last_seen_at FROM agents ORDER BY agent;

-- name: held_claims
SELECT message, holder, holder_epoch, fence, lease_s FROM work WHERE state = 'claimed';

-- name: inbox_open
SELECT d.stage, d.at, d.attempt, d.reason, m.message, m.sender, m.target, m.body, m.sent_at, m.thread, m.hops,
       m.subject, m.channel, m.reply_to, m.intent, m.content_type, m.headers, m.claimable
FROM deliveries AS d INDEXED BY deliveries_open CROSS JOIN messages AS m ON m.message = d.message
WHERE d.agent = ? AND d.stage IN ('queued', 'surfaced') AND d.message > ? AND (?3 IS NULL OR m.channel = ?3)
ORDER BY d.message;

-- name: inbox_all
SELECT d.stage, d.at, d.attempt, d.reason, m.message, m.sender, m.target, m.body, m.sent_at, m.thread, m.hops,
       m.subject, m.channel, m.reply_to, m.intent, m.content_type, m.headers, m.claimable
FROM deliveries AS d JOIN messages AS m ON m.message = d.message
WHERE d.agent = ? AND d.message > ? AND (?3 IS NULL OR m.channel = ?3)
ORDER BY d.message;

-- name: deliveries_of
SELECT agent, stage, at, attempt, reason FROM deliveries WHERE message = ? ORDER BY agent;

-- name: work_of
SELECT state, fence, attempts, holder, lease_s, ready_at, result, reason FROM work WHERE message = ?;
