-- Actions that ask for the same under different keys. Only routes that care for fresh keys come here.

-- name: lock_likeness
-- Let one action of a likeness be claimed at a time, until the end of the transaction.
-- $1 the first eight bytes of the likeness, as a number.
SELECT pg_advisory_xact_lock($1::bigint);

-- name: find_like
-- Find the newest action that asks for the same under another request_id, and may have happened; none for an
-- action that has a receipt of its own, which decides.
-- $1 request_id, $2 likeness, $3 how long ago its first attempt may have begun. Returns at most one row.
SELECT request_id
FROM receipts
WHERE likeness = $2::bytea
    AND request_id <> $1::bytea
    AND state <> 'released'
    AND created_at > clock_timestamp() - $3::interval
    AND NOT EXISTS (
        SELECT FROM receipts
        WHERE request_id = $1::bytea
            AND state <> 'released'
            AND NOT coalesce(expires_at <= clock_timestamp(), false)
    )
ORDER BY created_at DESC
LIMIT 1;
