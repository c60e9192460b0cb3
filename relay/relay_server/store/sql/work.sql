-- Work: the transitions of claim.py as conditional writes. Each statement has a name, and is followed by what it is for.
-- Those that make a transition give back (step, fence, sender, marks, ..): what the history and the rest of it need.

-- name: put_work
-- state: ready, or delayed until ready_at (NULL: until what it depends on is done).
INSERT INTO work (message, target, state, fence, attempts, changed_at, ready_at, sender, rank, attempts_max, marks)
VALUES (?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?);

-- name: put_task
-- The same, for a thing that a source reports.
INSERT INTO work (message, target, state, fence, attempts, changed_at, ready_at, sender, rank, attempts_max, marks,
                  source, dedupe_key)
VALUES (?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: claim
-- ready -> claimed. At most one of any number of claimers gets a row back.
UPDATE work SET state = 'claimed', fence = fence + 1, attempts = attempts + 1, holder = ?, holder_epoch = ?,
                lease_s = ?, changed_at = ?, reason = NULL, began_at = NULL, progress = NULL, note = NULL,
                progress_at = NULL, steps = steps + 1
WHERE message = ? AND state = 'ready'
RETURNING steps, fence, sender, marks;

-- name: work_state
SELECT state, fence, attempts, holder, holder_epoch, lease_s, attempts_max, sender FROM work WHERE message = ?;

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
UPDATE work SET holder_epoch = ?, lease_s = coalesce(?, lease_s), changed_at = ?
WHERE message = ? AND fence = ? AND holder = ? AND state IN ('claimed', 'working', 'parked')
RETURNING lease_s, state;

-- name: progress
-- claimed, working, parked -> working.
UPDATE work SET state = 'working', holder_epoch = ?1, changed_at = ?2, began_at = coalesce(began_at, ?2), needs = NULL,
                park_until = NULL, reason = NULL, progress = coalesce(?3, progress), note = coalesce(?4, note),
                progress_at = ?2, steps = steps + 1
WHERE message = ?5 AND fence = ?6 AND holder = ?7 AND state IN ('claimed', 'working', 'parked')
RETURNING steps, sender, lease_s;

-- name: park
-- claimed, working, parked -> parked.
UPDATE work SET state = 'parked', holder_epoch = ?, changed_at = ?, needs = ?, reason = ?, park_until = ?,
                steps = steps + 1
WHERE message = ? AND fence = ? AND holder = ? AND state IN ('claimed', 'working', 'parked')
RETURNING steps, sender;

-- name: resume
-- parked -> working, by its holder.
UPDATE work SET state = 'working', holder_epoch = ?1, lease_s = coalesce(?2, lease_s), changed_at = ?3,
                began_at = coalesce(began_at, ?3), needs = NULL, park_until = NULL, reason = NULL, steps = steps + 1
WHERE message = ?4 AND fence = ?5 AND holder = ?6 AND state = 'parked'
RETURNING steps, sender, lease_s;

-- name: unpark
-- parked -> working, by the relay: its time is over, or what it waited for is there.
UPDATE work SET state = 'working', changed_at = ?1, began_at = coalesce(began_at, ?1), needs = NULL, park_until = NULL,
                reason = NULL, steps = steps + 1
WHERE message = ?2 AND state = 'parked'
RETURNING steps, fence, sender, holder, holder_epoch, lease_s;

-- name: end_claim
-- claimed, working, parked -> any other state, for the holder with the current fence.
UPDATE work SET state = ?, attempts = attempts - ?, changed_at = ?, ready_at = ?, result = ?, reason = ?, needs = NULL,
                park_until = NULL, steps = steps + 1
WHERE message = ? AND fence = ? AND holder = ? AND state IN ('claimed', 'working', 'parked')
RETURNING steps, sender, marks;

-- name: expire_claim
-- claimed, working -> ready or buried, unless the fence has moved on.
UPDATE work SET state = ?, changed_at = ?, reason = ?, steps = steps + 1
WHERE message = ? AND fence = ? AND holder_epoch = ? AND state IN ('claimed', 'working')
RETURNING steps, sender, marks, holder;

-- name: end_work
-- To a state in which it is over, from one of several (JSON), whoever holds it.
UPDATE work SET state = ?1, changed_at = ?2, ready_at = NULL, reason = ?3, result = coalesce(?4, result), needs = NULL,
                park_until = NULL, steps = steps + 1
WHERE message = ?5 AND state IN (SELECT value FROM json_each(?6))
RETURNING steps, fence, sender, marks;

-- name: kick
-- buried -> ready: another attempt.
UPDATE work SET state = 'ready', changed_at = ?, reason = NULL, attempts_max = max(attempts_max, attempts + 1),
                steps = steps + 1
WHERE message = ? AND state = 'buried'
RETURNING steps, fence, sender, holder;

-- name: raise_again
-- Who gave it up may try again when it is kicked.
UPDATE deliveries SET stage = 'superseded', at = ?, reason = NULL WHERE message = ? AND agent = ? AND stage = 'dead';

-- name: ripe_work
-- delayed -> ready.
UPDATE work SET state = 'ready', changed_at = ?1, ready_at = NULL, steps = steps + 1
WHERE message IN (SELECT message FROM work INDEXED BY work_delayed WHERE state = 'delayed' AND ready_at <= ?1 LIMIT ?2)
RETURNING message, steps, fence, sender;

-- name: put_history
INSERT INTO history (message, step, at, event, state, agent, fence, note, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: forget_step
DELETE FROM history WHERE message = ? AND step = ?;

-- name: claims_of
SELECT message, fence FROM work INDEXED BY work_held
WHERE holder = ? AND holder_epoch = ? AND state IN ('claimed', 'working', 'parked');

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
WHERE state IN ('claimed', 'working', 'parked');

-- name: work_changed
SELECT changed_at FROM work WHERE message = ?;

-- name: work_of
SELECT state, fence, attempts, attempts_max, holder, lease_s, ready_at, needs, park_until, progress, note, result, reason
FROM work WHERE message = ?;

-- name: held_by
SELECT message, changed_at FROM work INDEXED BY work_held
WHERE holder = ? AND state IN ('claimed', 'working', 'parked') ORDER BY message;
