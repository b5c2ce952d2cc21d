"""The page: what was executed, what was replayed, what nobody knows, and what to do about it."""
