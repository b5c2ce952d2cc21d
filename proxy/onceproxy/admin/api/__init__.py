"""The admin API: receipts, what may be done to them, and what goes on, as JSON."""
