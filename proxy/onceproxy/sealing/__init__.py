"""Answers at rest: encrypted before a store or a spool is handed them, and decrypted when they come back."""
