-- Bodies in parts: too large to be whole in anyone's memory. Every statement names request_id.

-- name: list_parts
-- Say which parts of an attempt's body are there already. $1 request_id, $2 token, $3 how sealed ones begin.
-- Returns one row: numbers, and sealed (how many of them are).
SELECT
    coalesce(array_agg(number), '{}') AS numbers,
    count(*) FILTER (WHERE substring(data FROM 1 FOR octet_length($3::bytea)) = $3::bytea) AS sealed
FROM parts
WHERE request_id = $1::bytea AND token = $2::uuid;

-- name: write_part
-- Write a part of a body. May be repeated. Its commit need not wait for the disk: it counts only with the
-- settlement that comes after it, whose own commit flushes the log up to itself.
-- $1 request_id, $2 token, $3 number, $4 data.
WITH relaxed AS (
    SELECT set_config('synchronous_commit', 'off', true) AS setting
)
INSERT INTO parts (request_id, token, number, data)
SELECT $1::bytea, $2::uuid, $3::integer, $4::bytea
FROM relaxed
WHERE relaxed.setting = 'off'
ON CONFLICT (request_id, token, number) DO NOTHING;

-- name: drop_parts
-- Remove the parts of an attempt's body that no receipt has taken yet. The receipt is locked first: a settlement
-- that is on its way takes them, or does not find them. $1 request_id, $2 token.
WITH held AS (
    SELECT request_id, token FROM receipts
    WHERE request_id = $1::bytea AND token = $2::uuid AND NOT in_parts
    FOR UPDATE
)
DELETE FROM parts USING held WHERE parts.request_id = held.request_id AND parts.token = held.token;

-- name: read_part
-- Read a part of the body of an attempt, while the receipt is that attempt's and keeps it in parts.
-- $1 request_id, $2 attempt, $3 number. Returns at most one row, data.
SELECT parts.data
FROM receipts
JOIN parts ON parts.request_id = receipts.request_id AND parts.token = receipts.token
WHERE receipts.request_id = $1::bytea
    AND receipts.attempt = $2::integer
    AND receipts.in_parts
    AND parts.number = $3::integer;
