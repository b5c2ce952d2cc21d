"""Receipts in Postgres: schema, statements, leases, notifications, the embedded server."""
