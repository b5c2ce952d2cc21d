-- What nobody knows, at a glance.

-- name: count_doubts
-- How many actions are in doubt, and for how long the oldest of them has been. Counts no further than $1.
-- $1 how far. Returns one row: doubts, and oldest in seconds (0 where there are none).
SELECT
    count(*) AS doubts,
    coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(since))), 0)::float8 AS oldest
FROM (SELECT since FROM doubts ORDER BY since LIMIT $1::bigint) AS found;

-- name: oldest_doubts
-- The actions that have been in doubt for the longest, oldest first. $1 limit.
SELECT request_id FROM doubts ORDER BY since, request_id LIMIT $1::integer;
