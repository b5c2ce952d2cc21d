-- The end of an attempt. Every statement names request_id.

-- name: settle
-- Write what an attempt proved, if the receipt is still its own and its state allows it.
-- $1 request_id, $2 token, $3 attempt, $4 new state, $5 status, $6 reason phrase, $7 header names,
-- $8 header values, $9 body, $10 body_kept, $11 body_size, $12 body_digest, $13 phase, $14 failure,
-- $15 detail, $16 conclusion, $17 event_id, $18 in how many parts the body is (null: in none).
-- Returns one row: settled, false if the guard refused, and whole, false if parts are missing.
WITH parted AS (
    SELECT $18::integer IS NULL OR (
        SELECT count(*) = $18::integer AND sum(octet_length(data)) = $11::bigint
        FROM parts
        WHERE request_id = $1::bytea AND token = $2::uuid
    ) AS whole
), settled AS (
    UPDATE receipts SET
        state = $4::text,
        previous = state,
        changed_at = clock_timestamp(),
        expires_at = CASE $4::text WHEN 'completed' THEN clock_timestamp() + ttl END,
        forget_at = CASE WHEN $4::text <> 'in_doubt' THEN clock_timestamp() + ttl + tombstone END,
        status = $5::integer,
        reason = $6::bytea,
        header_names = $7::bytea[],
        header_values = $8::bytea[],
        body = $9::bytea,
        in_parts = $18::integer IS NOT NULL,
        source = 'upstream',
        body_kept = $10::boolean,
        body_size = $11::bigint,
        body_digest = $12::bytea,
        phase = $13::text,
        failure = $14::text,
        detail = $15::text,
        conclusion = $16::text
    WHERE request_id = $1::bytea
        AND token = $2::uuid
        AND attempt = $3::integer
        AND (
            state = 'claimed'
            OR (state = 'in_doubt' AND $4::text IN ('completed', 'released'))
            OR (state = 'released' AND $4::text = 'completed')
        )
        AND (SELECT whole FROM parted)
    RETURNING request_id, previous, attempt, instance, state
), event AS (
    INSERT INTO events (request_id, event_id, kind, attempt, instance, state, phase, reason, detail)
    SELECT
        request_id, $17::uuid, CASE WHEN previous = 'claimed' THEN state ELSE 'healed' END, attempt,
        instance, state, $13::text, $16::text, $15::text
    FROM settled
)
SELECT
    EXISTS (SELECT FROM settled) AS settled,
    (SELECT whole FROM parted) AS whole,
    (SELECT pg_notify('onceproxy', encode(request_id, 'hex')) FROM settled) AS notified;

-- name: settle_one
-- What `settle_claimed` does, for one attempt: values cost less than arrays, and who comes alone waits for all of it.
-- $1 to $17 are those of `settle`. Returns one row, settled: whether it was.
WITH settled AS (
    UPDATE receipts SET
        state = $4::text,
        previous = state,
        changed_at = clock_timestamp(),
        expires_at = CASE $4::text WHEN 'completed' THEN clock_timestamp() + ttl END,
        forget_at = CASE WHEN $4::text <> 'in_doubt' THEN clock_timestamp() + ttl + tombstone END,
        status = $5::integer,
        reason = $6::bytea,
        header_names = $7::bytea[],
        header_values = $8::bytea[],
        body = $9::bytea,
        in_parts = false,
        source = 'upstream',
        body_kept = $10::boolean,
        body_size = $11::bigint,
        body_digest = $12::bytea,
        phase = $13::text,
        failure = $14::text,
        detail = $15::text,
        conclusion = $16::text
    -- The place alone would not do: another partition has a row of another receipt at the same one.
    WHERE request_id = $1::bytea AND ctid = (
        SELECT ctid
        FROM receipts
        WHERE request_id = $1::bytea AND token = $2::uuid AND attempt = $3::integer AND state = 'claimed'
        FOR UPDATE SKIP LOCKED
    )
    RETURNING request_id, attempt, instance, state
), event AS (
    INSERT INTO events (request_id, event_id, kind, attempt, instance, state, phase, reason, detail)
    SELECT request_id, $17::uuid, state, attempt, instance, state, $13::text, $16::text, $15::text
    FROM settled
)
SELECT
    EXISTS (SELECT FROM settled) AS settled,
    (
        SELECT pg_notify('onceproxy', encode(request_id, 'hex'))
        FROM settled
        WHERE EXISTS (
            SELECT FROM instances
            WHERE instance_id <> settled.instance AND ended_at IS NULL AND lease_until > clock_timestamp()
        )
    ) AS notified;

-- name: settle_claimed
-- Write what many attempts proved whose claims stand and are free; all others are left to the statement `settle`.
-- Arrays of the same length, a place for each attempt, no request_id twice: $1 request_ids, $2 tokens, $3 header
-- values (each as the text of an array), $4 bodies, $5 body_sizes, $6 body_digests, $7 event_ids, $8 whereabouts,
-- counted from 1, all else is in these arrays: $9 attempts, $10 new states, $11 statuses, $12 reason phrases,
-- $13 header names (as the values), $14 body_kept, $15 phases, $16 failures, $17 details, $18 conclusions. What many
-- have in common is sent once. At most 120, which is as many as one piece of news can tell of.
-- Returns one row, settled: their request_ids. News is for other instances, and only where there are any: it costs
-- a quarter of a lone settlement, and this instance knows.
-- It waits for no lock, so no two of these can wait for one another. The LIMIT takes all, and lets the planner
-- expect few: it finds each row by its place then, and does not read the table, however small that was when the
-- plan was made.
WITH held AS MATERIALIZED (
    SELECT asked.*, ended.*, found.place
    FROM unnest(
        $1::bytea[], $2::uuid[], $3::text[], $4::bytea[], $5::bigint[], $6::bytea[], $7::uuid[], $8::integer[]
    ) AS asked (request_id, token, header_values, body, body_size, body_digest, event_id, how)
    JOIN unnest(
        $9::integer[], $10::text[], $11::integer[], $12::bytea[], $13::text[], $14::boolean[], $15::text[],
        $16::text[], $17::text[], $18::text[]
    ) WITH ORDINALITY AS ended (
        attempt, state, status, reason, header_names, body_kept, phase, failure, detail, conclusion, nth
    ) ON ended.nth = asked.how
    CROSS JOIN LATERAL (
        SELECT receipts.ctid AS place
        FROM receipts
        WHERE receipts.request_id = asked.request_id
            AND receipts.token = asked.token
            AND receipts.attempt = ended.attempt
            AND receipts.state = 'claimed'
        FOR UPDATE SKIP LOCKED
    ) AS found
    LIMIT cardinality($1::bytea[])
), settled AS (
    UPDATE receipts SET
        state = held.state,
        previous = receipts.state,
        changed_at = clock_timestamp(),
        expires_at = CASE held.state WHEN 'completed' THEN clock_timestamp() + ttl END,
        forget_at = CASE WHEN held.state <> 'in_doubt' THEN clock_timestamp() + ttl + tombstone END,
        status = held.status,
        reason = held.reason,
        header_names = held.header_names::bytea[],
        header_values = held.header_values::bytea[],
        body = held.body,
        in_parts = false,
        source = 'upstream',
        body_kept = held.body_kept,
        body_size = held.body_size,
        body_digest = held.body_digest,
        phase = held.phase,
        failure = held.failure,
        detail = held.detail,
        conclusion = held.conclusion
    FROM held
    -- The place alone would not do: another partition has a row of another receipt at the same one.
    WHERE receipts.ctid = held.place AND receipts.request_id = held.request_id
    RETURNING
        receipts.request_id, receipts.attempt, receipts.instance, receipts.state, receipts.phase,
        receipts.conclusion, receipts.detail, held.event_id
), event AS (
    INSERT INTO events (request_id, event_id, kind, attempt, instance, state, phase, reason, detail)
    SELECT request_id, event_id, state, attempt, instance, state, phase, conclusion, detail
    FROM settled
)
SELECT
    ARRAY(SELECT request_id FROM settled) AS settled,
    (
        SELECT pg_notify('onceproxy', string_agg(encode(request_id, 'hex'), ''))
        FROM settled
        WHERE EXISTS (
            SELECT FROM instances
            WHERE instance_id <> settled.instance AND ended_at IS NULL AND lease_until > clock_timestamp()
        )
        HAVING count(*) > 0
    ) AS notified;

-- name: whose
-- Say whose the receipt is now, after a settlement was refused.
-- $1 request_id. Returns at most one row.
SELECT token, attempt, state
FROM receipts
WHERE request_id = $1::bytea;

-- name: note_late
-- Keep evidence that can't change the receipt any more, and let others be told if it was executed twice. May be
-- repeated: event_id is made from the token.
-- $1 request_id, $2 event_id, $3 kind, $4 attempt, $5 instance, $6 state the receipt is in, $7 phase,
-- $8 reason, $9 detail.
WITH noted AS (
    INSERT INTO events (request_id, event_id, kind, attempt, instance, state, phase, reason, detail)
    VALUES (
        $1::bytea, $2::uuid, $3::text, $4::integer, $5::uuid, $6::text, $7::text, $8::text, $9::text
    )
    ON CONFLICT (request_id, event_id) DO NOTHING
    RETURNING request_id, event_id, kind, attempt, state, phase, reason
)
INSERT INTO outbox (request_id, event_id, kind, attempt, state, phase, reason)
SELECT request_id, event_id, kind, attempt, state, phase, reason
FROM noted
WHERE kind = 'executed-twice';
