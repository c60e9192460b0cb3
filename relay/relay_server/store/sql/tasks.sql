-- Tasks: what is next, what is reported again, what depends on what, and lists. Each statement has a name, and is followed by what it is for.

-- name: next_ready
-- What is ready for one target and not this agent's own, nor declined by it; by priority, then the oldest.
SELECT w.ready_rank, w.message FROM work AS w INDEXED BY work_ready
WHERE w.target = ?1 AND w.ready_rank IS NOT NULL AND w.sender <> ?2
  AND NOT EXISTS (
      SELECT 1 FROM deliveries AS d
      WHERE d.message = w.message AND d.agent = ?2 AND d.stage IN ('nacked', 'dead'))
ORDER BY w.ready_rank, w.message
LIMIT ?3;

-- name: next_ready_of
-- The same, of one type, in one channel, in one of those (JSON) that the agent follows.
SELECT w.ready_rank, w.message FROM work AS w INDEXED BY work_ready CROSS JOIN messages AS m ON m.message = w.message
WHERE w.target = ?1 AND w.ready_rank IS NOT NULL AND w.sender <> ?2
  AND NOT EXISTS (
      SELECT 1 FROM deliveries AS d
      WHERE d.message = w.message AND d.agent = ?2 AND d.stage IN ('nacked', 'dead'))
  AND (?4 IS NULL OR m.type = ?4) AND (?5 IS NULL OR m.channel = ?5)
  AND (?6 IS NULL OR m.channel IS NULL OR m.channel IN (SELECT value FROM json_each(?6)))
ORDER BY w.ready_rank, w.message
LIMIT ?3;

-- name: agent_address
SELECT label, tags, caps, channels FROM agents WHERE agent = ?;

-- name: open_task
-- The open task of one thing of one source.
SELECT w.message, w.occurrences, m.thread, m.hops, m.recipients, m.online
FROM work AS w INDEXED BY work_dedupe CROSS JOIN messages AS m ON m.message = w.message
WHERE w.source = ? AND w.open_key = ?;

-- name: reported_before
-- What a report that is repeated was answered.
SELECT w.message, w.occurrences, m.thread, m.hops, m.recipients, m.online
FROM reports AS r CROSS JOIN work AS w ON w.message = r.message CROSS JOIN messages AS m ON m.message = r.message
WHERE r.sender = ? AND r.key = ?;

-- name: resolved_before
-- What a resolve that is repeated had ended.
SELECT r.message, w.source, w.dedupe_key FROM reports AS r CROSS JOIN work AS w ON w.message = r.message
WHERE r.sender = ? AND r.key = ?;

-- name: put_report
INSERT OR IGNORE INTO reports (sender, key, message) VALUES (?, ?, ?);

-- name: task_content
-- What a submit of this key said beyond a send.
SELECT source, dedupe_key, depends_on, attempts_max FROM work WHERE message = ?;

-- name: recur
-- It was reported again.
UPDATE work SET occurrences = occurrences + 1, last_seen_at = ? WHERE message = ?
RETURNING fence, sender, state, occurrences, length(history);

-- name: dedupe_of
SELECT source, dedupe_key FROM work WHERE message = ?;

-- name: add_dependency
INSERT OR IGNORE INTO dependencies (message, needs) VALUES (?, ?);

-- name: mark_needed
-- When it is over, those that wait for it are to be looked at.
UPDATE work SET marks = marks | 4 WHERE message = ? AND marks & 4 = 0;

-- name: wake_dependents
-- It is over: whoever waits for it is looked at now.
INSERT OR IGNORE INTO alarms (at, message, agent)
SELECT ?2, d.message, '' FROM dependencies AS d INDEXED BY dependencies_needed WHERE d.needs = ?1;

-- name: needs_of
-- What a task waits for, and how that stands.
SELECT d.needs, w.state FROM dependencies AS d CROSS JOIN work AS w ON w.message = d.needs WHERE d.message = ?
ORDER BY d.needs;

-- name: drop_open_needs
DELETE FROM dependencies
WHERE message = ? AND NOT EXISTS (SELECT 1 FROM work AS w WHERE w.message = dependencies.needs AND w.state = 'done');

-- name: waits_for
-- A task that stands still until others are done, and which.
SELECT d.needs FROM work AS w CROSS JOIN dependencies AS d ON d.message = w.message
WHERE w.message = ? AND (w.state = 'delayed' AND w.ready_at IS NULL OR w.state = 'parked' AND w.needs = 'dependency');

-- name: standing
-- What an alarm about work is looked at for.
SELECT w.state, w.ready_at, w.needs, w.park_until, m.expires_at, m.offer_s, m.due_at
FROM work AS w CROSS JOIN messages AS m ON m.message = w.message WHERE w.message = ?;

-- name: set_ready_at
-- What it waited for is done.
UPDATE work SET ready_at = ? WHERE message = ? AND state = 'delayed' AND ready_at IS NULL;

-- name: is_offered
-- Somebody has it, or is about to get it.
SELECT 1 FROM deliveries
WHERE message = ? AND (stage IN ('queued', 'surfaced') OR stage IN ('nacked', 'dead') AND offer_at IS NOT NULL);

-- name: place_of
SELECT length(CAST(m.body AS BLOB)), w.rank, w.state FROM work AS w CROSS JOIN messages AS m ON m.message = w.message
WHERE w.message = ?;

-- name: count_open
SELECT state, count(*) FROM work INDEXED BY work_open WHERE is_listed IS NOT NULL GROUP BY state;

-- name: open_tasks
-- The ids of what is not over, and of what is buried.
SELECT message FROM work INDEXED BY work_open WHERE is_listed IS NOT NULL;

-- name: tasks_up
SELECT message FROM work WHERE message > ? ORDER BY message LIMIT ?;

-- name: tasks_down
SELECT message FROM work WHERE message < ? ORDER BY message DESC LIMIT ?;

-- name: task
SELECT w.message, w.sender, w.target, w.state, m.sent_at, w.changed_at, w.attempts, w.attempts_max, w.fence, m.thread,
       m.subject, m.type, m.severity, w.source, w.dedupe_key, w.occurrences, w.last_seen_at, m.priority, m.channel,
       m.expires_at, w.holder, w.ready_at, w.needs, w.park_until, w.progress, w.note, w.progress_at, w.reason,
       w.began_at
FROM work AS w CROSS JOIN messages AS m ON m.message = w.message
WHERE w.message = ?;

-- name: task_body
SELECT m.body, w.result, w.history, m.payload FROM work AS w CROSS JOIN messages AS m ON m.message = w.message WHERE w.message = ?;

-- name: first_line
-- The beginning of a task's body, up to its first line break; nothing of bytes.
SELECT CASE typeof(body) WHEN 'text' THEN substr(body, 1, instr(substr(body, 1, 120) || char(10), char(10)) - 1) END
FROM messages WHERE message = ?;

-- name: delete_reports
DELETE FROM reports WHERE message = ?;

-- name: delete_dependencies
DELETE FROM dependencies WHERE message = ?1 OR needs = ?1;
