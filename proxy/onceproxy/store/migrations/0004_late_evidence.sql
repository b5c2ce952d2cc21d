-- An attempt's own late evidence that it happened outweighs a word that it did not.

ALTER TABLE receipts
    DROP CONSTRAINT receipts_transition_is_legal,
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
            ('released', 'completed'),
            ('completed', 'tombstone')
        )
    );
