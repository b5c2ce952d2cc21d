-- What a receipt can become after it was completed or in doubt: a tombstone, another attempt, a purge. And
-- bodies in parts, so that a large one is never whole in anyone's memory.

ALTER TABLE receipts
    -- How long it is remembered that an action happened, after its response has expired.
    ADD COLUMN tombstone interval NOT NULL DEFAULT interval '30 days',
    -- When the row may go.
    ADD COLUMN forget_at timestamptz,
    -- Who told that it happened.
    ADD COLUMN source text NOT NULL DEFAULT 'upstream',
    -- Whether the body is in `parts`.
    ADD COLUMN in_parts boolean NOT NULL DEFAULT false;

UPDATE receipts SET forget_at = coalesce(expires_at, changed_at + ttl) + tombstone
WHERE state IN ('completed', 'released');

ALTER TABLE receipts
    DROP CONSTRAINT receipts_state_is_known,
    DROP CONSTRAINT receipts_transition_is_legal,
    DROP CONSTRAINT receipts_only_completed_expires,
    DROP CONSTRAINT receipts_body_is_kept_or_not,
    ADD CONSTRAINT receipts_state_is_known
        CHECK (state IN ('claimed', 'completed', 'released', 'in_doubt', 'tombstone')),
    -- The state machine. (completed, claimed) is an expiry and a claim in one step: see expires_at.
    ADD CONSTRAINT receipts_transition_is_legal CHECK (
        (previous, state) IN (
            ('absent', 'claimed'),
            ('released', 'claimed'),
            ('completed', 'claimed'),
            ('tombstone', 'claimed'),
            ('in_doubt', 'claimed'),
            ('claimed', 'completed'),
            ('claimed', 'released'),
            ('claimed', 'in_doubt'),
            ('in_doubt', 'completed'),
            ('in_doubt', 'released'),
            ('completed', 'tombstone')
        )
    ),
    -- Only what is completed ever expires: a claim or a doubt never turns free by the passing of time.
    ADD CONSTRAINT receipts_only_completed_expires
        CHECK (state IN ('completed', 'tombstone') OR expires_at IS NULL),
    -- Nor is it forgotten.
    ADD CONSTRAINT receipts_unfinished_is_not_forgotten
        CHECK ((state IN ('completed', 'tombstone', 'released')) = (forget_at IS NOT NULL)),
    ADD CONSTRAINT receipts_tombstone_has_no_response CHECK (state <> 'tombstone' OR header_names IS NULL),
    ADD CONSTRAINT receipts_tombstone_is_not_negative CHECK (tombstone >= interval '0'),
    ADD CONSTRAINT receipts_source_is_known CHECK (source IN ('upstream', 'probe', 'operator')),
    -- A body is in the row, in parts, or not kept.
    ADD CONSTRAINT receipts_body_is_kept_or_not CHECK (
        header_names IS NULL OR body_kept = (body IS NOT NULL OR in_parts)
    ),
    ADD CONSTRAINT receipts_body_is_in_one_place CHECK (NOT (in_parts AND body IS NOT NULL));

-- A part of a body, written while the response arrives. It counts once a receipt with its token says in_parts;
-- parts that none ever did are swept away.
CREATE TABLE parts (
    request_id bytea NOT NULL,
    token uuid NOT NULL,
    number integer NOT NULL,
    data bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT parts_pkey PRIMARY KEY (request_id, token, number),
    CONSTRAINT parts_number_counts_from_zero CHECK (number >= 0)
);
ALTER TABLE parts ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX parts_written_at_idx ON parts (written_at);

ALTER TABLE events
    DROP CONSTRAINT events_kind_is_known,
    DROP CONSTRAINT events_state_is_known,
    ADD CONSTRAINT events_kind_is_known CHECK (kind IN (
        'claimed',          -- an attempt began
        'completed',        -- it happened, and the response is kept
        'released',         -- it did not happen
        'in_doubt',         -- the attempt ended and can't tell
        'healed',           -- a doubt was settled by the attempt's own late evidence
        'lost',             -- the owner of the claim is gone
        'expired',          -- the time to live ran out
        'forgotten',        -- the time to remember it ran out, and the row went
        'confirmed',        -- a probe or an operator says that it happened
        'refuted',          -- a probe or an operator says that it did not happen
        'purged',           -- an operator removed the row
        'replayed',         -- a duplicate was answered
        'observed',         -- a copy was sent that would not have been, were the mode not observe
        'abandoned',        -- the claim was given back before anything was sent: its asker had left
        'executed-twice',   -- a superseded attempt says that it did, or may have done, the action
        'late-release',     -- a superseded attempt says that it did nothing
        'contradicted'      -- the receipt's own attempt says other than what was settled before
    )),
    ADD CONSTRAINT events_state_is_known
        CHECK (state IN ('absent', 'claimed', 'completed', 'released', 'in_doubt', 'tombstone'));

-- When the claims of a dead instance were put in doubt, so that it is done once.
ALTER TABLE instances ADD COLUMN swept_at timestamptz;
