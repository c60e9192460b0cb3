-- Work: the transitions of claim.py as conditional writes. Each statement has a name, and is followed by what it is for.
-- Those that make a transition give back (fence, sender, marks, ..): what the history and the rest of it need. The two of
-- every piece of work, claim and complete, do not: RETURNING costs 3 us, and for a turn's claims what they need is read at
-- once before.

-- name: put_work
-- state: ready, or delayed until ready_at (NULL: until what it depends on is done). ready_rank: its rank if it is ready.
INSERT INTO work (message, target, state, fence, attempts, changed_at, ready_at, sender, rank, attempts_max, marks,
                  ready_rank, is_listed)
VALUES (?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, 1);

-- name: put_task
-- The same, for a thing that a source reports.
INSERT INTO work (message, target, state, fence, attempts, changed_at, ready_at, sender, rank, attempts_max, marks,
                  ready_rank, is_listed, source, dedupe_key, open_key, depends_on)
VALUES (?1, ?2, ?3, 0, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11, ?12, ?12, ?13);

-- name: works_to_claim
-- What claims of these (JSON) need. The last column: how many have it to take, and the name of the last of them.
SELECT w.message, w.state, w.fence, w.sender, w.marks, length(w.history), (
    SELECT count(*) || ' ' || max(d.agent)
    FROM deliveries AS d WHERE d.message = w.message AND d.stage IN ('queued', 'surfaced'))
FROM json_each(?) CROSS JOIN work AS w ON w.message = json_each.value;

-- name: claim
-- ready -> claimed. Of any number of claimers at most one changes a row.
UPDATE work SET state = 'claimed', fence = fence + 1, attempts = attempts + 1, holder = ?1, held_by = ?1,
                ready_rank = NULL, holder_epoch = ?2, holder_instance = ?7, lease_s = ?3, changed_at = ?4, reason = NULL,
                began_at = NULL, progress = NULL, note = NULL, progress_at = NULL,
                history = CAST(coalesce(history, x'') || ?5 AS BLOB)
WHERE message = ?6 AND state = 'ready';

-- name: work_state
SELECT state, fence, attempts, holder, holder_epoch, attempts_max, sender, holder_instance FROM work WHERE message = ?;

-- name: ready_at
SELECT ready_at FROM work WHERE message = ?;

-- name: works_to_end
-- What the ends of claims of these (JSON) need.
SELECT w.message, w.fence, w.held_by, w.sender, w.marks FROM json_each(?) CROSS JOIN work AS w ON w.message = json_each.value;

-- name: withdraw_others
-- Someone claimed it: it is no longer for the other candidates to take.
UPDATE deliveries SET stage = 'superseded', at = ?, due_at = NULL, reason = ?
WHERE message = ? AND agent <> ? AND stage IN ('queued', 'surfaced')
RETURNING agent;

-- name: hold_delivery
-- It was claimed in time and is nobody else's: it neither expires nor is offered on.
UPDATE deliveries SET expires_at = NULL, offer_at = NULL
WHERE message = ? AND agent = ? AND (expires_at IS NOT NULL OR offer_at IS NOT NULL);

-- name: take_delivery
-- Its holder asked for whatever is next, and was given it with the answer; perhaps it was never offered it.
INSERT INTO deliveries (message, agent, stage, at, attempt, size, rank)
VALUES (?1, ?2, 'surfaced', ?3, 1, ?4, ?5)
ON CONFLICT (message, agent) DO UPDATE SET
    stage = 'surfaced', at = excluded.at, due_at = NULL, reason = NULL, expires_at = NULL, offer_at = NULL;

-- name: renew
-- Whether it runs or stands still.
UPDATE work SET holder_epoch = ?, holder_instance = ?, lease_s = coalesce(?, lease_s), changed_at = ?
WHERE message = ? AND fence = ? AND held_by = ?
RETURNING lease_s, state;

-- name: progress
-- claimed, working, parked -> working.
UPDATE work SET state = 'working', holder_epoch = ?1, changed_at = ?2, began_at = coalesce(began_at, ?2), needs = NULL,
                park_until = NULL, reason = NULL, progress = coalesce(?3, progress), note = coalesce(?4, note),
                progress_at = ?2, holder_instance = ?8
WHERE message = ?5 AND fence = ?6 AND held_by = ?7
RETURNING sender, lease_s, length(history);

-- name: park
-- claimed, working, parked -> parked.
UPDATE work SET state = 'parked', holder_epoch = ?, holder_instance = ?, changed_at = ?, needs = ?, reason = ?, park_until = ?
WHERE message = ? AND fence = ? AND held_by = ?
RETURNING sender, length(history);

-- name: resume
-- parked -> working, by its holder.
UPDATE work SET state = 'working', holder_epoch = ?1, holder_instance = ?7, lease_s = coalesce(?2, lease_s),
                changed_at = ?3, began_at = coalesce(began_at, ?3), needs = NULL, park_until = NULL, reason = NULL
WHERE message = ?4 AND fence = ?5 AND held_by = ?6 AND state = 'parked'
RETURNING sender, lease_s;

-- name: unpark
-- parked -> working, by the relay: its time is over, or what it waited for is there.
UPDATE work SET state = 'working', changed_at = ?1, began_at = coalesce(began_at, ?1), needs = NULL, park_until = NULL,
                reason = NULL
WHERE message = ?2 AND state = 'parked'
RETURNING fence, sender, holder, holder_epoch, lease_s;

-- name: complete
-- claimed, working, parked -> done, for the holder with the current fence.
UPDATE work SET state = 'done', held_by = NULL, is_listed = NULL, open_key = NULL, changed_at = ?, result = ?,
                reason = NULL, needs = NULL, park_until = NULL,
                history = CAST(coalesce(history, x'') || ? AS BLOB)
WHERE message = ? AND fence = ? AND held_by = ?;

-- name: end_claim
-- claimed, working, parked -> ready, delayed, failed or buried, for the holder with the current fence.
UPDATE work SET state = ?1, attempts = attempts - ?2, changed_at = ?3, ready_at = ?4, reason = ?5, held_by = NULL,
                ready_rank = CASE ?1 WHEN 'ready' THEN rank END, is_listed = CASE WHEN ?1 <> 'failed' THEN 1 END,
                open_key = CASE WHEN ?1 = 'ready' OR ?1 = 'delayed' THEN open_key END, needs = NULL, park_until = NULL
WHERE message = ?6 AND fence = ?7 AND held_by = ?8
RETURNING sender, marks;

-- name: expire_claim
-- claimed, working -> ready or buried, unless the fence has moved on.
UPDATE work SET state = ?1, changed_at = ?2, reason = ?3, held_by = NULL,
                ready_rank = CASE ?1 WHEN 'ready' THEN rank END, open_key = CASE ?1 WHEN 'ready' THEN open_key END
WHERE message = ?4 AND fence = ?5 AND holder_epoch = ?6 AND held_by IS NOT NULL AND state <> 'parked'
RETURNING sender, marks, holder;

-- name: end_work
-- To a state in which it is over, from one of several (JSON), whoever holds it.
UPDATE work SET state = ?1, changed_at = ?2, ready_at = NULL, reason = ?3, result = coalesce(?4, result),
                held_by = NULL, ready_rank = NULL, is_listed = NULL, open_key = NULL, needs = NULL, park_until = NULL
WHERE message = ?5 AND state IN (SELECT value FROM json_each(?6))
RETURNING fence, sender, marks;

-- name: kick
-- buried -> ready: another attempt.
UPDATE work SET state = 'ready', ready_rank = rank, open_key = dedupe_key, changed_at = ?, reason = NULL,
                attempts_max = max(attempts_max, attempts + 1)
WHERE message = ? AND state = 'buried'
RETURNING fence, sender, holder;

-- name: raise_again
-- Who gave it up may try again when it is kicked.
UPDATE deliveries SET stage = 'superseded', at = ?, reason = NULL WHERE message = ? AND agent = ? AND stage = 'dead';

-- name: ripe_work
-- delayed -> ready.
UPDATE work SET state = 'ready', ready_rank = rank, changed_at = ?1, ready_at = NULL
WHERE message IN (
    SELECT message FROM work INDEXED BY work_delayed WHERE ready_at IS NOT NULL AND ready_at <= ?1 LIMIT ?2)
RETURNING message, fence, sender;

-- name: append_history
UPDATE work SET history = CAST(coalesce(history, x'') || ? AS BLOB) WHERE message = ?;

-- name: set_history
UPDATE work SET history = ? WHERE message = ?;

-- name: history_of
SELECT history FROM work WHERE message = ?;

-- name: claims_of
-- Of one epoch; with NULL, of any.
SELECT message, fence FROM work INDEXED BY work_held WHERE held_by = ?1 AND (?2 IS NULL OR holder_epoch = ?2);

-- name: claims_of_instance
SELECT message, fence, lease_s, state = 'parked' FROM work INDEXED BY work_held
WHERE held_by = ? AND holder_instance = ?;

-- name: offer_again
-- Every candidate that has not declined gets it again.
UPDATE deliveries SET stage = 'queued', at = ?, attempt = attempt + 1, due_at = NULL, reason = NULL, expires_at = ?
WHERE message = ? AND stage NOT IN ('nacked', 'dead')
RETURNING agent, attempt;

-- name: withdraw
-- Nobody's to take for now, or any more.
UPDATE deliveries SET stage = 'superseded', at = ?, due_at = NULL, offer_at = NULL, reason = ?
WHERE message = ? AND stage IN ('queued', 'surfaced')
RETURNING agent;

-- name: expire_open
-- Its time was over when it came back.
UPDATE deliveries SET stage = 'expired', at = ?, due_at = NULL, offer_at = NULL, reason = ?
WHERE message = ? AND stage IN ('queued', 'surfaced')
RETURNING agent;

-- name: held_claims
SELECT message, holder, holder_epoch, fence, lease_s, state = 'parked' FROM work INDEXED BY work_held
WHERE held_by IS NOT NULL;

-- name: work_changed
SELECT changed_at FROM work WHERE message = ?;

-- name: work_of
SELECT state, fence, attempts, attempts_max, holder, lease_s, ready_at, needs, park_until, progress, note, result, reason
FROM work WHERE message = ?;

-- name: held_by
SELECT message, changed_at FROM work INDEXED BY work_held WHERE held_by = ? ORDER BY message;
