-- Encrypting what is stored with another key. In pages of the table in the order of created_at, as `collect` does it.

-- name: lock_key
-- Lock a shared key, to encrypt it anew. $1 name. Returns one row, key.
SELECT key FROM secrets WHERE name = $1::text FOR UPDATE;

-- name: write_key
-- Write a shared key, the same one in other bytes. $1 name, $2 key.
UPDATE secrets SET key = $2::bytea WHERE name = $1::text;

-- name: to_rekey
-- The receipts among the next ones of a walk through the table that keep an answer which is not encrypted with the
-- key wanted. $1 created_at and $2 request_id of the last one of the page before, $3 how many, $4 the name of the
-- header line of an encrypted answer, $5 how what is encrypted with the key begins.
-- Returns one row: created_at and request_id of the last one looked at (null: the walk is over), looked (how many)
-- and found (their request_ids).
WITH page AS (
    SELECT request_id, created_at, header_names, header_values
    FROM receipts
    WHERE created_at >= $1::timestamptz AND (created_at, request_id) > ($1::timestamptz, $2::bytea)
    ORDER BY created_at, request_id
    LIMIT $3::integer
), last AS (
    SELECT created_at, request_id FROM page ORDER BY created_at DESC, request_id DESC LIMIT 1
)
SELECT
    (SELECT created_at FROM last) AS created_at,
    (SELECT request_id FROM last) AS request_id,
    (SELECT count(*) FROM page) AS looked,
    (
        SELECT coalesce(array_agg(request_id), '{}')
        FROM page
        WHERE header_names IS NOT NULL
            AND NOT coalesce(
                header_names[1] = $4::bytea
                AND substring(header_values[1] FROM 1 FOR octet_length($5::bytea)) = $5::bytea,
                false
            )
    ) AS found;

-- name: lock_receipt
-- Lock a receipt that keeps an answer, for as long as it takes to encrypt that anew. $1 request_id.
-- Returns at most one row.
SELECT receipts.*, 0::float8 AS age, 0::float8 AS first_age, 0::float8 AS lease_left, 0::float8 AS expires_in,
    false AS expired
FROM receipts
WHERE request_id = $1::bytea AND header_names IS NOT NULL
FOR UPDATE;

-- name: take_part
-- Read a part of the body of an attempt. $1 request_id, $2 token, $3 number. Returns at most one row, data.
SELECT data FROM parts WHERE request_id = $1::bytea AND token = $2::uuid AND number = $3::integer;

-- name: put_part
-- Write a part of the body of an attempt in the place of the one that is there.
-- $1 request_id, $2 token, $3 number, $4 data.
INSERT INTO parts (request_id, token, number, data) VALUES ($1::bytea, $2::uuid, $3::integer, $4::bytea)
ON CONFLICT (request_id, token, number) DO UPDATE SET data = excluded.data;

-- name: rewrite_answer
-- Write the answer of a receipt that is locked, the same one in other bytes.
-- $1 request_id, $2 reason phrase, $3 header names, $4 header values, $5 body, $6 body_size, $7 body_digest.
UPDATE receipts SET
    reason = $2::bytea,
    header_names = $3::bytea[],
    header_values = $4::bytea[],
    body = $5::bytea,
    body_size = $6::bigint,
    body_digest = $7::bytea
WHERE request_id = $1::bytea;

-- name: keys_in_use
-- How the newest encrypted answers begin: with the ids of their keys. $1 the name of their header line, $2 how many
-- bytes to return, $3 how many of the newest receipts to look through. Returns one row, beginnings.
SELECT coalesce(array_agg(DISTINCT substring(header_values[1] FROM 1 FOR $2::integer)), '{}') AS beginnings
FROM (SELECT header_names, header_values FROM receipts ORDER BY created_at DESC LIMIT $3::integer) AS newest
WHERE header_names[1] = $1::bytea;
