-- The shared key may be encrypted with a key of the proxies' own: 32 bytes, and the 48 that encryption adds.

ALTER TABLE secrets
    DROP CONSTRAINT secrets_key_is_32_bytes,
    ADD CONSTRAINT secrets_key_is_32_bytes CHECK (octet_length(key) IN (32, 80));
