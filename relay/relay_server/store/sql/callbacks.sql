-- Callbacks: what integrations are to hear. Each statement has a name, and is followed by what it is for.

-- name: put_callback
-- The first of its task that waits is due at once; the others come after it.
INSERT INTO callbacks (event, integration, message, kind, at, body, state, due_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting',
        CASE WHEN EXISTS (SELECT 1 FROM callbacks WHERE message = ?3 AND state = 'waiting') THEN NULL ELSE ?5 END);

-- name: due_callbacks
SELECT callback, event, integration, message, kind, at, body, attempts FROM callbacks INDEXED BY callbacks_due
WHERE integration = ? AND due_at IS NOT NULL AND due_at <= ? ORDER BY due_at, callback LIMIT ?;

-- name: next_callback_due
SELECT min(due_at) FROM callbacks INDEXED BY callbacks_due WHERE integration = ? AND due_at IS NOT NULL AND due_at > ?;

-- name: end_callback
-- After an attempt: where it stands, and when it is tried again.
UPDATE callbacks SET state = ?1, attempts = attempts + 1, tried_at = ?2, due_at = ?3, reason = ?4,
                     body = CASE ?1 WHEN 'delivered' THEN NULL ELSE body END
WHERE callback = ?5 AND state = 'waiting'
RETURNING message;

-- name: next_callback_of
-- The one before it is out of the way.
UPDATE callbacks SET due_at = ?1
WHERE callback = (SELECT min(callback) FROM callbacks WHERE message = ?2 AND state = 'waiting') AND due_at IS NULL;

-- name: retry_callback
-- Due now, unless another one of its task is on its way: then it is due when that is out of the way.
UPDATE callbacks SET state = 'waiting', attempts = 0,
    due_at = CASE WHEN due_at IS NOT NULL OR NOT EXISTS (
        SELECT 1 FROM callbacks AS o
        WHERE o.message = callbacks.message AND o.state = 'waiting' AND o.callback <> callbacks.callback) THEN ?1 END
WHERE callback = ?2 AND integration = ?3
  AND state IN ('waiting', 'dead');

-- name: callback
SELECT callback, event, integration, message, kind, at, state, attempts, due_at, tried_at, reason FROM callbacks
WHERE callback = ?;

-- name: callbacks_page
-- Of one state, the newest first.
SELECT callback, event, integration, message, kind, at, state, attempts, due_at, tried_at, reason
FROM callbacks INDEXED BY callbacks_listed
WHERE integration = ? AND state = ? AND callback < ? ORDER BY callback DESC LIMIT ?;

-- name: count_callbacks
SELECT state, count(*) FROM callbacks INDEXED BY callbacks_listed WHERE integration = ? GROUP BY state;

-- name: callback_result
SELECT result FROM work WHERE message = ?;

-- name: delete_callbacks
DELETE FROM callbacks WHERE message = ?;

-- name: thread_of_key
-- Where what was made by the event of this key, or reported again by it, stands.
SELECT thread FROM messages WHERE sender = ?1 AND key = ?2
UNION ALL
SELECT m.thread FROM reports AS r CROSS JOIN messages AS m ON m.message = r.message WHERE r.sender = ?1 AND r.key = ?2
LIMIT 1;
