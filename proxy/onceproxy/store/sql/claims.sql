-- The beginning of an attempt. Every statement names request_id.

-- name: claim
-- Claim an action if nothing stands in the way.
-- $1 request_id, $2 token, $3 instance, $4 kind, $5 canonical, $6 scope, $7 fingerprint, $8 credential,
-- $9 route, $10 method, $11 url, $12 ttl, $13 tombstone, $14 whether an expired receipt gives way to a new
-- action, $15 how long after the first attempt a doubt gives way (null: never), $16 by which policy,
-- $17 likeness.
-- Returns one row: live (the instance's own lease runs), attempt (null: not claimed), and resent_at, how
-- many seconds after the first attempt it was claimed in spite of a doubt (null: there was none).
-- The row lock that ON CONFLICT takes decides between racing claims. The look ahead in `candidate` decides
-- nothing: it spares duplicates, which are most of the traffic at bad times, the lock and its commit.
WITH owner AS (
    SELECT instance_id
    FROM instances
    WHERE instance_id = $3::uuid AND ended_at IS NULL AND lease_until > clock_timestamp()
), candidate AS (
    SELECT instance_id
    FROM owner
    WHERE NOT EXISTS (
        SELECT FROM receipts
        WHERE request_id = $1::bytea
            AND NOT (state = 'released' AND fingerprint = $7::bytea)
            AND NOT (
                state IN ('completed', 'tombstone')
                AND expires_at <= clock_timestamp()
                AND ($14::boolean OR forget_at <= clock_timestamp())
            )
            AND NOT coalesce(
                state = 'in_doubt'
                AND fingerprint = $7::bytea
                AND credential = $8::bytea
                AND created_at > clock_timestamp() - $15::interval,
                false
            )
    )
), claimed AS (
    INSERT INTO receipts (
        request_id, state, previous, attempt, token, instance, kind, canonical, scope, fingerprint, credential,
        route, method, url, ttl, tombstone, likeness
    )
    SELECT
        $1::bytea, 'claimed', 'absent', 1, $2::uuid, instance_id, $4::text, $5::integer, $6::text[], $7::bytea,
        $8::bytea, $9::text, $10::text, $11::text, $12::interval, $13::interval,
        $17::bytea
    FROM candidate
    ON CONFLICT (request_id) DO UPDATE SET
        state = 'claimed',
        previous = receipts.state,
        attempt = receipts.attempt + 1,
        token = excluded.token,
        instance = excluded.instance,
        kind = excluded.kind,
        canonical = excluded.canonical,
        scope = excluded.scope,
        fingerprint = excluded.fingerprint,
        credential = excluded.credential,
        route = excluded.route,
        method = excluded.method,
        url = excluded.url,
        ttl = excluded.ttl,
        tombstone = excluded.tombstone,
        likeness = excluded.likeness,
        created_at = CASE
            WHEN receipts.state IN ('completed', 'tombstone') THEN clock_timestamp()
            ELSE receipts.created_at
        END,
        changed_at = clock_timestamp(),
        expires_at = NULL,
        forget_at = NULL,
        source = 'upstream',
        status = NULL,
        reason = NULL,
        header_names = NULL,
        header_values = NULL,
        body = NULL,
        in_parts = false,
        body_kept = true,
        body_size = NULL,
        body_digest = NULL,
        phase = NULL,
        failure = NULL,
        detail = '',
        conclusion = NULL
    WHERE (receipts.state = 'released' AND receipts.fingerprint = excluded.fingerprint)
        OR (
            receipts.state IN ('completed', 'tombstone')
            AND receipts.expires_at <= clock_timestamp()
            AND ($14::boolean OR receipts.forget_at <= clock_timestamp())
        )
        OR (
            receipts.state = 'in_doubt'
            AND receipts.fingerprint = excluded.fingerprint
            AND receipts.credential = excluded.credential
            AND receipts.created_at > clock_timestamp() - $15::interval
        )
    RETURNING request_id, previous, attempt, instance, created_at
), told AS (
    INSERT INTO events (request_id, kind, attempt, instance, state, reason)
    SELECT request_id, 'expired', attempt - 1, instance, 'tombstone', NULL
    FROM claimed
    WHERE previous = 'completed'
    UNION ALL
    SELECT
        request_id, 'claimed', attempt, instance, 'claimed', CASE previous WHEN 'in_doubt' THEN $16::text END
    FROM claimed
)
SELECT
    EXISTS (SELECT FROM owner) AS live,
    (SELECT attempt FROM claimed) AS attempt,
    (
        SELECT extract(epoch FROM clock_timestamp() - created_at)::float8
        FROM claimed
        WHERE previous = 'in_doubt'
    ) AS resent_at,
    (SELECT pg_notify('onceproxy', encode(request_id, 'hex')) FROM claimed) AS notified;

-- name: abandon
-- Give a claim back that was never handed out, so that nothing can have been sent under it. A claim of what was
-- in doubt leaves the doubt behind: the attempt before it may have done it.
-- $1 request_id, $2 token, $3 event_id. Returns one row: the state of the receipt if it still carries the
-- token (null: it does not, or not yet).
WITH doubt AS (
    SELECT EXISTS (
        SELECT FROM events JOIN receipts USING (request_id, attempt)
        WHERE receipts.request_id = $1::bytea AND events.kind = 'claimed' AND events.reason IS NOT NULL
    ) AS before
), abandoned AS (
    UPDATE receipts SET
        state = CASE WHEN doubt.before THEN 'in_doubt' ELSE 'released' END,
        previous = state,
        changed_at = clock_timestamp(),
        forget_at = CASE WHEN NOT doubt.before THEN clock_timestamp() + ttl + tombstone END,
        failure = NULL,
        detail = '',
        conclusion = 'abandoned'
    FROM doubt
    WHERE request_id = $1::bytea
        AND token = $2::uuid
        AND (state = 'claimed' OR (state = 'in_doubt' AND NOT doubt.before))
    RETURNING request_id, attempt, instance, state
), event AS (
    INSERT INTO events (request_id, event_id, kind, attempt, instance, state)
    SELECT request_id, $3::uuid, 'abandoned', attempt, instance, state
    FROM abandoned
)
SELECT
    coalesce(
        (SELECT state FROM abandoned),
        (SELECT state FROM receipts WHERE request_id = $1::bytea AND token = $2::uuid)
    ) AS state,
    (SELECT pg_notify('onceproxy', encode(request_id, 'hex')) FROM abandoned) AS notified;

-- name: claim_one
-- What `claim_new` does, for one action: values cost less than arrays, and who comes alone waits for all of it.
-- $1 request_id, $2 token, $3 instance, $4 kind, $5 canonical, $6 scope, $7 fingerprint, $8 credential, $9 route,
-- $10 method, $11 url, $12 ttl, $13 tombstone, $14 likeness.
-- Returns one row: live (the instance's own lease runs) and claimed.
WITH owner AS MATERIALIZED (
    SELECT instance_id
    FROM instances
    WHERE instance_id = $3::uuid AND ended_at IS NULL AND lease_until > clock_timestamp()
), claimed AS (
    INSERT INTO receipts (
        request_id, state, previous, attempt, token, instance, kind, canonical, scope, fingerprint, credential,
        route, method, url, ttl, tombstone, likeness
    )
    SELECT
        $1::bytea, 'claimed', 'absent', 1, $2::uuid, instance_id, $4::text, $5::integer, $6::text[], $7::bytea,
        $8::bytea, $9::text, $10::text, $11::text, $12::interval, $13::interval, $14::bytea
    FROM owner
    ON CONFLICT (request_id) DO NOTHING
    RETURNING request_id, attempt, instance
), told AS (
    INSERT INTO events (request_id, kind, attempt, instance, state)
    SELECT request_id, 'claimed', attempt, instance, 'claimed'
    FROM claimed
)
SELECT EXISTS (SELECT FROM owner) AS live, EXISTS (SELECT FROM claimed) AS claimed;

-- name: claim_new
-- Claim many actions at once that have no receipt yet; those that have one are left to the statement `claim`.
-- Arrays of the same length, a place for each action, no request_id twice: $1 request_ids, $2 tokens, $3 scopes
-- (each as the text of an array), $4 fingerprints, $5 credentials, $6 urls, $7 likenesses, $8 whereabouts, counted
-- from 1, their terms are in these arrays: $9 instances, $10 kinds, $11 canonicals, $12 routes, $13 methods,
-- $14 ttls, $15 tombstones. What many have in common is sent once.
-- Returns one row: live (those of the instances whose own lease runs) and claimed (request_ids).
-- In the order of request_id, so that two of these never wait for one another; it waits for nothing but what
-- others are doing to the same actions. Nobody is told: nobody can be waiting for what had no receipt.
WITH owner AS MATERIALIZED (
    SELECT instance_id
    FROM instances
    WHERE instance_id = ANY ($9::uuid[]) AND ended_at IS NULL AND lease_until > clock_timestamp()
), claimed AS (
    INSERT INTO receipts (
        request_id, state, previous, attempt, token, instance, kind, canonical, scope, fingerprint, credential,
        route, method, url, ttl, tombstone, likeness
    )
    SELECT
        request_id, 'claimed', 'absent', 1, token, instance_id, kind, canonical, scope::text[], fingerprint,
        credential, route, method, url, ttl, tombstone, likeness
    FROM unnest(
        $1::bytea[], $2::uuid[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::bytea[], $8::integer[]
    ) AS asked (request_id, token, scope, fingerprint, credential, url, likeness, terms)
    JOIN unnest(
        $9::uuid[], $10::text[], $11::integer[], $12::text[], $13::text[], $14::interval[], $15::interval[]
    ) WITH ORDINALITY AS terms (instance, kind, canonical, route, method, ttl, tombstone, place)
        ON terms.place = asked.terms
    JOIN owner ON owner.instance_id = terms.instance
    ORDER BY request_id
    ON CONFLICT (request_id) DO NOTHING
    RETURNING request_id, attempt, instance
), told AS (
    INSERT INTO events (request_id, kind, attempt, instance, state)
    SELECT request_id, 'claimed', attempt, instance, 'claimed'
    FROM claimed
)
SELECT
    ARRAY(SELECT instance_id FROM owner) AS live,
    ARRAY(SELECT request_id FROM claimed) AS claimed;
