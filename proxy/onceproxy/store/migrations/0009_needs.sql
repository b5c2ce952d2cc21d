-- What a schema needs of the code that works with it: see store/schema.py.
ALTER TABLE schema_versions
    -- The migration that code must know, so that this one does not pull the ground from under it; 0: any does.
    ADD COLUMN needs integer NOT NULL DEFAULT 0;
