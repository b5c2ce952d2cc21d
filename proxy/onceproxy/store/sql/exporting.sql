-- Everything there is, for audits, in one snapshot. Read through a cursor, so whole tables may be read here.

-- name: export_receipts
-- Receipts as they are stored, oldest first, without what was answered but for its status, size and digest.
-- $1 since, $2 until (of the first claim), $3 state, $4 route, $5 host (each null: any).
SELECT
    request_id, state, attempt, kind, canonical, scope, fingerprint, route, method, url, created_at, changed_at,
    expires_at, forget_at, instance, status, body_kept, body_size, body_digest, phase, failure, detail, conclusion,
    source,
    body_kept AND header_names[1] = '\x007365616c6564'::bytea AS sealed
FROM receipts
WHERE created_at >= coalesce($1::timestamptz, '-infinity')
    AND created_at < coalesce($2::timestamptz, 'infinity')
    AND ($3::text IS NULL OR state = $3::text)
    AND ($4::text IS NULL OR route = $4::text)
    AND (
        $5::text IS NULL
        OR split_part(url, '/', 3) = $5::text
        OR trim(BOTH '[]' FROM regexp_replace(split_part(url, '/', 3), ':[0-9]+$', '')) = $5::text
    )
ORDER BY created_at, request_id;

-- name: export_events
-- The audit trail, oldest first, that of receipts which are gone included. $1 since, $2 until (each null: any).
SELECT event_id, request_id, at, kind, attempt, instance, state, phase, reason, detail
FROM events
WHERE at >= coalesce($1::timestamptz, '-infinity')
    AND at < coalesce($2::timestamptz, 'infinity')
ORDER BY at, event_id;
