-- What time takes away. In pages of the table in the order of created_at, so that no transaction is long and
-- no column that changes needs an index.

-- name: collect
-- Expire and forget what is due among the next receipts of a walk through the table, unless another one is at it
-- now. The number means nothing; it is the first eight bytes of SHA-256('onceproxy retention').
-- $1 created_at and $2 request_id of the last one of the page before, $3 how many.
-- Returns one row: alone (false: another one is at it, and nothing was done), created_at and request_id of the last
-- one looked at (null: the walk is over), expired and forgotten.
WITH alone AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(x'ad57d607402e975c'::bigint) AS granted
), page AS (
    SELECT request_id, created_at
    FROM receipts
    WHERE (SELECT granted FROM alone)
        AND created_at >= $1::timestamptz
        AND (created_at, request_id) > ($1::timestamptz, $2::bytea)
    ORDER BY created_at, request_id
    LIMIT $3::integer
), forgotten AS (
    DELETE FROM receipts
    WHERE request_id IN (SELECT request_id FROM page)
        AND state IN ('completed', 'tombstone', 'released')
        AND forget_at <= clock_timestamp()
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
    WHERE request_id IN (SELECT request_id FROM page)
        AND state = 'completed'
        AND expires_at <= clock_timestamp()
        AND forget_at > clock_timestamp()
    RETURNING request_id, attempt, instance
), without_parts AS (
    DELETE FROM parts
    WHERE request_id IN (SELECT request_id FROM forgotten UNION ALL SELECT request_id FROM expired)
), told AS (
    INSERT INTO events (request_id, kind, attempt, instance, state)
    SELECT request_id, 'expired', attempt, instance, 'tombstone' FROM expired
    UNION ALL
    SELECT request_id, 'forgotten', attempt, instance, 'absent' FROM forgotten
), last AS (
    SELECT created_at, request_id FROM page ORDER BY created_at DESC, request_id DESC LIMIT 1
)
SELECT
    (SELECT granted FROM alone) AS alone,
    (SELECT created_at FROM last) AS created_at,
    (SELECT request_id FROM last) AS request_id,
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
