-- What proxies and auditors may do. Run it as `onceproxy_owner` after each `onceproxy migrate`; it may be repeated.
REVOKE ALL ON SCHEMA onceproxy FROM PUBLIC;
GRANT USAGE ON SCHEMA onceproxy TO onceproxy, onceproxy_auditor;
REVOKE ALL ON ALL TABLES IN SCHEMA onceproxy FROM PUBLIC, onceproxy, onceproxy_auditor;

GRANT SELECT, INSERT, UPDATE, DELETE ON receipts, parts, instances, outbox TO onceproxy;
-- Events are written and read, and never changed, removed or truncated.
GRANT SELECT, INSERT ON events TO onceproxy;
GRANT SELECT ON doubts, secrets, schema_versions TO onceproxy;

GRANT SELECT ON doubts, events, instances, schema_versions TO onceproxy_auditor;
GRANT SELECT (request_id, state, attempt, instance, route, method, url, created_at, changed_at, status, conclusion)
    ON receipts TO onceproxy_auditor;
