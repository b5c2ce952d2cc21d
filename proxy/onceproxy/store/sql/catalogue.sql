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
