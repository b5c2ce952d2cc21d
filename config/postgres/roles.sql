-- Two roles, so that no proxy can rewrite what it has written down: `onceproxy_owner` owns the tables, and is
-- for `onceproxy migrate` and `onceproxy rekey`; `onceproxy` is what proxies log in as. `onceproxy_auditor` reads the history and no response.
-- Run it once, as a superuser, in the database that holds the receipts; then `\password onceproxy` and
-- `\password onceproxy_owner`. See docs/operating.md.
CREATE ROLE onceproxy_owner LOGIN;
CREATE ROLE onceproxy LOGIN;
CREATE ROLE onceproxy_auditor NOLOGIN;

-- Waiting for a lock, or idling in a transaction, is never what a proxy means to do.
ALTER ROLE onceproxy SET idle_in_transaction_session_timeout = '60s';

-- Not `public`, where old servers let anybody make objects that ours could be taken for.
CREATE SCHEMA onceproxy AUTHORIZATION onceproxy_owner;
ALTER ROLE onceproxy_owner SET search_path = onceproxy;
ALTER ROLE onceproxy SET search_path = onceproxy;
ALTER ROLE onceproxy_auditor SET search_path = onceproxy;
