-- What others are to be told of: an outcome that nobody knows, and an action that was executed twice.

-- Written in the transaction in which it happens, whether or not anybody has to be told: the proxies of one database
-- need not agree on that, and it is rare. What nobody takes, goes after some days.
CREATE TABLE outbox (
    request_id bytea NOT NULL,
    event_id uuid NOT NULL DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL,
    -- The attempt that it is about, its evidence, and the state that the receipt was in afterwards.
    attempt integer NOT NULL,
    state text NOT NULL,
    phase text,
    reason text,
    -- How often it was taken to be told. Who took it must show the number: see notice_told.
    tries integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Which hooks have it: digests of their URLs.
    told bytea[] NOT NULL DEFAULT '{}',
    -- When all had it, or it was given up.
    ended_at timestamptz,
    failed boolean NOT NULL DEFAULT false,

    CONSTRAINT outbox_pkey PRIMARY KEY (request_id, event_id),
    CONSTRAINT outbox_kind_is_known CHECK (kind IN ('outcome-unknown', 'executed-twice')),
    CONSTRAINT outbox_failed_has_ended CHECK (ended_at IS NOT NULL OR NOT failed)
);
CREATE INDEX outbox_due_at_idx ON outbox (due_at) WHERE ended_at IS NULL;
CREATE INDEX outbox_at_idx ON outbox (at);
