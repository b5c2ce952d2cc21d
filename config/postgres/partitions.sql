-- Splits the large tables into partitions by the hash of request_id, each with its own indexes, vacuum and place on a
-- disk. Run it as the owner of the tables, with no proxy running, after `onceproxy migrate`, and grants.sql after it. What
-- is in the tables is copied. A table that is split already is left alone. See docs/scaling.md.
BEGIN;
DO $split$
DECLARE
    partitions CONSTANT integer := 16;
    split_table text;
    whole regclass;
    settings text;
    triggers text[];
    remake text;
BEGIN
    FOREACH split_table IN ARRAY ARRAY['receipts', 'events', 'parts', 'outbox'] LOOP
        whole := to_regclass(quote_ident(split_table));
        CONTINUE WHEN (SELECT relkind FROM pg_class WHERE oid = whole) = 'p';

        -- What a partitioned table does not have itself, and LIKE does not copy.
        SELECT array_to_string(
            coalesce(main.reloptions, '{}') || ARRAY(SELECT 'toast.' || option FROM unnest(toast.reloptions) AS option),
            ', '
        )
        INTO settings
        FROM pg_class AS main LEFT JOIN pg_class AS toast ON toast.oid = main.reltoastrelid
        WHERE main.oid = whole;
        triggers := ARRAY(SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = whole AND NOT tgisinternal);

        EXECUTE format('ALTER TABLE %I RENAME TO %I', split_table, split_table || '_whole');
        EXECUTE format(
            'CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY HASH (request_id)', split_table, split_table || '_whole'
        );
        FOR remainder IN 0 .. partitions - 1 LOOP
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s) %s',
                split_table || '_p' || remainder, split_table, partitions, remainder,
                CASE WHEN settings <> '' THEN 'WITH (' || settings || ')' END
            );
        END LOOP;
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', split_table, split_table || '_whole');
        EXECUTE format('DROP TABLE %I', split_table || '_whole');
        FOREACH remake IN ARRAY triggers LOOP
            EXECUTE remake;
        END LOOP;
    END LOOP;
END
$split$;
COMMIT;
