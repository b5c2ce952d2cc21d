-- What others are to be told of. Only proxies that have hooks come here, and `gc`.

-- name: take_notice
-- Take what is due first, unless another one is at it. It is due again after a while, should whoever took it die.
-- $1 kinds, $2 for how long it is taken. Returns at most one row.
WITH free AS (
    SELECT request_id, event_id
    FROM outbox
    WHERE ended_at IS NULL AND due_at <= clock_timestamp() AND kind = ANY ($1::text[])
    ORDER BY due_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE outbox SET tries = tries + 1, due_at = clock_timestamp() + $2::interval
    FROM free
    WHERE outbox.request_id = free.request_id AND outbox.event_id = free.event_id
    RETURNING outbox.*
)
SELECT
    taken.request_id, taken.event_id, taken.kind, taken.at, taken.tries, taken.told, taken.attempt, taken.state,
    taken.phase, taken.reason,
    extract(epoch FROM clock_timestamp() - taken.at)::float8 AS age,
    receipts.route, receipts.method, receipts.url, receipts.created_at
FROM taken
LEFT JOIN receipts ON receipts.request_id = taken.request_id;

-- name: notice_told
-- Write what came of telling, unless another one has taken it since.
-- $1 request_id, $2 event_id, $3 tries when it was taken, $4 which hooks have it, $5 after how long it is due again
-- (null: it has ended), $6 whether it was given up.
UPDATE outbox SET
    told = $4::bytea[],
    due_at = clock_timestamp() + coalesce($5::interval, interval '0'),
    ended_at = CASE WHEN $5::interval IS NULL THEN clock_timestamp() END,
    failed = $6::boolean
WHERE request_id = $1::bytea AND event_id = $2::uuid AND tries = $3::integer AND ended_at IS NULL;

-- name: forget_notices
-- Remove what was told, what nobody had to be told, and what was given up long ago.
-- $1 how old the first two must be, $2 how old the last, $3 how many. Returns one row, removed: how many.
WITH old AS (
    SELECT request_id, event_id
    FROM outbox
    WHERE at < clock_timestamp() - $1::interval
        AND (tries = 0 OR ended_at IS NOT NULL)
        AND (NOT failed OR at < clock_timestamp() - $2::interval)
    ORDER BY at
    LIMIT $3::integer
), removed AS (
    DELETE FROM outbox USING old
    WHERE outbox.request_id = old.request_id AND outbox.event_id = old.event_id
    RETURNING 1
)
SELECT count(*) AS removed FROM removed;
