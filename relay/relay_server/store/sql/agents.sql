-- Agents: who registered, what they said of themselves, how they leave. Each statement has a name, and is followed by what it is for.

-- name: put_agent
-- Register: a new instance makes the epoch grow, the same one keeps it.
INSERT INTO agents (agent, label, tags, caps, channels, machine, meta, instance, will, epoch, first_seen_at, last_seen_at)
VALUES (:agent, :label, :tags, :caps, :channels, :machine, :meta, :instance, :will, 1, :now, :now)
ON CONFLICT (agent) DO UPDATE SET
    label = excluded.label, tags = excluded.tags, caps = excluded.caps, channels = excluded.channels,
    machine = excluded.machine, meta = excluded.meta, last_seen_at = excluded.last_seen_at, will = excluded.will,
    pruned_at = NULL,
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

-- name: drop_will
UPDATE agents SET will = NULL WHERE agent = ?;

-- name: prune_agent
UPDATE agents SET pruned_at = ? WHERE agent = ? AND pruned_at IS NULL AND last_seen_at <= ?;

-- name: forget_visitors
-- Of these, those that never registered and were not there lately.
DELETE FROM agents WHERE agent IN (SELECT value FROM json_each(?1)) AND epoch = 0 AND last_seen_at <= ?2
RETURNING agent;

-- name: has_registered
-- Not only as a visitor.
SELECT 1 FROM agents WHERE agent = ? AND epoch > 0;

-- name: remove_agent
-- It leaves for good: as if it had been away for too long.
UPDATE agents SET pruned_at = ?1, last_seen_at = ?1, will = NULL WHERE agent = ?2;

-- name: expire_surfaced
-- What stood in front of an earlier instance and was over before this one came is not shown to it.
UPDATE deliveries SET stage = 'expired', at = ?1, due_at = NULL, reason = 'surfaced, and not dealt with in its time'
WHERE agent = ?2 AND stage IN ('queued', 'surfaced') AND stage = 'surfaced' AND expires_at <= ?1
RETURNING message;

-- name: count_attempt
-- A delivery was pushed and its session ended without an ack: the next push is another attempt.
UPDATE deliveries SET attempt = attempt + 1 WHERE message = ? AND agent = ? AND stage IN ('queued', 'surfaced');

-- name: offer_ready_work
-- Work that was there before the worker: what is ready and meant for such an agent comes into its inbox. What someone
-- holds, or what waits for its next attempt, comes there as withdrawn: should it be offered again, then to this one too.
-- Work for any one of many (it has offer_s) comes only when it is ready and nobody has it or is about to get it; then
-- also to one from whom it was passed on.
INSERT INTO deliveries (message, agent, stage, at, attempt, size, rank, expires_at, offer_at)
SELECT w.message, ?1, CASE w.state WHEN 'ready' THEN 'queued' ELSE 'superseded' END, ?2,
       CASE w.state WHEN 'delayed' THEN 0 ELSE 1 END, length(CAST(m.body AS BLOB))
       + coalesce(length(CAST(m.payload AS BLOB)), 0), 9 - coalesce(m.priority, 4),
       m.expires_at, ?2 + CAST(m.offer_s * 1000 AS INTEGER)
FROM work AS w INDEXED BY work_open CROSS JOIN messages AS m ON m.message = w.message
WHERE w.is_listed IS NOT NULL AND w.state <> 'buried'
  AND w.target IN (SELECT value FROM json_each(?3)) AND m.sender <> ?1
  AND (m.expires_at IS NULL OR m.expires_at > ?2)
  AND (m.offer_s IS NULL OR w.state = 'ready' AND NOT EXISTS (
      SELECT 1 FROM deliveries AS o
      WHERE o.message = w.message
        AND (o.stage IN ('queued', 'surfaced') OR o.stage IN ('nacked', 'dead') AND o.offer_at IS NOT NULL)))
  AND NOT EXISTS (
      SELECT 1 FROM deliveries AS d
      WHERE d.message = w.message AND d.agent = ?1 AND (m.offer_s IS NULL OR d.stage IN ('nacked', 'dead')))
ORDER BY w.message
LIMIT ?4
ON CONFLICT (message, agent) DO UPDATE SET
    stage = 'queued', at = excluded.at, attempt = attempt + 1, due_at = NULL, reason = NULL,
    expires_at = excluded.expires_at, offer_at = excluded.offer_at
RETURNING message, rank, expires_at, offer_at;

-- name: all_agents
SELECT agent, label, tags, caps, channels, machine, meta, epoch, last_seen_at, pruned_at IS NOT NULL, will, instance
FROM agents ORDER BY agent;
