-- Sessions and transactions: how they begin and end, and how long they wait for others.

-- name: limit_lock_waits
-- Let no statement of this session wait longer than that for what another transaction holds. Longer than a migration
-- waits for a table with everybody behind it, shorter than a batch may take.
SET lock_timeout = '1s';

-- name: begin
-- Begin a transaction whose statements wait no longer than those of `limit_lock_waits`, in whichever session this is.
BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '1s';

-- name: commit
-- Make a transaction durable that `begin` began.
COMMIT;

-- name: under_way
-- What transactions of this role are under way in this database, this one aside. Returns one row, names: theirs, which
-- each keeps to its end, also while its commit waits for a standby, and which no other one gets while the server runs.
SELECT ARRAY(
    SELECT virtualtransaction
    FROM pg_locks
    JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'virtualxid'
        AND mode = 'ExclusiveLock'
        AND datname = current_database()
        AND usename = current_user
        AND pid <> pg_backend_pid()
) AS names;
