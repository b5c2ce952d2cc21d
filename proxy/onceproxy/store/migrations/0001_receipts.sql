-- The tables of onceproxy. No name is qualified: all of it lives in the connection's current schema.
-- No sequence and no foreign key: receipts and events shard by request_id, instances and secrets are small
-- and can be copied to every shard.

-- What is known about an action's side effect: at most one row for an action (core/states.py is the table of
-- states, docs/states.md explains it). The invariants are constraints, so that no version of the code and no
-- hand at a psql prompt can break them by accident.
CREATE TABLE receipts (
    request_id bytea NOT NULL,

    state text NOT NULL,
    -- The state before this one. Each statement sets it from the row that it changes, so RETURNING can tell
    -- what happened (before Postgres 18 it can't see the old row) and a constraint can hold the state machine.
    previous text NOT NULL,
    attempt integer NOT NULL,
    -- Names the attempt: whoever settles must show it. New at every claim.
    token uuid NOT NULL,
    -- Who holds, or held, the claim: instances.instance_id.
    instance uuid NOT NULL,

    kind text NOT NULL,
    -- The version of the canonical form that request_id was made with.
    canonical integer NOT NULL,
    scope text[] NOT NULL,
    fingerprint bytea NOT NULL,
    credential bytea NOT NULL,
    route text NOT NULL,
    method text NOT NULL,
    url text NOT NULL,
    ttl interval NOT NULL,

    -- When the first attempt was claimed; starts anew when an expired receipt is claimed again.
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,

    -- The response of a completed receipt, or the evidence of one in doubt. Header lines are two arrays of
    -- the exact bytes, in order; there is a response exactly when they are not null.
    status integer,
    reason bytea,
    header_names bytea[],
    header_values bytea[],
    body bytea,
    body_kept boolean NOT NULL DEFAULT true,
    body_size bigint,
    body_digest bytea,

    -- The evidence of the last attempt: how far it came, why it has no response, words for people, and what
    -- was concluded from it.
    phase text,
    failure text,
    detail text NOT NULL DEFAULT '',
    conclusion text,

    CONSTRAINT receipts_pkey PRIMARY KEY (request_id),
    CONSTRAINT receipts_request_id_is_sha256 CHECK (octet_length(request_id) = 32),
    CONSTRAINT receipts_fingerprint_is_sha256 CHECK (octet_length(fingerprint) = 32),
    CONSTRAINT receipts_kind_is_known CHECK (kind IN ('key', 'fingerprint')),
    CONSTRAINT receipts_attempt_counts_from_one CHECK (attempt >= 1),
    CONSTRAINT receipts_ttl_is_positive CHECK (ttl > interval '0'),
    CONSTRAINT receipts_state_is_known CHECK (state IN ('claimed', 'completed', 'released', 'in_doubt')),

    -- The state machine. (completed, claimed) is an expiry and a claim in one step: see expires_at.
    CONSTRAINT receipts_transition_is_legal CHECK (
        (previous, state) IN (
            ('absent', 'claimed'),
            ('released', 'claimed'),
            ('completed', 'claimed'),
            ('claimed', 'completed'),
            ('claimed', 'released'),
            ('claimed', 'in_doubt'),
            ('in_doubt', 'completed'),
            ('in_doubt', 'released')
        )
    ),

    -- A claim knows nothing yet: evidence on it would belong to an earlier attempt.
    CONSTRAINT receipts_claimed_has_no_evidence CHECK (
        state <> 'claimed'
        OR (status IS NULL AND header_names IS NULL AND phase IS NULL AND failure IS NULL
            AND conclusion IS NULL)
    ),
    -- A completed receipt can be replayed, for a time that is known.
    CONSTRAINT receipts_completed_has_response CHECK (
        state <> 'completed' OR (header_names IS NOT NULL AND expires_at IS NOT NULL)
    ),
    -- Only what is completed ever expires: a claim or a doubt never turns free by the passing of time.
    CONSTRAINT receipts_only_completed_expires CHECK (state = 'completed' OR expires_at IS NULL),
    -- Released means that nothing happened: there is no answer to keep, only the status that said so.
    CONSTRAINT receipts_released_has_no_response CHECK (state <> 'released' OR header_names IS NULL),

    -- A response is whole or absent; a status alone is evidence of one that was cut.
    CONSTRAINT receipts_response_is_whole CHECK (
        CASE WHEN header_names IS NULL
            THEN reason IS NULL AND header_values IS NULL AND body IS NULL AND body_size IS NULL
                AND body_digest IS NULL
            ELSE status IS NOT NULL AND reason IS NOT NULL AND header_values IS NOT NULL
                AND body_size IS NOT NULL AND body_digest IS NOT NULL
        END
    ),
    CONSTRAINT receipts_headers_are_pairs CHECK (cardinality(header_names) = cardinality(header_values)),
    CONSTRAINT receipts_status_is_http CHECK (status BETWEEN 100 AND 999),
    -- A body over the limit leaves its size and digest, and a kept one is all there.
    CONSTRAINT receipts_body_is_kept_or_not CHECK (
        header_names IS NULL OR body_kept = (body IS NOT NULL)
    ),
    CONSTRAINT receipts_body_has_its_size CHECK (octet_length(body) = body_size),
    CONSTRAINT receipts_body_digest_is_sha256 CHECK (octet_length(body_digest) = 32)
)
-- Room for the settlement of a claim on the page that the claim is on (a heap-only update).
WITH (fillfactor = 70);

-- Bodies are mostly compressed by the upstream already: don't try again, only move them out of line.
ALTER TABLE receipts ALTER COLUMN body SET STORAGE EXTERNAL;

-- For lists, newest first. created_at does not change between claim and settlement; an index on a column that
-- does (state, changed_at, expires_at) would make every settlement write it as well.
CREATE INDEX receipts_created_at_idx ON receipts (created_at);


-- The audit trail: what happened to each receipt, written in the transaction in which it happened.
CREATE TABLE events (
    request_id bytea NOT NULL,
    event_id uuid NOT NULL DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL,
    attempt integer NOT NULL,
    instance uuid,
    -- The state that the receipt was in afterwards.
    state text NOT NULL,
    phase text,
    reason text,
    detail text NOT NULL DEFAULT '',

    CONSTRAINT events_pkey PRIMARY KEY (request_id, event_id),
    CONSTRAINT events_request_id_is_sha256 CHECK (octet_length(request_id) = 32),
    CONSTRAINT events_kind_is_known CHECK (kind IN (
        'claimed',          -- an attempt began
        'completed',        -- it happened, and the response is kept
        'released',         -- it did not happen
        'in_doubt',         -- the attempt ended and can't tell
        'healed',           -- a doubt was settled by the attempt's own late evidence
        'lost',             -- the owner of the claim is gone
        'expired',          -- the time to live ran out and a new claim took the place
        'replayed',         -- a duplicate was answered
        'abandoned',        -- the claim was given back before anything was sent: its asker had left
        'executed-twice',   -- a superseded attempt says that it did, or may have done, the action
        'late-release',     -- a superseded attempt says that it did nothing
        'contradicted'      -- the receipt's own attempt says other than what was settled before
    )),
    CONSTRAINT events_state_is_known
        CHECK (state IN ('absent', 'claimed', 'completed', 'released', 'in_doubt'))
);

CREATE FUNCTION events_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is never changed' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER events_are_append_only BEFORE UPDATE ON events
    FOR EACH ROW EXECUTE FUNCTION events_refuse_update();


-- The proxies. One whose lease ran out, or that ended, is dead for ever; the process may come back as another.
CREATE TABLE instances (
    instance_id uuid NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz NOT NULL,
    ended_at timestamptz,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,

    CONSTRAINT instances_pkey PRIMARY KEY (instance_id)
);


-- Keys that all proxies of one database share.
CREATE TABLE secrets (
    name text NOT NULL,
    key bytea NOT NULL,

    CONSTRAINT secrets_pkey PRIMARY KEY (name),
    CONSTRAINT secrets_key_is_32_bytes CHECK (octet_length(key) = 32)
);

-- The key of the digests by which upstream credentials are compared. gen_random_uuid() draws 122 bits from
-- Postgres's strong generator, and core has no other way to them; three of them hold more than the 256 bits
-- that come out.
INSERT INTO secrets (name, key) VALUES (
    'credentials',
    sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
);
