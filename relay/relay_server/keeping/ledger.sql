-- What must be true of a sound store, as statements that find what breaks it: nothing is found in a sound one.
-- Each has a name, the table it is about, and what is to be said of a row; the first column is the row's id. They stand
-- on what the statements of store/sql/ write; who changes those changes these.

-- name: message_kinds
-- table: messages
-- finds: its body is {body}, claimable is {claimable} and hops is {hops}
SELECT message, typeof(body) AS body, claimable, hops FROM messages
WHERE typeof(body) NOT IN ('text', 'blob') OR claimable NOT IN (0, 1) OR hops < 0 OR message < 1;

-- name: message_headers
-- table: messages
-- finds: its headers are no object in JSON: it can't be given out
SELECT message FROM messages
WHERE headers IS NOT NULL AND CASE WHEN json_valid(headers) THEN json_type(headers) END IS NOT 'object';

-- name: message_place
-- table: messages
-- finds: it stands in thread {thread} and answers {reply_to}; both must have come before it
SELECT message, thread, reply_to FROM messages WHERE thread > message OR thread < 1 OR reply_to >= message;

-- name: message_without_work
-- table: messages
-- finds: it is claimable, and there is no work of it
SELECT m.message FROM messages AS m WHERE m.claimable = 1
AND NOT EXISTS (SELECT 1 FROM work AS w WHERE w.message = m.message);

-- name: counter_missing
-- table: counters
-- finds: there is no counter {name}: ids of deleted messages would be given out again
SELECT 'message', 'message' AS name WHERE (SELECT value FROM counters WHERE name = 'message') IS NULL;

-- name: counter_behind
-- table: counters
-- finds: the next message would get id {next}, and {newest} was given out before
WITH given (newest) AS (
    SELECT max(message) FROM deliveries UNION ALL SELECT max(message) FROM work UNION ALL SELECT max(message) FROM asks
    UNION ALL SELECT max(reply) FROM asks UNION ALL SELECT max(message) FROM alarms
    UNION ALL SELECT max(message) FROM ranked UNION ALL SELECT max(message) FROM callbacks
    UNION ALL SELECT max(thread) FROM messages UNION ALL SELECT max(caused_by) FROM messages
    UNION ALL SELECT max(supersedes) FROM messages UNION ALL SELECT max(reply_to) FROM messages
    UNION ALL SELECT max(superseded_by) FROM work UNION ALL SELECT max(needs) FROM dependencies
), next (id) AS (
    SELECT max((SELECT value FROM counters WHERE name = 'message'), (SELECT coalesce(max(message), 0) + 1 FROM messages))
)
SELECT 'message', next.id AS next, max(given.newest) AS newest FROM next, given WHERE given.newest >= next.id
GROUP BY next.id;

-- name: sequence_behind
-- table: sqlite_sequence
-- finds: the next number would be {next}, and {newest} was given out before
WITH sequences (name, newest) AS (
    SELECT 'tokens', max(number) FROM tokens UNION ALL SELECT 'callbacks', max(callback) FROM callbacks
)
SELECT s.name, coalesce(q.seq, 0) + 1 AS next, s.newest FROM sequences AS s LEFT JOIN sqlite_sequence AS q USING (name)
WHERE s.newest > coalesce(q.seq, 0);

-- name: work_state
-- table: work
-- finds: {state} is no state of work
SELECT message, state FROM work WHERE state NOT IN (
    'ready', 'delayed', 'claimed', 'working', 'parked', 'done', 'failed', 'buried', 'canceled', 'superseded');

-- name: work_message
-- table: work
-- finds: it is from {sender} to {target}, and its message from {message_sender} to {message_target}, claimable {claimable}
SELECT w.message, w.sender, w.target, m.sender AS message_sender, m.target AS message_target, m.claimable
FROM work AS w CROSS JOIN messages AS m ON m.message = w.message
WHERE m.claimable <> 1 OR m.sender <> w.sender OR m.target <> w.target;

-- name: work_rank
-- table: work
-- finds: its rank is {rank}, and its message has priority {priority}
SELECT w.message, w.rank, m.priority FROM work AS w CROSS JOIN messages AS m ON m.message = w.message
WHERE w.rank <> 9 - coalesce(m.priority, 4);

-- name: work_held_by
-- table: work
-- finds: it is {state}, its holder is {holder}, and held_by is {held_by}
SELECT message, state, holder, held_by FROM work
WHERE held_by IS NOT CASE WHEN state IN ('claimed', 'working', 'parked') THEN holder END
   OR (state IN ('claimed', 'working', 'parked') AND holder IS NULL);

-- name: work_claim
-- table: work
-- finds: it is {state} at fence {fence}, with epoch {holder_epoch} and a lease of {lease_s} s
SELECT message, state, fence, holder_epoch, lease_s FROM work
WHERE state IN ('claimed', 'working', 'parked')
  AND (fence < 1 OR attempts < 1 OR holder_epoch IS NULL OR lease_s IS NULL OR lease_s <= 0);

-- name: work_epoch
-- table: work
-- finds: {holder} holds it with epoch {holder_epoch}, and is at epoch {epoch}
SELECT w.message, w.holder, w.holder_epoch, a.epoch
FROM work AS w INDEXED BY work_held CROSS JOIN agents AS a ON a.agent = w.held_by
WHERE w.held_by IS NOT NULL AND w.holder_epoch > a.epoch;

-- name: work_fence
-- table: work
-- finds: its fence is {fence}, and it was tried {attempts} times of {attempts_max}
SELECT message, fence, attempts, attempts_max FROM work
WHERE attempts < 0 OR fence < attempts OR attempts_max < 1 OR occurrences < 1;

-- name: work_ready_rank
-- table: work
-- finds: it is {state} with rank {rank}, and ready_rank is {ready_rank}
SELECT message, state, rank, ready_rank FROM work WHERE ready_rank IS NOT CASE WHEN state = 'ready' THEN rank END;

-- name: work_is_listed
-- table: work
-- finds: it is {state}, and is_listed is {is_listed}
SELECT message, state, is_listed FROM work WHERE is_listed IS NOT
CASE WHEN state IN ('ready', 'delayed', 'claimed', 'working', 'parked', 'buried') THEN 1 END;

-- name: work_open_key
-- table: work
-- finds: it is {state} with key {dedupe_key}, and open_key is {open_key}
SELECT message, state, dedupe_key, open_key FROM work WHERE open_key IS NOT
CASE WHEN state IN ('ready', 'delayed', 'claimed', 'working', 'parked') THEN dedupe_key END;

-- name: work_ready_at
-- table: work
-- finds: it is {state}, and ready_at is {ready_at}
SELECT message, state, ready_at FROM work WHERE ready_at IS NOT NULL AND state <> 'delayed';

-- name: work_parked
-- table: work
-- finds: it is {state}, needs is {needs} and park_until is {park_until}
SELECT message, state, needs, park_until FROM work
WHERE (state = 'parked') IS NOT (needs IS NOT NULL) OR (state = 'parked') IS NOT (park_until IS NOT NULL);

-- name: work_not_woken
-- table: work
-- finds: it is parked until {park_until}, and nothing wakes it then
SELECT w.message, w.park_until FROM work AS w INDEXED BY work_held
WHERE w.held_by IS NOT NULL AND w.state = 'parked' AND NOT EXISTS (
    SELECT 1 FROM alarms AS a WHERE a.at <= w.park_until AND a.message = w.message AND a.agent = '');

-- name: work_waits_for_nothing
-- table: work
-- finds: it is delayed until others are done, and waits for none that may be
SELECT w.message FROM work AS w INDEXED BY work_open
WHERE w.is_listed IS NOT NULL AND w.state = 'delayed' AND w.ready_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM dependencies AS d CROSS JOIN work AS n ON n.message = d.needs
    WHERE d.message = w.message AND n.state NOT IN ('done', 'failed', 'canceled', 'superseded'))
AND NOT EXISTS (SELECT 1 FROM alarms AS a WHERE a.message = w.message AND a.agent = '');

-- name: work_history_unread
-- table: work
-- finds: its history can't be read
SELECT message FROM work WHERE history IS NOT NULL
AND NOT json_valid('[' || replace(rtrim(CAST(history AS TEXT), char(10)), char(10), ',') || ']');

-- name: work_history
-- table: work
-- finds: it is {state} at fence {fence}, and its history ends with {event}, {last_state} at fence {last_fence}
SELECT message, state, fence, json_extract(last, '$[1]') AS event, json_extract(last, '$[2]') AS last_state,
       json_extract(last, '$[4]') AS last_fence
FROM (
    SELECT message, state, fence,
           json_extract('[' || replace(rtrim(CAST(history AS TEXT), char(10)), char(10), ',') || ']', '$[#-1]') AS last
    FROM work WHERE history IS NOT NULL
    AND json_valid('[' || replace(rtrim(CAST(history AS TEXT), char(10)), char(10), ',') || ']'))
WHERE json_extract(last, '$[2]') IS NOT state OR json_extract(last, '$[4]') <> fence;

-- name: dependency_work
-- table: dependencies
-- finds: it waits for {needs}, which is no work or would not wake it
SELECT d.message, d.needs FROM dependencies AS d LEFT JOIN work AS w ON w.message = d.needs
WHERE w.message IS NULL OR w.marks & 4 = 0 OR NOT EXISTS (SELECT 1 FROM work AS o WHERE o.message = d.message);

-- name: delivery_stage
-- table: deliveries
-- finds: to {agent}: {stage} is no stage of a delivery
SELECT message, agent, stage FROM deliveries
WHERE stage NOT IN ('queued', 'surfaced', 'done', 'nacked', 'expired', 'superseded', 'dead');

-- name: delivery_numbers
-- table: deliveries
-- finds: to {agent}: attempt {attempt}, {nacks} nacks, rank {rank}, {size} bytes
SELECT message, agent, attempt, nacks, rank, size FROM deliveries
WHERE attempt < 0 OR nacks < 0 OR size < 0 OR rank NOT BETWEEN 0 AND 9;

-- name: delivery_rank
-- table: deliveries
-- finds: to {agent}: its rank is {rank}, and its message has priority {priority}
SELECT d.message, d.agent, d.rank, m.priority
FROM deliveries AS d INDEXED BY deliveries_open CROSS JOIN messages AS m ON m.message = d.message
WHERE d.stage IN ('queued', 'surfaced') AND d.rank <> 9 - coalesce(m.priority, 4);

-- name: delivery_without_place
-- table: ranked
-- finds: to {agent}: it is queued with rank {rank}, and has no place: it would never come
SELECT d.message, d.agent, d.rank FROM deliveries AS d INDEXED BY deliveries_open
WHERE d.stage IN ('queued', 'surfaced') AND d.stage = 'queued' AND d.rank <> 5
  AND NOT EXISTS (SELECT 1 FROM ranked AS r WHERE r.agent = d.agent AND r.rank = d.rank AND r.message = d.message)
  AND NOT EXISTS (SELECT 1 FROM work AS w WHERE w.message = d.message AND w.held_by = d.agent);

-- name: delivery_not_woken
-- table: alarms
-- finds: to {agent}: it is {stage} and due at {due_at}, and nothing wakes it then
SELECT d.message, d.agent, d.stage, d.due_at FROM deliveries AS d INDEXED BY deliveries_open
WHERE d.stage IN ('queued', 'surfaced') AND d.due_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM alarms AS a WHERE a.at <= d.due_at AND a.message = d.message AND a.agent = d.agent);

-- name: delivery_not_ended
-- table: alarms
-- finds: to {agent}: it is queued and over at {expires_at}, and nothing looks at it then
SELECT d.message, d.agent, d.expires_at FROM deliveries AS d INDEXED BY deliveries_open
WHERE d.stage IN ('queued', 'surfaced') AND d.stage = 'queued' AND d.expires_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM alarms AS a WHERE a.at <= d.expires_at AND a.message = d.message AND a.agent = d.agent);

-- name: delivery_of_what_is_over
-- table: deliveries
-- finds: to {agent}: it is {stage}, and its work is {state}
SELECT d.message, d.agent, d.stage, w.state
FROM deliveries AS d INDEXED BY deliveries_open CROSS JOIN work AS w ON w.message = d.message
WHERE d.stage IN ('queued', 'surfaced') AND w.state IN ('done', 'canceled');

-- name: ask_state
-- table: asks
-- finds: of {agent}: it is {state}, and its reply is {reply}
SELECT message, agent, state, reply FROM asks
WHERE state NOT IN ('open', 'overdue', 'passed', 'answered', 'refused', 'withdrawn')
   OR (state = 'answered') IS NOT (reply IS NOT NULL) OR reply <= message;

-- name: ask_message
-- table: asks
-- finds: of {agent}: {asker} asked until {reply_by_at}, and its message is from {sender}, to be answered by {until}
SELECT a.message, a.agent, a.asker, a.reply_by_at, m.sender, m.reply_by_at AS until
FROM asks AS a CROSS JOIN messages AS m ON m.message = a.message
WHERE a.asker <> m.sender OR a.reply_by_at IS NOT m.reply_by_at OR (a.state = 'passed' AND m.claimable <> 1);

-- name: ask_refused
-- table: asks
-- finds: of {agent}: it is {state}, and its delivery is {stage}: the reply will not come
SELECT a.message, a.agent, a.state, d.stage
FROM asks AS a CROSS JOIN deliveries AS d ON d.message = a.message AND d.agent = a.agent
CROSS JOIN messages AS m ON m.message = a.message
WHERE a.state IN ('open', 'overdue') AND m.claimable = 0 AND m.target NOT GLOB 'any:*'
  AND d.stage IN ('nacked', 'dead', 'expired', 'superseded');

-- name: agent_words
-- table: agents
-- finds: its epoch is {epoch}, or tags, caps or channels are no list in JSON, will is no object, or meta no JSON
SELECT agent, epoch FROM agents
WHERE epoch < 0 OR (meta IS NOT NULL AND NOT json_valid(meta))
   OR CASE WHEN json_valid(tags) THEN json_type(tags) END IS NOT 'array'
   OR CASE WHEN json_valid(caps) THEN json_type(caps) END IS NOT 'array'
   OR CASE WHEN json_valid(channels) THEN json_type(channels) END IS NOT 'array'
   OR (will IS NOT NULL AND CASE WHEN json_valid(will) THEN json_type(will) END IS NOT 'object');

-- name: token_end
-- table: tokens
-- finds: it expires at {expires_at} and was revoked at {revoked_at}, and ends_at is {ends_at}
SELECT number, expires_at, revoked_at, ends_at FROM tokens
WHERE ends_at IS NOT min(coalesce(expires_at, revoked_at), coalesce(revoked_at, expires_at));

-- name: token_rights
-- table: tokens
-- finds: its digest has {bytes} bytes and its scopes are {scopes}, for agent {agent} and integration {integration}
SELECT number, length(digest) AS bytes, scopes, agent, integration FROM tokens
WHERE length(digest) <> 32 OR CASE WHEN json_valid(scopes) THEN json_type(scopes) END IS NOT 'array'
   OR (agent IS NOT NULL AND integration IS NOT NULL);

-- name: pair_state
-- table: pairs
-- finds: it is {state}, is_live is {is_live} and accepted_at is {accepted_at}
SELECT pair, state, is_live, accepted_at FROM pairs
WHERE state NOT IN ('pending', 'active', 'rejected', 'ended')
   OR is_live IS NOT CASE WHEN state IN ('pending', 'active') THEN 1 END
   OR (state = 'active' AND accepted_at IS NULL) OR (state IN ('pending', 'rejected') AND accepted_at IS NOT NULL);

-- name: pair_message
-- table: pairs
-- finds: {opener} opened it, and its message is from {sender}
SELECT p.pair, p.opener, m.sender FROM pairs AS p CROSS JOIN messages AS m ON m.message = p.pair
WHERE p.opener <> m.sender;

-- name: pair_without_its_two
-- table: taken
-- finds: {agent} is in it, and is not taken by it
WITH members (pair, agent) AS (
    SELECT pair, opener FROM pairs WHERE is_live IS NOT NULL
    UNION ALL SELECT pair, invited FROM pairs WHERE is_live IS NOT NULL AND state = 'active'
)
SELECT m.pair, m.agent FROM members AS m
WHERE NOT EXISTS (SELECT 1 FROM taken AS t WHERE t.agent = m.agent AND t.pair = m.pair);

-- name: taken_by_what_is_over
-- table: taken
-- finds: pair {pair} takes it, which is {state} between {opener} and {invited}
SELECT t.agent, t.pair, p.state, p.opener, p.invited FROM taken AS t CROSS JOIN pairs AS p ON p.pair = t.pair
WHERE p.state NOT IN ('pending', 'active') OR NOT (t.agent = p.opener OR (p.state = 'active' AND t.agent = p.invited));

-- name: callback_state
-- table: callbacks
-- finds: it is {state}, due at {due_at}
SELECT callback, state, due_at FROM callbacks
WHERE state NOT IN ('waiting', 'delivered', 'dead') OR (state = 'delivered') IS NOT (body IS NULL)
   OR (state <> 'waiting' AND due_at IS NOT NULL);

-- name: callback_not_due
-- table: callbacks
-- finds: it waits, and none of task {message} is ever due
SELECT min(callback), message FROM callbacks WHERE state = 'waiting' GROUP BY message HAVING max(due_at) IS NULL;
