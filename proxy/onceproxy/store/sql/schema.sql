-- The schema's version, and what a server must be like.

-- name: lock_migrations
-- Let one process migrate at a time, until the end of its transaction. The number means nothing; it is the
-- first eight bytes of SHA-256('onceproxy migrations').
SELECT pg_advisory_xact_lock(x'2e063fe9e4b4f632'::bigint);

-- name: find_versions
-- Say where this connection's tables go, and whether they are there. Only the current schema counts: with a
-- search_path of several, another's tables must not be taken for ours.
SELECT
    current_schema() AS schema,
    to_regclass(quote_ident(current_schema()) || '.schema_versions') IS NOT NULL AS present;

-- name: create_versions
-- Make the table of applied migrations.
CREATE TABLE IF NOT EXISTS schema_versions (
    version integer NOT NULL,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT schema_versions_pkey PRIMARY KEY (version)
);

-- name: read_version
-- The newest migration applied, and the newest one that code must know; 0 for none.
-- There was a time without the column, and a newer schema may have others.
SELECT
    coalesce(max(version), 0) AS version,
    coalesce(max((to_jsonb(schema_versions) ->> 'needs')::integer), 0) AS needs
FROM schema_versions;

-- name: add_version
-- Record a migration. $1 version, $2 name.
INSERT INTO schema_versions (version, name) VALUES ($1::integer, $2::text);

-- name: require_version
-- Say what a migration needs of the code. $1 version, $2 the version that code must know.
UPDATE schema_versions SET needs = $2::integer WHERE version = $1::integer;

-- name: limit_lock_wait
-- Let this transaction wait for no lock longer than that. $1 for how long.
SELECT set_config('lock_timeout', $1::text, true);

-- name: read_key
-- A shared key. $1 name.
SELECT key FROM secrets WHERE name = $1::text;

-- name: read_server
-- What decides whether a commit can be believed.
SELECT
    current_setting('server_version_num')::integer AS version,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit;

-- name: ping
-- Ask for a sign of life.
SELECT 1;

-- name: find_database
-- Whether a database exists. $1 name.
SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1::text) AS present;

-- name: create_database
-- Make the embedded server's database.
CREATE DATABASE onceproxy;
