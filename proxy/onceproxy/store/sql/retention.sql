-- What time takes away. In pages of the table in the order of created_at, so that no transaction is long and
-- no column that changes needs an index.

-- name: collect
-- Expire and forget what is due among the next receipts of a walk through the table, unless another one is at it
-- now. The number means nothing; it is the first eight bytes of SHA-256('onceproxy retention').
-- $1 created_at and $2 request_id of the last one of the page before, $3 and $4 those of the last one to look at,
-- $5 how many.
-- Returns one row: alone (false: another one is at it, and nothing was done), created_at and request_id of the last
-- one looked at (null: the walk is over), old (whether nothing can come before that one any more), due_in (seconds
-- until one of those looked at can be due; null: none is left), expired and forgotten.
-- What somebody else has locked is left for the next walk. Rows are found by their place, and known by request_id:
-- another partition has a row of another receipt at the same place.
WITH alone AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(x'ad57d607402e975c'::bigint) AS granted
), page AS MATERIALIZED (
    SELECT
        request_id,
        created_at,
        ctid AS place,
        forget_at,
        CASE state
            WHEN 'completed' THEN least(forget_at, expires_at)
            WHEN 'tombstone' THEN forget_at
            WHEN 'released' THEN least(forget_at, clock_timestamp() + ttl) -- it may be claimed again, and
            ELSE clock_timestamp() + ttl -- completed now
        END AS due_at
    FROM receipts
    WHERE (SELECT granted FROM alone)
        AND created_at >= $1::timestamptz
        AND (created_at, request_id) > ($1::timestamptz, $2::bytea)
        AND created_at <= $3::timestamptz
        AND (created_at, request_id) <= ($3::timestamptz, $4::bytea)
    ORDER BY created_at, request_id
    LIMIT $5::integer
), due AS MATERIALIZED (
    SELECT request_id, ctid AS place, forget_at <= clock_timestamp() AS forget
    FROM receipts
    WHERE ctid = ANY (ARRAY(SELECT place FROM page WHERE due_at <= clock_timestamp()))
        AND request_id = ANY (ARRAY(SELECT request_id FROM page WHERE due_at <= clock_timestamp()))
        AND state IN ('completed', 'tombstone', 'released')
        AND least(forget_at, CASE state WHEN 'completed' THEN expires_at END) <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
), forgotten AS (
    DELETE FROM receipts
    WHERE ctid = ANY (ARRAY(SELECT place FROM due WHERE forget))
        AND request_id = ANY (ARRAY(SELECT request_id FROM due WHERE forget))
    RETURNING request_id, attempt, instance
), expired AS (
    UPDATE receipts SET
        state = 'tombstone',
        previous = state,
        changed_at = clock_timestamp(),
        reason = NULL,
        header_names = NULL,
        header_values = NULL,
        body = NULL,
        in_parts = false,
        body_kept = true,
        body_size = NULL,
        body_digest = NULL
    WHERE ctid = ANY (ARRAY(SELECT place FROM due WHERE NOT forget))
        AND request_id = ANY (ARRAY(SELECT request_id FROM due WHERE NOT forget))
    RETURNING request_id, attempt, instance
), without_parts AS (
    DELETE FROM parts
    WHERE request_id = ANY (
        ARRAY(SELECT request_id FROM forgotten UNION ALL SELECT request_id FROM expired)
    )
), told AS (
    INSERT INTO events (request_id, kind, attempt, instance, state)
    SELECT request_id, 'expired', attempt, instance, 'tombstone' FROM expired
    UNION ALL
    SELECT request_id, 'forgotten', attempt, instance, 'absent' FROM forgotten
), last AS (
    SELECT created_at, request_id FROM page ORDER BY created_at DESC, request_id DESC LIMIT 1
), left_over AS (
    SELECT
        CASE WHEN request_id IN (SELECT request_id FROM expired) THEN forget_at ELSE due_at END AS due_at
    FROM page
    WHERE request_id NOT IN (SELECT request_id FROM forgotten)
)
SELECT
    (SELECT granted FROM alone) AS alone,
    (SELECT created_at FROM last) AS created_at,
    (SELECT request_id FROM last) AS request_id,
    (SELECT created_at < clock_timestamp() - interval '5 minutes' FROM last) AS old,
    (SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8 FROM left_over) AS due_in,
    (SELECT count(*) FROM expired) AS expired,
    (SELECT count(*) FROM forgotten) AS forgotten;

-- name: sweep_parts
-- Remove parts of bodies that no receipt ever took, oldest first: their attempt ended otherwise, or died.
-- $1 how old, $2 how many. Returns one row, removed: how many.
WITH old AS (
    SELECT request_id, token, number
    FROM parts
    WHERE written_at < clock_timestamp() - $1::interval
        AND NOT EXISTS (
            SELECT FROM receipts
            WHERE receipts.request_id = parts.request_id
                AND receipts.token = parts.token
                AND (receipts.in_parts OR receipts.state = 'claimed')
        )
    ORDER BY written_at
    LIMIT $2::integer
), removed AS (
    DELETE FROM parts USING old
    WHERE parts.request_id = old.request_id AND parts.token = old.token AND parts.number = old.number
    RETURNING 1
)
SELECT count(*) AS removed FROM removed;

-- name: forget_events
-- Remove the oldest part of the audit trail, as far as its receipts are gone. Proxies may not do that: it takes the
-- owner. $1 older than, $2 how many at most. Returns one row, removed: how many.
WITH old AS (
    SELECT request_id, event_id
    FROM events
    WHERE at < clock_timestamp() - $1::interval
        AND NOT EXISTS (SELECT FROM receipts WHERE receipts.request_id = events.request_id)
    LIMIT $2::integer
), removed AS (
    DELETE FROM events USING old
    WHERE events.request_id = old.request_id AND events.event_id = old.event_id
    RETURNING 1
)
SELECT count(*) AS removed FROM removed;

-- name: about_how_many
-- How many receipts there are, as Postgres believes since it looked last. Returns one row: receipts (-1: it never did).
SELECT reltuples::float8 AS receipts FROM pg_class WHERE oid = 'receipts'::regclass;
