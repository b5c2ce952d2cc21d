-- What is in doubt, to be counted and listed without reading all receipts, and to be told of.

-- An index on the state of receipts would do, and cost every settlement a write of every index (it would be no
-- heap-only update any more). Doubts are few, so a table of them costs next to nothing.
CREATE TABLE doubts (
    request_id bytea NOT NULL,
    since timestamptz NOT NULL,

    CONSTRAINT doubts_pkey PRIMARY KEY (request_id)
);
CREATE INDEX doubts_since_idx ON doubts (since);

-- It runs as whoever owns the table: proxies of the version before, and roles that were granted nothing yet, put
-- receipts in doubt as well.
CREATE FUNCTION receipts_keep_doubts() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.state = 'in_doubt' THEN
        INSERT INTO doubts (request_id, since) VALUES (NEW.request_id, NEW.changed_at)
        ON CONFLICT ON CONSTRAINT doubts_pkey DO UPDATE SET since = excluded.since;
        INSERT INTO outbox (request_id, kind, attempt, state, phase, reason)
        VALUES (NEW.request_id, 'outcome-unknown', NEW.attempt, NEW.state, NEW.phase, NEW.conclusion);
    ELSE
        DELETE FROM doubts WHERE request_id = OLD.request_id;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION receipts_keep_doubts() FROM PUBLIC;

-- Triggers, so that no way into doubt or out of it can forget it. For all other receipts the condition is all that
-- is looked at.
CREATE TRIGGER receipts_doubt_begins_or_ends AFTER UPDATE ON receipts
    FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state AND (OLD.state = 'in_doubt' OR NEW.state = 'in_doubt'))
    EXECUTE FUNCTION receipts_keep_doubts();
CREATE TRIGGER receipts_doubt_goes AFTER DELETE ON receipts
    FOR EACH ROW
    WHEN (OLD.state = 'in_doubt')
    EXECUTE FUNCTION receipts_keep_doubts();

INSERT INTO doubts (request_id, since) SELECT request_id, changed_at FROM receipts WHERE state = 'in_doubt';
