-- Room beside each claim for its answer. A receipt grows from some 250 bytes to a thousand and more with the headers and
-- body of a real answer. Batches claim whole pages and settle them whole, before old versions of the rows can go: what
-- does not fit moves to another page, and all indexes are written again. With 20 % of a page for claims nearly all
-- fits, and the table is smaller for it than with 40, unless answers are tiny.
DO $$
DECLARE
    part regclass;
BEGIN
    -- A table that was split has its settings in its parts.
    FOR part IN
        SELECT oid FROM pg_class WHERE oid = 'receipts'::regclass AND relkind = 'r'
        UNION ALL
        SELECT relid FROM pg_partition_tree('receipts'::regclass) WHERE isleaf
    LOOP
        EXECUTE format('ALTER TABLE %s SET (fillfactor = 20)', part);
    END LOOP;
END
$$;
