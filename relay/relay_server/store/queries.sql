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

-- name: expire_surfaced
-- What stood in front of an earlier instance and was over before this one came is not shown to it.
UPDATE deliveries SET stage = 'expired', at = ?1, due_at = NULL, reason = 'surfaced, and not dealt with in its time'
WHERE agent = ?2 AND stage IN ('queued', 'surfaced') AND stage = 'surfaced' AND expires_at <= ?1
RETURNING message;

-- name: count_attempt
-- A delivery was pushed and its session ended without an ack: the next push is another attempt.
UPDATE deliveries SET attempt = attempt + 1 WHERE message = ? AND agent = ? AND stage IN ('queued', 'surfaced');

-- name: put_message
INSERT INTO messages (message, sender, target, body, sent_at, thread, hops, recipients, online, claimable,
                      subject, channel, reply_to, intent, content_type, headers, key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: put_special_message
INSERT INTO messages (message, sender, target, body, sent_at, thread, hops, recipients, online, claimable,
                      subject, channel, reply_to, intent, content_type, headers, key, priority, expires_at, due_at,
                      reply_by_at, offer_s, supersedes, caused_by)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: put_delivery
INSERT INTO deliveries (message, agent, stage, at, attempt, size) VALUES (?, ?, 'queued', ?, 1, ?);

-- name: put_special_delivery
INSERT INTO deliveries (message, agent, stage, at, attempt, size, rank, due_at, expires_at, offer_at)
VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?);

-- name: put_ranked
INSERT OR IGNORE INTO ranked (agent, rank, message) VALUES (?, ?, ?);

-- name: set_alarm
INSERT OR IGNORE INTO alarms (at, message, agent) VALUES (?, ?, ?);

-- name: put_dead_delivery
-- There was no room for it: the ledger says so.
INSERT INTO deliveries (message, agent, stage, at, attempt, reason) VALUES (?, ?, 'dead', ?, 0, ?);

-- name: inbox_size
-- How many messages and bytes an inbox holds. Reads the index of open deliveries alone.
SELECT count(*), coalesce(sum(size), 0) FROM deliveries INDEXED BY deliveries_open
WHERE agent = ? AND stage IN ('queued', 'surfaced');

-- name: put_work
-- state: ready, or delayed until ready_at.
INSERT INTO work (message, target, state, fence, attempts, changed_at, ready_at) VALUES (?, ?, ?, 0, 0, ?, ?);

-- name: offer_ready_work
-- Work that was there before the worker: what is ready and meant for such an agent comes into its inbox. What someone
-- holds, or what waits for its next attempt, comes there as withdrawn: should it be offered again, then to this one too.
-- Work for any one of many (it has offer_s) comes only when it is ready and nobody has it or is about to get it; then
-- also to one from whom it was passed on.
INSERT INTO deliveries (message, agent, stage, at, attempt, size, rank, expires_at, offer_at)
SELECT w.message, ?1, CASE w.state WHEN 'ready' THEN 'queued' ELSE 'superseded' END, ?2,
       CASE w.state WHEN 'delayed' THEN 0 ELSE 1 END, length(CAST(m.body AS BLOB)), 9 - coalesce(m.priority, 4),
       m.expires_at, ?2 + CAST(m.offer_s * 1000 AS INTEGER)
FROM work AS w INDEXED BY work_open CROSS JOIN messages AS m ON m.message = w.message
WHERE w.state IN ('ready', 'claimed', 'delayed') AND w.target IN (SELECT value FROM json_each(?3)) AND m.sender <> ?1
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

-- name: message_by_key
-- The message that a key already made, to answer again or to refuse.
SELECT message, thread, hops, recipients, online, sent_at, expires_at - sent_at, due_at - sent_at,
       reply_by_at - sent_at, target, body, subject, channel, reply_to, intent, content_type, headers, claimable,
       priority, supersedes, caused_by
FROM messages WHERE sender = ? AND key = ?;

-- name: parent
-- What a reply needs of the message it answers.
SELECT thread, hops, intent, sender FROM messages WHERE message = ?;

-- name: has_delivery
SELECT 1 FROM deliveries WHERE message = ? AND agent = ?;

-- name: takes_part
-- Whether an agent wrote into a thread or was given any of its messages.
SELECT 1 FROM (
    SELECT message, sender FROM messages WHERE message = ?1
    UNION ALL
    SELECT message, sender FROM messages INDEXED BY messages_thread WHERE thread = ?1 AND thread <> message
) AS m
WHERE m.sender = ?2 OR EXISTS (SELECT 1 FROM deliveries AS d WHERE d.message = m.message AND d.agent = ?2)
LIMIT 1;

-- name: participants
-- Who wrote into a thread, and whom its messages were for by name (or as any one of many, or as the thread).
SELECT DISTINCT who FROM (
    SELECT sender AS who FROM messages WHERE message = ?1
    UNION ALL
    SELECT sender FROM messages INDEXED BY messages_thread WHERE thread = ?1 AND thread <> message
    UNION ALL
    SELECT d.agent FROM (
        SELECT message, target FROM messages WHERE message = ?1
        UNION ALL
        SELECT message, target FROM messages INDEXED BY messages_thread WHERE thread = ?1 AND thread <> message
    ) AS m CROSS JOIN deliveries AS d ON d.message = m.message
    WHERE instr(m.target, ':') = 0 AND m.target NOT IN ('broadcast', 'ALL') OR m.target GLOB 'any:*'
)
WHERE who <> ?2
ORDER BY who;

-- name: supersede
-- A newer message replaces it wherever it does not stand in front of someone yet.
UPDATE deliveries SET stage = 'superseded', at = ?, due_at = NULL, offer_at = NULL, reason = ?
WHERE message = ? AND stage = 'queued'
RETURNING agent;

-- name: seen_deliveries
-- Who has an older message in front of them already, or had.
SELECT agent, stage, at FROM deliveries WHERE message = ? AND stage IN ('surfaced', 'done');

-- name: end_ready_work
-- Nobody's to do any more, for a reason.
UPDATE work SET state = ?, changed_at = ?, ready_at = NULL, reason = ?
WHERE message = ? AND state IN ('ready', 'delayed');

-- name: supersede_held
-- It stays with its holder, and is nobody's after that.
UPDATE work SET superseded_by = ? WHERE message = ? AND state = 'claimed';

-- name: put_ask
INSERT INTO asks (message, agent, asker, asked_at, reply_by_at, waits, epoch, state) VALUES (?, ?, ?, ?, ?, ?, ?, 'open');

-- name: answer_ask
-- A reply of the one who owes it.
UPDATE asks SET state = 'answered', reply = ? WHERE message = ? AND agent = ? AND state IN ('open', 'overdue')
RETURNING asker;

-- name: answer_all
-- One reply is enough where it was asked of any of them: of whoever has it, or had it.
UPDATE asks SET state = 'answered', reply = ?1
WHERE message = ?2 AND state IN ('open', 'overdue', 'passed')
  AND EXISTS (SELECT 1 FROM messages AS m WHERE m.message = ?2 AND (m.claimable OR m.target GLOB 'any:*'))
  AND EXISTS (SELECT 1 FROM deliveries AS d WHERE d.message = ?2 AND d.agent = ?3)
RETURNING asker;

-- name: end_ask
-- state: refused or withdrawn.
UPDATE asks SET state = ? WHERE message = ? AND agent = ? AND state IN ('open', 'overdue');

-- name: end_asks
UPDATE asks SET state = ? WHERE message = ? AND state IN ('open', 'overdue', 'passed');

-- name: move_ask
-- Another one was given the ask: that one owes the reply now.
UPDATE OR REPLACE asks SET agent = ? WHERE message = ? AND agent = ? AND state IN ('open', 'overdue');

-- name: holder_owes
-- The work that was asked for has a holder: the other candidates owe nothing now.
UPDATE asks SET state = 'passed' WHERE message = ? AND agent <> ? AND state IN ('open', 'overdue');

-- name: late_ones_owe
-- They came, and were given the work, after it was asked for: they owe the reply all the same. Not while another one
-- holds it, and not if it was answered or given up.
INSERT INTO asks (message, agent, asker, asked_at, reply_by_at, waits, epoch, state)
SELECT m.message, ?2, m.sender, m.sent_at, m.reply_by_at, coalesce(max(k.waits), 0), coalesce(max(k.epoch), 0),
       CASE WHEN w.state <> 'ready' AND w.holder IS NOT ?2 THEN 'passed'
            WHEN m.reply_by_at > ?3 THEN 'open' ELSE 'overdue' END
FROM json_each(?1) CROSS JOIN messages AS m ON m.message = json_each.value CROSS JOIN work AS w ON w.message = m.message
LEFT JOIN asks AS k ON k.message = m.message
WHERE m.reply_by_at IS NOT NULL
GROUP BY m.message
HAVING count(CASE WHEN k.state IN ('answered', 'withdrawn') OR k.agent = ?2 THEN 1 END) = 0
RETURNING message, reply_by_at, state;

-- name: all_owe
-- It is there for all of them again.
UPDATE asks SET state = CASE WHEN reply_by_at > ? THEN 'open' ELSE 'overdue' END WHERE state = 'passed' AND message = ?;

-- name: wait_no_more
-- The asker said bye: what it is owed is owed, but it does not wait for it.
UPDATE asks SET waits = 0 WHERE asker = ? AND state IN ('open', 'overdue') AND waits;

-- name: wait_for_nobody
-- The last one who could have replied refused: the asker was told so and does not wait, even if its work is offered
-- again to others.
UPDATE asks SET waits = 0
WHERE message = ?1 AND waits AND NOT EXISTS (SELECT 1 FROM asks AS o WHERE o.message = ?1 AND o.state = 'open');

-- name: overdue_asks
UPDATE asks SET state = 'overdue'
WHERE (message, agent) IN (
    SELECT message, agent FROM asks INDEXED BY asks_deadline WHERE state = 'open' AND reply_by_at <= ? LIMIT ?)
RETURNING message, agent;

-- name: one_owed
SELECT a.message, a.asker, a.agent, a.asked_at, a.reply_by_at, a.state = 'overdue', m.subject, d.stage, d.at
FROM asks AS a CROSS JOIN messages AS m ON m.message = a.message
LEFT JOIN deliveries AS d ON d.message = a.message AND d.agent = a.agent
WHERE a.message = ? AND a.agent = ?;

-- name: owed_by
-- What an agent owes.
SELECT a.message, a.asker, a.agent, a.asked_at, a.reply_by_at, a.state = 'overdue', m.subject, d.stage, d.at
FROM asks AS a INDEXED BY asks_owing CROSS JOIN messages AS m ON m.message = a.message
LEFT JOIN deliveries AS d ON d.message = a.message AND d.agent = a.agent
WHERE a.agent = ? AND a.state IN ('open', 'overdue')
ORDER BY a.message
LIMIT ?;

-- name: owed_to
-- What an agent waits for.
SELECT a.message, a.asker, a.agent, a.asked_at, a.reply_by_at, a.state = 'overdue', m.subject, d.stage, d.at
FROM asks AS a INDEXED BY asks_owed CROSS JOIN messages AS m ON m.message = a.message
LEFT JOIN deliveries AS d ON d.message = a.message AND d.agent = a.agent
WHERE a.asker = ? AND a.state IN ('open', 'overdue')
ORDER BY a.message
LIMIT ?;

-- name: asks_of
-- The replies owed for one message.
SELECT a.message, a.asker, a.agent, a.asked_at, a.reply_by_at, a.state = 'overdue', m.subject, d.stage, d.at
FROM asks AS a CROSS JOIN messages AS m ON m.message = a.message
LEFT JOIN deliveries AS d ON d.message = a.message AND d.agent = a.agent
WHERE a.message = ? AND a.state IN ('open', 'overdue')
ORDER BY a.agent;

-- name: blocking_asks
-- At start: who is blocked by whom. Another instance of the asker waits for nothing, and one reply is enough.
SELECT k.message, k.asker, CASE WHEN w.state = 'claimed' THEN w.holder ELSE k.agent END
FROM asks AS k INDEXED BY asks_deadline CROSS JOIN agents AS g ON g.agent = k.asker AND g.epoch = k.epoch
LEFT JOIN work AS w ON w.message = k.message
WHERE k.state = 'open' AND k.waits
  AND NOT EXISTS (SELECT 1 FROM asks AS a WHERE a.message = k.message AND a.state = 'answered')
ORDER BY k.message;

-- name: sender_of
SELECT sender FROM messages WHERE message = ?;

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
-- The open, due part of an inbox, oldest first. The caller stops when it has enough.
SELECT d.attempt, m.message, m.sender, m.target, m.body, m.sent_at, m.thread, m.hops, m.subject, m.channel,
       m.reply_to, m.intent, m.content_type, m.headers, m.claimable, m.priority, m.expires_at, m.supersedes, m.caused_by,
       m.reply_by_at
FROM deliveries AS d INDEXED BY deliveries_open CROSS JOIN messages AS m ON m.message = d.message
WHERE d.agent = ?1 AND d.message > ?2 AND d.stage IN ('queued', 'surfaced') AND (d.due_at IS NULL OR d.due_at <= ?3)
  AND (d.expires_at IS NULL OR d.expires_at > ?3) AND d.rank = 5
ORDER BY d.message
LIMIT ?4;

-- name: refill_ranked
-- The part of it with another priority than the default, between two ranks.
SELECT d.attempt, m.message, m.sender, m.target, m.body, m.sent_at, m.thread, m.hops, m.subject, m.channel,
       m.reply_to, m.intent, m.content_type, m.headers, m.claimable, m.priority, m.expires_at, m.supersedes, m.caused_by,
       m.reply_by_at
FROM ranked AS r CROSS JOIN deliveries AS d ON d.message = r.message AND d.agent = r.agent
CROSS JOIN messages AS m ON m.message = r.message
WHERE r.agent = ?1 AND r.rank BETWEEN ?2 AND ?3 AND d.stage IN ('queued', 'surfaced')
  AND (d.due_at IS NULL OR d.due_at <= ?4) AND (d.expires_at IS NULL OR d.expires_at > ?4)
ORDER BY r.rank, r.message
LIMIT ?5;

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

-- name: message_row
SELECT message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
       claimable, priority, expires_at, supersedes, caused_by, reply_by_at
FROM messages WHERE message = ?;

-- name: thread_page
SELECT message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
       claimable, priority, expires_at, supersedes, caused_by, reply_by_at
FROM messages WHERE message = ?1 AND message > ?2
UNION ALL
SELECT message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
       claimable, priority, expires_at, supersedes, caused_by, reply_by_at
FROM messages INDEXED BY messages_thread WHERE thread = ?1 AND thread <> message AND message > ?2
ORDER BY message;

-- name: thread_of
SELECT thread FROM messages WHERE message = ?;

-- name: superseded_by
-- The newest message that replaced this one; its senders look for it only when asked why.
SELECT reason FROM deliveries WHERE message = ? AND stage = 'superseded' AND reason GLOB 'superseded by *' LIMIT 1;

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

-- name: hold_delivery
-- It was claimed in time and is nobody else's: it neither expires nor is offered on.
UPDATE deliveries SET expires_at = NULL, offer_at = NULL
WHERE message = ? AND agent = ? AND (expires_at IS NOT NULL OR offer_at IS NOT NULL);

-- name: freshness
-- When a message expires, how long an offer of it to one of many lasts, and what replaced it while it was held.
SELECT m.expires_at, m.offer_s, w.superseded_by FROM messages AS m LEFT JOIN work AS w ON w.message = m.message
WHERE m.message = ?;

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
UPDATE deliveries SET stage = 'queued', at = ?, attempt = attempt + 1, due_at = NULL, reason = NULL, expires_at = ?
WHERE message = ? AND stage NOT IN ('nacked', 'dead')
RETURNING agent, attempt;

-- name: offer_on
-- For any one of many: whoever had it last keeps it until the offer lapses, which is now.
UPDATE deliveries SET stage = 'queued', at = ?1, attempt = attempt + 1, due_at = NULL, reason = NULL, expires_at = ?2,
                      offer_at = ?1
WHERE message = ?3 AND agent = ?4 AND stage NOT IN ('nacked', 'dead');

-- name: offer_now
-- Its recipient declined: the offer has lapsed. The stage says what became of it here.
UPDATE deliveries SET offer_at = ? WHERE message = ? AND agent = ?;

-- name: target_of
SELECT target, sender FROM messages WHERE message = ?;

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

-- name: withdraw
-- Nobody's to take for now: it failed and waits.
UPDATE deliveries SET stage = 'superseded', at = ?, due_at = NULL, reason = ?
WHERE message = ? AND stage IN ('queued', 'surfaced')
RETURNING agent;

-- name: expire_open
-- Its time was over when it came back.
UPDATE deliveries SET stage = 'expired', at = ?, due_at = NULL, offer_at = NULL, reason = ?
WHERE message = ? AND stage IN ('queued', 'surfaced')
RETURNING agent;

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

-- name: ripe_work
UPDATE work SET state = 'ready', changed_at = ?1, ready_at = NULL
WHERE message IN (SELECT message FROM work INDEXED BY work_delayed WHERE state = 'delayed' AND ready_at <= ?1 LIMIT ?2)
RETURNING message;

-- name: next_due
SELECT min(due) FROM (
    SELECT min(at) AS due FROM alarms
    UNION ALL
    SELECT min(ready_at) FROM work WHERE state = 'delayed'
    UNION ALL
    SELECT min(reply_by_at) FROM asks WHERE state = 'open'
);

-- name: all_agents
SELECT agent, label, tags, caps, channels, machine, meta, epoch, last_seen_at, pruned_at IS NOT NULL, will
FROM agents ORDER BY agent;

-- name: held_claims
SELECT message, holder, holder_epoch, fence, lease_s FROM work WHERE state = 'claimed';

-- name: inbox_open
SELECT d.stage, d.at, d.attempt, d.reason, CASE d.stage WHEN 'queued' THEN d.due_at END, m.message, m.sender, m.target, m.body, m.sent_at, m.thread, m.hops,
       m.subject, m.channel, m.reply_to, m.intent, m.content_type, m.headers, m.claimable, m.priority, m.expires_at,
       m.supersedes, m.caused_by, m.reply_by_at
FROM deliveries AS d INDEXED BY deliveries_open CROSS JOIN messages AS m ON m.message = d.message
WHERE d.agent = ? AND d.stage IN ('queued', 'surfaced') AND d.message > ? AND (?3 IS NULL OR m.channel = ?3)
ORDER BY d.message;

-- name: inbox_all
SELECT d.stage, d.at, d.attempt, d.reason, CASE d.stage WHEN 'queued' THEN d.due_at END, m.message, m.sender, m.target, m.body, m.sent_at, m.thread, m.hops,
       m.subject, m.channel, m.reply_to, m.intent, m.content_type, m.headers, m.claimable, m.priority, m.expires_at,
       m.supersedes, m.caused_by, m.reply_by_at
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

-- name: asks_over
-- The replies to one message that nobody owes any more, and what became of them.
SELECT agent, state, reply FROM asks WHERE message = ? AND state IN ('answered', 'refused', 'withdrawn')
ORDER BY agent LIMIT ?;

-- name: work_changed
SELECT changed_at FROM work WHERE message = ?;

-- name: work_of
SELECT state, fence, attempts, holder, lease_s, ready_at, result, reason FROM work WHERE message = ?;

-- name: oldest_open
SELECT message FROM deliveries WHERE agent = ? AND stage IN ('queued', 'surfaced') ORDER BY message LIMIT 1;

-- name: one_delivery
SELECT stage, at, attempt, reason, CASE stage WHEN 'queued' THEN due_at END
FROM deliveries WHERE message = ? AND agent = ?;

-- name: held_by
SELECT message, changed_at FROM work INDEXED BY work_claimed WHERE holder = ? AND state = 'claimed' ORDER BY message;

-- name: finished
-- Of the next messages behind one, those with nothing open and nothing that changed since: they may go. The last column
-- says that a message is too young, and so is what comes behind it.
SELECT message, sent_at < ?2 AND NOT EXISTS (
    SELECT 1 FROM deliveries AS d
    WHERE d.message = m.message AND (d.stage IN ('queued', 'surfaced') OR d.at >= ?2)
) AND NOT EXISTS (
    SELECT 1 FROM work AS w
    WHERE w.message = m.message AND (w.state IN ('ready', 'claimed', 'delayed') OR w.changed_at >= ?2)
) AND NOT EXISTS (
    SELECT 1 FROM asks AS a WHERE a.message = m.message AND (a.state IN ('open', 'overdue') OR a.reply_by_at >= ?2)
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
