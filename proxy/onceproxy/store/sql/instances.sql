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
-- Say that an instance is gone: its claims are in doubt from now on, without waiting for the lease.
-- $1 instance_id.
UPDATE instances SET ended_at = clock_timestamp()
WHERE instance_id = $1::uuid AND ended_at IS NULL;
