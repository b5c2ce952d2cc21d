-- What actions have in common that ask for the same under different keys: see core.receipts.Likeness. Null where
-- the route does not care, so that its receipts cost the index nothing. Like created_at it does not change between
-- claim and settlement: settlements stay heap-only updates.
ALTER TABLE receipts
    ADD COLUMN likeness bytea,
    ADD CONSTRAINT receipts_likeness_is_sha256 CHECK (octet_length(likeness) = 32);

CREATE INDEX receipts_likeness_idx ON receipts (likeness, created_at) WHERE likeness IS NOT NULL;
