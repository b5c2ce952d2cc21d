-- Who is alive. The database's clock is the only one.

-- name: begin_instance
-- Register a new instance.
-- $1 instance_id, $2 lease, $3 host, $4 pid, $5 version.
INSERT INTO instances (instance_id, lease_until, host, pid, version)
VALUES ($1::uuid, clock_timestamp() + $2::interval, $3::text, $4::integer, $5::text)
ON CONFLICT (instance_id) DO UPDATE SET lease_until = excluded.lease_until
WHERE instances.ended_at IS NULL AND instances.lease_until > clock_timestamp();

-- name: renew_lease
-- Prolong the lease of an instance that is still alive. One that is not stays dead: others may have put its
-- claims in doubt already.
-- $1 instance_id, $2 lease. Returns one row, renewed: whether it was.
WITH renewed AS (
    UPDATE instances SET lease_until = clock_timestamp() + $2::interval
    WHERE instance_id = $1::uuid AND ended_at IS NULL AND lease_until > clock_timestamp()
    RETURNING instance_id
)
SELECT EXISTS (SELECT FROM renewed) AS renewed;

-- name: end_instance
-- Say that an instance is gone: its claims are in doubt from now on, without waiting for the lease. News without a
-- request_id has every copy that waits look again.
-- $1 instance_id.
WITH ended AS (
    UPDATE instances SET ended_at = clock_timestamp()
    WHERE instance_id = $1::uuid AND ended_at IS NULL
    RETURNING instance_id
)
SELECT count(pg_notify('onceproxy', '')) AS notified FROM ended;

-- name: find_dead
-- The instances that have been dead for a while and whose claims nobody has put in doubt yet.
-- $1 how long. Returns one row, dead: an array of at most 100.
SELECT coalesce(array_agg(instance_id), '{}') AS dead
FROM (
    SELECT instance_id
    FROM instances
    WHERE swept_at IS NULL AND coalesce(ended_at, lease_until) < clock_timestamp() - $1::interval
    LIMIT 100
) AS found;

-- name: sweep_instance
-- Put the claims of a dead instance in doubt, unless another sweeper is at it. What somebody else has locked, a
-- settlement that comes late above all, is left to them; the instance is done with when no claim is left.
-- $1 instance_id, $2 how long it must have been dead. Returns one row: lost (how many) and swept (whether none is
-- left).
-- Reads the whole table, once for each instance that died: an index on state would cost every claim a write.
WITH dead AS (
    SELECT instance_id
    FROM instances
    WHERE instance_id = $1::uuid
        AND swept_at IS NULL
        AND coalesce(ended_at, lease_until) < clock_timestamp() - $2::interval
    FOR UPDATE SKIP LOCKED
), orphans AS MATERIALIZED (
    SELECT request_id
    FROM receipts
    WHERE state = 'claimed' AND instance = (SELECT instance_id FROM dead)
), free AS (
    SELECT request_id
    FROM receipts
    WHERE request_id IN (SELECT request_id FROM orphans) AND state = 'claimed' AND instance = $1::uuid
    FOR UPDATE SKIP LOCKED
), lost AS (
    UPDATE receipts SET
        state = 'in_doubt',
        previous = state,
        changed_at = clock_timestamp(),
        failure = 'owner-lost',
        detail = 'the proxy that held the claim ended, or lost its lease, before it could say what happened',
        conclusion = 'owner-lost'
    WHERE request_id IN (SELECT request_id FROM free)
    RETURNING request_id, attempt, instance, conclusion, detail
), event AS (
    INSERT INTO events (request_id, kind, attempt, instance, state, reason, detail)
    SELECT request_id, 'lost', attempt, instance, 'in_doubt', conclusion, detail
    FROM lost
), swept AS (
    UPDATE instances SET
        swept_at = clock_timestamp(),
        ended_at = coalesce(ended_at, clock_timestamp())
    WHERE instance_id = (SELECT instance_id FROM dead)
        AND (SELECT count(*) FROM orphans) = (SELECT count(*) FROM lost)
    RETURNING instance_id
)
SELECT
    (SELECT count(*) FROM lost) AS lost,
    EXISTS (SELECT FROM swept) AS swept,
    (SELECT count(pg_notify('onceproxy', encode(request_id, 'hex'))) FROM lost) AS notified;

-- name: forget_instances
-- Remove instances that hold no claim and died long ago. $1 how long. Returns one row, removed: how many.
WITH removed AS (
    DELETE FROM instances WHERE swept_at < clock_timestamp() - $1::interval RETURNING 1
)
SELECT count(*) AS removed FROM removed;
