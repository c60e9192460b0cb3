-- The relay at a glance: what has waited for long. Read on the reading connection, once in some seconds. Each statement has a name, and is followed by what it is for.

-- name: oldest_of_inboxes
-- Of each inbox that holds something: its oldest message that is not to come later. One step into the index of what is
-- open for each inbox, however much it holds. What its sender put off (attempt 1 and not due) is passed over, up to ?3.
WITH RECURSIVE inboxes (agent) AS (
    SELECT (SELECT d.agent FROM deliveries AS d INDEXED BY deliveries_open
            WHERE d.agent > '' AND d.stage IN ('queued', 'surfaced') ORDER BY d.agent LIMIT 1)
    UNION ALL
    SELECT (SELECT d.agent FROM deliveries AS d INDEXED BY deliveries_open
            WHERE d.agent > inboxes.agent AND d.stage IN ('queued', 'surfaced') ORDER BY d.agent LIMIT 1)
    FROM inboxes WHERE inboxes.agent IS NOT NULL
    LIMIT ?2)
SELECT inboxes.agent, (
    SELECT subquery.message FROM (
        SELECT d.message, d.due_at, d.attempt FROM deliveries AS d INDEXED BY deliveries_open
        WHERE d.agent = inboxes.agent AND d.stage IN ('queued', 'surfaced') ORDER BY d.message LIMIT ?3) AS subquery
    WHERE subquery.due_at IS NULL OR subquery.due_at <= ?1 OR subquery.attempt > 1 LIMIT 1)
FROM inboxes WHERE inboxes.agent IS NOT NULL;

-- name: waits_since
-- How a delivery stands, and since when somebody could have dealt with it.
SELECT d.stage, coalesce(m.due_at, m.sent_at)
FROM deliveries AS d CROSS JOIN messages AS m ON m.message = d.message WHERE d.message = ? AND d.agent = ?;

-- name: count_up_to
-- How many messages an inbox holds that are not dealt with, up to a limit.
SELECT count(*) FROM (
    SELECT 1 FROM deliveries INDEXED BY deliveries_open
    WHERE agent = ? AND stage IN ('queued', 'surfaced') LIMIT ?) AS subquery;

-- name: all_held
-- Who holds what: as much as is held.
SELECT held_by, message FROM work INDEXED BY work_held WHERE held_by IS NOT NULL;

-- name: held_work
-- Of work that is held: how it stands, since when, and when a word of it was last heard.
SELECT w.state, w.changed_at, max(w.changed_at, coalesce(w.progress_at, 0)), w.target, m.subject, w.held_by, w.needs,
       w.progress
FROM work AS w CROSS JOIN messages AS m ON m.message = w.message WHERE w.message = ? AND w.held_by IS NOT NULL;

-- name: oldest_ready
-- Of each target that has work ready, by priority: the oldest. One step into the index of what is ready for each.
WITH RECURSIVE places (target, ready_rank, message) AS (
    SELECT * FROM (
        SELECT target, ready_rank, message FROM work INDEXED BY work_ready
        WHERE target > '' AND ready_rank IS NOT NULL ORDER BY target, ready_rank, message LIMIT 1) AS subquery
    UNION ALL
    SELECT w.target, w.ready_rank, w.message
    FROM places CROSS JOIN work AS w ON w.message = coalesce(
        (SELECT n.message FROM work AS n INDEXED BY work_ready
         WHERE n.target = places.target AND n.ready_rank > places.ready_rank ORDER BY n.ready_rank, n.message LIMIT 1),
        (SELECT n.message FROM work AS n INDEXED BY work_ready
         WHERE n.target > places.target AND n.ready_rank IS NOT NULL
         ORDER BY n.target, n.ready_rank, n.message LIMIT 1))
    LIMIT ?)
SELECT message FROM places;

-- name: ready_work
SELECT w.state, w.changed_at, w.changed_at, w.target, m.subject, NULL, NULL, NULL
FROM work AS w CROSS JOIN messages AS m ON m.message = w.message WHERE w.message = ? AND w.ready_rank IS NOT NULL;

-- name: count_owed
-- Replies that are owed, overdue or not, up to a limit.
SELECT count(*) FROM (
    SELECT 1 FROM asks INDEXED BY asks_owing WHERE agent > '' AND state IN ('open', 'overdue') LIMIT ?) AS subquery;

-- name: count_not_overdue
SELECT count(*) FROM (SELECT 1 FROM asks INDEXED BY asks_deadline WHERE reply_by_at > 0 AND state = 'open' LIMIT ?) AS subquery;
