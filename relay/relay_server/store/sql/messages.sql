-- Messages, threads and keys; and what a store does at its start. Each statement has a name, and is followed by what it is for.

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

-- name: put_message
INSERT INTO messages (message, sender, target, body, sent_at, thread, hops, recipients, online, claimable,
                      subject, channel, reply_to, intent, content_type, headers, key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: put_special_message
INSERT INTO messages (message, sender, target, body, sent_at, thread, hops, recipients, online, claimable,
                      subject, channel, reply_to, intent, content_type, headers, key, priority, expires_at, due_at,
                      reply_by_at, offer_s, supersedes, caused_by, type, severity, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: message_by_key
-- The message that a key already made, to answer again or to refuse.
SELECT message, thread, hops, recipients, online, sent_at, expires_at - sent_at, due_at - sent_at,
       reply_by_at - sent_at, target, body, subject, channel, reply_to, intent, content_type, headers, claimable,
       priority, supersedes, caused_by, type, severity, payload
FROM messages WHERE sender = ? AND key = ?;

-- name: parent
-- What a reply needs of the message it answers.
SELECT thread, hops, intent, sender FROM messages WHERE message = ?;

-- name: has_delivery
SELECT 1 FROM deliveries WHERE message = ? AND agent = ?;

-- name: takes_part
-- Whether an agent wrote into a thread or was given any of its messages.
-- Of a long thread the newest thousand are looked at: it is for a note.
SELECT 1 FROM (
    SELECT message, sender FROM messages WHERE message = ?1
    UNION ALL
    SELECT message, sender FROM (
        SELECT message, sender FROM messages INDEXED BY messages_thread WHERE thread = ?1 AND thread <> message
        ORDER BY message DESC LIMIT 1000)
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

-- name: end_offers
-- It is replaced: who has it surfaced keeps it, and nobody else gets it.
UPDATE deliveries SET offer_at = NULL WHERE message = ? AND offer_at IS NOT NULL;

-- name: was_replaced
-- Whether a message had been replaced before this one did it.
SELECT 1 FROM messages INDEXED BY messages_supersedes WHERE supersedes = ? AND message < ? LIMIT 1;

-- name: seen_deliveries
-- Who has an older message in front of them already, or had.
SELECT agent, stage, at FROM deliveries WHERE message = ? AND stage IN ('surfaced', 'done');

-- name: supersede_held
-- It stays with its holder, and is nobody's after that.
UPDATE work SET superseded_by = ? WHERE message = ? AND held_by IS NOT NULL;

-- name: sender_of
SELECT sender FROM messages WHERE message = ?;

-- name: message_row
SELECT message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
       claimable, priority, expires_at, supersedes, caused_by, reply_by_at, type, severity, payload, withdrawn_at
FROM messages WHERE message = ?;

-- name: thread_page
SELECT message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
       claimable, priority, expires_at, supersedes, caused_by, reply_by_at, type, severity, payload, withdrawn_at
FROM messages WHERE message = ?1 AND message > ?2
UNION ALL
SELECT message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
       claimable, priority, expires_at, supersedes, caused_by, reply_by_at, type, severity, payload, withdrawn_at
FROM messages INDEXED BY messages_thread WHERE thread = ?1 AND thread <> message AND message > ?2
ORDER BY message;

-- name: thread_of
SELECT thread FROM messages WHERE message = ?;

-- name: superseded_by
-- The newest message that replaced this one; its senders look for it only when asked why.
SELECT reason FROM deliveries WHERE message = ? AND stage = 'superseded' AND reason GLOB 'superseded by *' LIMIT 1;

-- name: message_exists
SELECT 1 FROM messages WHERE message = ?;

-- name: freshness
-- When a message expires, how long an offer of it to one of many lasts; what replaced it while it was held, by whom.
SELECT m.expires_at, m.offer_s, w.superseded_by, w.holder FROM messages AS m LEFT JOIN work AS w ON w.message = m.message
WHERE m.message = ?;

-- name: whose
-- Who sent a message, and when it was withdrawn, if it was.
SELECT sender, withdrawn_at FROM messages WHERE message = ?;

-- name: withdraw_message
-- Its sender took it back: it stays in the ledger, and goes to nobody.
UPDATE messages SET withdrawn_at = ? WHERE message = ?;

-- name: target_of
SELECT target, sender FROM messages WHERE message = ?;
