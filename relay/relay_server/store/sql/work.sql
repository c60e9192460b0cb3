-- Work: the transitions of claim.py as conditional writes. Each statement has a name, and is followed by what it is for.

-- name: put_work
-- state: ready, or delayed until ready_at.
INSERT INTO work (message, target, state, fence, attempts, changed_at, ready_at) VALUES (?, ?, ?, 0, 0, ?, ?);

-- name: claim
-- ready -> claimed. At most one of any number of claimers gets a row back.
UPDATE work SET state = 'claimed', fence = fence + 1, attempts = attempts + 1, holder = ?, holder_epoch = ?,
                lease_s = ?, changed_at = ?, reason = NULL
WHERE message = ? AND state = 'ready'
RETURNING fence;

-- name: work_state
SELECT state, fence, attempts, holder, holder_epoch, lease_s FROM work WHERE message = ?;

-- name: withdraw_others
-- Someone claimed it: it is no longer for the other candidates to take.
UPDATE deliveries SET stage = 'superseded', at = ?, due_at = NULL, reason = ?
WHERE message = ? AND agent <> ? AND stage IN ('queued', 'surfaced')
RETURNING agent;

-- name: hold_delivery
-- It was claimed in time and is nobody else's: it neither expires nor is offered on.
UPDATE deliveries SET expires_at = NULL, offer_at = NULL
WHERE message = ? AND agent = ? AND (expires_at IS NOT NULL OR offer_at IS NOT NULL);

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

-- name: held_claims
SELECT message, holder, holder_epoch, fence, lease_s FROM work WHERE state = 'claimed';

-- name: work_changed
SELECT changed_at FROM work WHERE message = ?;

-- name: work_of
SELECT state, fence, attempts, holder, lease_s, ready_at, result, reason FROM work WHERE message = ?;

-- name: held_by
SELECT message, changed_at FROM work INDEXED BY work_claimed WHERE holder = ? AND state = 'claimed' ORDER BY message;
