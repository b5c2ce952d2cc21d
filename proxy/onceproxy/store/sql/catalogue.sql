-- Receipts for people. Read only: a claim whose owner is gone is shown as in_doubt, as the next copy of the
-- action will find it, and an expired receipt as a tombstone or absent.

-- name: list_receipts
-- The newest receipts first.
-- $1 state, $2 route, $3 host, $4 age (each null: any), $5 limit.
SELECT *
FROM (
    SELECT
        request_id,
        CASE
            WHEN state = 'claimed' AND NOT EXISTS (
                SELECT FROM instances
                WHERE instances.instance_id = receipts.instance
                    AND instances.ended_at IS NULL
                    AND instances.lease_until > clock_timestamp()
            ) THEN 'in_doubt'
            WHEN state IN ('completed', 'tombstone') AND forget_at <= clock_timestamp() THEN 'absent'
            WHEN state = 'completed' AND expires_at <= clock_timestamp() THEN 'tombstone'
            ELSE state
        END AS state,
        attempt, kind, scope, route, method, url, created_at, changed_at, expires_at, status, failure,
        conclusion, body_size,
        -- What encrypts answers names their one header line so.
        body_kept AND header_names[1] = '\x007365616c6564'::bytea AS sealed
    FROM receipts
) AS seen
WHERE ($1::text IS NULL OR state = $1::text)
    AND ($2::text IS NULL OR route = $2::text)
    AND (
        $3::text IS NULL
        OR split_part(url, '/', 3) = $3::text
        OR trim(BOTH '[]' FROM regexp_replace(split_part(url, '/', 3), ':[0-9]+$', '')) = $3::text
    )
    AND ($4::interval IS NULL OR created_at > clock_timestamp() - $4::interval)
ORDER BY created_at DESC
LIMIT $5::integer;

-- name: list_events
-- The audit trail of a receipt, oldest first. $1 request_id.
SELECT event_id, at, kind, attempt, instance, state, phase, reason, detail
FROM events
WHERE request_id = $1::bytea
ORDER BY at, attempt, event_id;

-- name: find_receipts
-- The receipts of some request_ids that still answer, or stand in the way of, a copy. $1 request_ids.
SELECT request_id, state, attempt, kind, canonical, scope, fingerprint, route, created_at
FROM receipts
WHERE request_id = ANY ($1::bytea[])
    AND (forget_at IS NULL OR forget_at > clock_timestamp());

-- name: recent_receipts
-- Likewise of a method and a URL, among the newest of all receipts, newest first: there is no index on the URL, and
-- whoever asks must not make the database read everything. $1 method, $2 URL, $3 how many to look through, $4 limit.
SELECT request_id, state, attempt, kind, canonical, scope, fingerprint, route, created_at
FROM (SELECT * FROM receipts ORDER BY created_at DESC LIMIT $3::integer) AS newest
WHERE method = $1::text
    AND url = $2::text
    AND (forget_at IS NULL OR forget_at > clock_timestamp())
ORDER BY created_at DESC
LIMIT $4::integer;

-- name: page_of_receipts
-- The newest receipts that fit, from a place in the list on. At most $11 receipts are looked through: only created_at
-- has an index, and whoever asks must not make the database read everything. Every row brings the place of the last
-- one that was looked at, and how many were; there is one row at least.
-- $1 before created_at and $2 before request_id (null: from the newest on), $3 since, $4 until, $5 state, $6 route,
-- $7 host, $8 one of the scope, $9 method, $10 text of the URL (each null: any), $11 looked through, $12 limit.
WITH looked AS MATERIALIZED (
    SELECT
        request_id,
        CASE
            WHEN state = 'claimed' AND NOT EXISTS (
                SELECT FROM instances
                WHERE instances.instance_id = receipts.instance
                    AND instances.ended_at IS NULL
                    AND instances.lease_until > clock_timestamp()
            ) THEN 'in_doubt'
            WHEN state IN ('completed', 'tombstone') AND forget_at <= clock_timestamp() THEN 'absent'
            WHEN state = 'completed' AND expires_at <= clock_timestamp() THEN 'tombstone'
            ELSE state
        END AS state,
        attempt, kind, scope, route, method, url, created_at, changed_at, expires_at, status, failure,
        conclusion, body_size,
        body_kept AND header_names[1] = '\x007365616c6564'::bytea AS sealed
    FROM receipts
    WHERE created_at <= coalesce($1::timestamptz, 'infinity')
        AND ($1::timestamptz IS NULL OR (created_at, request_id) < ($1::timestamptz, $2::bytea))
        AND created_at >= coalesce($3::timestamptz, '-infinity')
        AND created_at < coalesce($4::timestamptz, 'infinity')
    ORDER BY created_at DESC, request_id DESC
    LIMIT $11::integer
),
found AS (
    SELECT *
    FROM looked
    WHERE ($5::text IS NULL OR state = $5::text)
        AND ($6::text IS NULL OR route = $6::text)
        AND (
            $7::text IS NULL
            OR split_part(url, '/', 3) = $7::text
            OR trim(BOTH '[]' FROM regexp_replace(split_part(url, '/', 3), ':[0-9]+$', '')) = $7::text
        )
        AND ($8::text IS NULL OR $8::text = ANY (scope))
        AND ($9::text IS NULL OR method = $9::text)
        AND ($10::text IS NULL OR strpos(lower(url), lower($10::text)) > 0)
    ORDER BY created_at DESC, request_id DESC
    LIMIT $12::integer
),
last AS (
    SELECT
        (SELECT count(*) FROM looked) AS looked_at,
        (SELECT created_at FROM looked ORDER BY created_at, request_id LIMIT 1) AS last_created_at,
        (SELECT request_id FROM looked ORDER BY created_at, request_id LIMIT 1) AS last_request_id
)
SELECT found.*, last.looked_at, last.last_created_at, last.last_request_id
FROM last
LEFT JOIN found ON true
ORDER BY found.created_at DESC, found.request_id DESC;

-- name: counts_by_route
-- How many of the newest receipts each route has, by state, and when the newest was claimed.
-- $1 how many to look through.
SELECT route, state, count(*) AS receipts, max(created_at) AS newest
FROM (SELECT route, state, created_at FROM receipts ORDER BY created_at DESC LIMIT $1::integer) AS newest
GROUP BY route, state
ORDER BY route, state;

-- name: counts_by_time
-- How many receipts were first claimed in each slice of time, by state, oldest slice first; only slices that have
-- some, and only the newest receipts. $1 how far back, $2 slice, $3 how many to look through.
SELECT date_bin($2::interval, created_at, 'epoch'::timestamptz) AS slice, state, count(*) AS receipts
FROM (
    SELECT state, created_at
    FROM receipts
    WHERE created_at > clock_timestamp() - $1::interval
    ORDER BY created_at DESC
    LIMIT $3::integer
) AS newest
GROUP BY slice, state
ORDER BY slice, state;

-- name: list_instances
-- The proxies that live, and those that ended lately, newest first. $1 how lately.
SELECT
    instance_id, host, pid, version, started_at, lease_until, ended_at,
    ended_at IS NULL AND lease_until > clock_timestamp() AS alive
FROM instances
WHERE coalesce(ended_at, lease_until) > clock_timestamp() - $1::interval
ORDER BY alive DESC, started_at DESC
LIMIT 1000;

-- name: rows_of_receipts
-- Those of some request_ids that there are, as in a list. $1 request_ids.
SELECT
    request_id,
    CASE
        WHEN state = 'claimed' AND NOT EXISTS (
            SELECT FROM instances
            WHERE instances.instance_id = receipts.instance
                AND instances.ended_at IS NULL
                AND instances.lease_until > clock_timestamp()
        ) THEN 'in_doubt'
        WHEN state IN ('completed', 'tombstone') AND forget_at <= clock_timestamp() THEN 'absent'
        WHEN state = 'completed' AND expires_at <= clock_timestamp() THEN 'tombstone'
        ELSE state
    END AS state,
    attempt, kind, scope, route, method, url, created_at, changed_at, expires_at, status, failure,
    conclusion, body_size,
    body_kept AND header_names[1] = '\x007365616c6564'::bytea AS sealed
FROM receipts
WHERE request_id = ANY ($1::bytea[]);
