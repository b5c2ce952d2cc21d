-- Tables that are as fast when they are large.

ALTER TABLE receipts SET (
    -- A receipt is about 250 bytes long when it is claimed, and 500 with a small answer. Batches claim whole pages
    -- and settle them whole, before the old versions of the rows can go: with 40 % of a page for claims all new
    -- versions fit beside them, and no index is written again. With the former 70 % it was one in three, and the
    -- table was no smaller for it.
    fillfactor = 40,
    -- A fifth of the table, which is Postgres's own measure, is millions of dead rows where there are many receipts,
    -- and a plan that was made for ten rows is in use until a table of millions is analyzed.
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02,
    toast.autovacuum_vacuum_scale_factor = 0.02
);
ALTER TABLE events SET (
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02
);
ALTER TABLE parts SET (
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.02,
    toast.autovacuum_vacuum_scale_factor = 0.02
);
