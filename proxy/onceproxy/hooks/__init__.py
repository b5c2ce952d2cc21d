"""Hooks: whoever has to know that an outcome is unknown gets a signed POST."""
