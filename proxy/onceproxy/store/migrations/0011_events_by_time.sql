-- The audit trail is only ever added to, in the order of time: a range index finds the old part of it, and costs those
-- who write next to nothing.
CREATE INDEX events_at_idx ON events USING brin (at) WITH (autosummarize = on);
