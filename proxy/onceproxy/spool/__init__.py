"""Settlements that the store would not take yet, on the local disk; each outlives a crash of the process."""
