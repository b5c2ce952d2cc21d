-- Receipts as they are seen. Every statement names request_id.

-- name: read
-- Read a receipt, how old its state and its first attempt are, for how long it still answers, and for how long
-- its owner is still believed to live. $1 request_id. Returns at most one row.
SELECT
    receipts.*,
    extract(epoch FROM clock_timestamp() - receipts.changed_at)::float8 AS age,
    extract(epoch FROM clock_timestamp() - receipts.created_at)::float8 AS first_age,
    extract(epoch FROM receipts.expires_at - clock_timestamp())::float8 AS expires_in,
    coalesce(receipts.expires_at <= clock_timestamp(), false) AS expired,
    coalesce(receipts.expires_at IS NOT NULL AND receipts.forget_at <= clock_timestamp(), false) AS forgotten,
    CASE WHEN receipts.state = 'claimed' THEN coalesce(
        (
            SELECT extract(epoch FROM instances.lease_until - clock_timestamp())::float8
            FROM instances
            WHERE instances.instance_id = receipts.instance AND instances.ended_at IS NULL
        ),
        0
    ) ELSE 0 END AS lease_left
FROM receipts
WHERE receipts.request_id = $1::bytea;

-- name: read_many
-- Read several receipts, each as `read` does, which is planned for one. $1 request_ids. Returns a row for each that there
-- is.
SELECT
    receipts.*,
    extract(epoch FROM clock_timestamp() - receipts.changed_at)::float8 AS age,
    extract(epoch FROM clock_timestamp() - receipts.created_at)::float8 AS first_age,
    extract(epoch FROM receipts.expires_at - clock_timestamp())::float8 AS expires_in,
    coalesce(receipts.expires_at <= clock_timestamp(), false) AS expired,
    coalesce(receipts.expires_at IS NOT NULL AND receipts.forget_at <= clock_timestamp(), false) AS forgotten,
    CASE WHEN receipts.state = 'claimed' THEN coalesce(
        (
            SELECT extract(epoch FROM instances.lease_until - clock_timestamp())::float8
            FROM instances
            WHERE instances.instance_id = receipts.instance AND instances.ended_at IS NULL
        ),
        0
    ) ELSE 0 END AS lease_left
FROM receipts
WHERE receipts.request_id = ANY ($1::bytea[]);

-- name: lose
-- Put a claim in doubt whose owner is gone. The owner is looked at again, in the same statement: it may have
-- renewed its lease, or settled, since it was seen.
-- $1 request_id, $2 token. Returns one row, lost: whether it was.
WITH lost AS (
    UPDATE receipts SET
        state = 'in_doubt',
        previous = state,
        changed_at = clock_timestamp(),
        failure = 'owner-lost',
        detail = 'the proxy that held the claim ended, or lost its lease, before it could say what happened',
        conclusion = 'owner-lost'
    WHERE request_id = $1::bytea
        AND token = $2::uuid
        AND state = 'claimed'
        AND NOT EXISTS (
            SELECT FROM instances
            WHERE instances.instance_id = receipts.instance
                AND instances.ended_at IS NULL
                AND instances.lease_until > clock_timestamp()
        )
    RETURNING request_id, attempt, instance, conclusion, detail
), event AS (
    INSERT INTO events (request_id, kind, attempt, instance, state, reason, detail)
    SELECT request_id, 'lost', attempt, instance, 'in_doubt', conclusion, detail
    FROM lost
)
SELECT
    EXISTS (SELECT FROM lost) AS lost,
    (SELECT pg_notify('onceproxy', encode(request_id, 'hex')) FROM lost) AS notified;

-- name: note
-- Write entries that change no state, one for each request_id. Their commit need not wait for the disk.
-- Arrays, in the order of request_id: $1 request_id, $2 instance, $3 kind, $4 reason.
WITH relaxed AS (
    SELECT set_config('synchronous_commit', 'off', true) AS setting
)
INSERT INTO events (request_id, kind, attempt, instance, state, reason)
SELECT receipts.request_id, asked.kind, receipts.attempt, asked.instance, receipts.state, nullif(asked.reason, '')
FROM unnest($1::bytea[], $2::uuid[], $3::text[], $4::text[]) AS asked (request_id, instance, kind, reason)
JOIN receipts ON receipts.request_id = asked.request_id
CROSS JOIN relaxed
WHERE relaxed.setting = 'off';

-- name: confirm
-- Write a receipt as it is, if it is still the attempt's and in that state: once this is durable, so is what made it
-- so. $1 request_id, $2 token, $3 state. Returns one row, confirmed: whether it was.
WITH confirmed AS (
    UPDATE receipts SET changed_at = changed_at
    WHERE request_id = $1::bytea AND token = $2::uuid AND state = $3::text
    RETURNING request_id
)
SELECT EXISTS (SELECT FROM confirmed) AS confirmed;
