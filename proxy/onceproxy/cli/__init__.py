"""The commands, one file each."""

from onceproxy.cli.main import main

__all__ = ["main"]
