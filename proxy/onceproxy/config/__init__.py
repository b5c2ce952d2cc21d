"""YAML to a validated model, with errors that name file, line and key."""
