-- Asks: replies that are owed. Each statement has a name, and is followed by what it is for.

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
-- What an agent owes; what someone still waits for comes before what is overdue.
SELECT a.message, a.asker, a.agent, a.asked_at, a.reply_by_at, a.state = 'overdue', m.subject, d.stage, d.at
FROM asks AS a INDEXED BY asks_owing CROSS JOIN messages AS m ON m.message = a.message
LEFT JOIN deliveries AS d ON d.message = a.message AND d.agent = a.agent
WHERE a.agent = ? AND a.state IN ('open', 'overdue')
ORDER BY a.state = 'overdue', a.message
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
SELECT k.message, k.asker, coalesce(w.held_by, k.agent), k.reply_by_at
FROM asks AS k INDEXED BY asks_deadline CROSS JOIN agents AS g ON g.agent = k.asker AND g.epoch = k.epoch
LEFT JOIN work AS w ON w.message = k.message
WHERE k.state = 'open' AND k.waits
  AND NOT EXISTS (SELECT 1 FROM asks AS a WHERE a.message = k.message AND a.state = 'answered')
ORDER BY k.message;

-- name: asks_over
-- The replies to one message that nobody owes any more, and what became of them.
SELECT agent, state, reply FROM asks WHERE message = ? AND state IN ('answered', 'refused', 'withdrawn')
ORDER BY agent LIMIT ?;
