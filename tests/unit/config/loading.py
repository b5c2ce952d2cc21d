"""Load a file that a test writes, and take its settings or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from onceproxy.config.load import ConfigError, load
from onceproxy.config.model import Settings

FILE = Path("f.yaml")


def settings_of(
    text: str | bytes,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str | None] | None = None,
) -> Settings:
    """Load a file of these bytes; of a text, which line 1 (``version: 1``) is put before."""
    FILE.write_bytes(text if isinstance(text, bytes) else f"version: 1\n{text}".encode())
    return load(FILE, environ=environ or {}, flags=flags)


def problems_of(
    text: str | bytes,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str | None] | None = None,
) -> list[str]:
    """Return what is wrong with such a file."""
    with pytest.raises(ConfigError) as caught:
        settings_of(text, environ, flags)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems
