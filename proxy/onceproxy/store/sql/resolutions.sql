-- What others than the attempt itself say: probes and people. Every statement names request_id.

-- name: resolve
-- Settle the doubt about an attempt, if it is still in doubt and still that attempt's.
-- $1 request_id, $2 attempt, $3 new state, $4 source, $5 status, $6 reason phrase, $7 header names,
-- $8 header values, $9 body, $10 body_size, $11 body_digest, $12 event kind, $13 note, $14 for how long it must
-- have been in doubt.
-- Returns one row, resolved: whether it was.
WITH resolved AS (
    UPDATE receipts SET
        state = $3::text,
        previous = state,
        changed_at = clock_timestamp(),
        expires_at = CASE $3::text WHEN 'completed' THEN clock_timestamp() + ttl END,
        forget_at = clock_timestamp() + ttl + tombstone,
        source = $4::text,
        status = $5::integer,
        reason = $6::bytea,
        header_names = $7::bytea[],
        header_values = $8::bytea[],
        body = $9::bytea,
        in_parts = false,
        body_kept = true,
        body_size = $10::bigint,
        body_digest = $11::bytea,
        conclusion = $12::text
    WHERE request_id = $1::bytea
        AND attempt = $2::integer
        AND state = 'in_doubt'
        AND changed_at <= clock_timestamp() - $14::interval
    RETURNING request_id, attempt, instance, state
), event AS (
    INSERT INTO events (request_id, kind, attempt, instance, state, reason, detail)
    SELECT request_id, $12::text, attempt, instance, state, $4::text, $13::text
    FROM resolved
)
SELECT
    EXISTS (SELECT FROM resolved) AS resolved,
    (SELECT pg_notify('onceproxy', encode(request_id, 'hex')) FROM resolved) AS notified;

-- name: purge
-- Remove a receipt that is settled one way or the other. $1 request_id, $2 note.
-- Returns one row: purged, and the state of the receipt before (null: there is none).
WITH known AS (
    SELECT state FROM receipts WHERE request_id = $1::bytea
), purged AS (
    DELETE FROM receipts
    WHERE request_id = $1::bytea AND state IN ('completed', 'released', 'tombstone')
    RETURNING request_id, attempt, instance
), without_parts AS (
    DELETE FROM parts WHERE request_id IN (SELECT request_id FROM purged)
), event AS (
    INSERT INTO events (request_id, kind, attempt, instance, state, reason, detail)
    SELECT request_id, 'purged', attempt, instance, 'absent', 'operator', $2::text
    FROM purged
)
SELECT
    EXISTS (SELECT FROM purged) AS purged,
    (SELECT state FROM known) AS state,
    (SELECT pg_notify('onceproxy', encode(request_id, 'hex')) FROM purged) AS notified;
