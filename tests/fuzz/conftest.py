"""The same line as for the corpus."""

from __future__ import annotations

from security.conftest import pytest_asyncio_loop_factories, wire

__all__ = ["pytest_asyncio_loop_factories", "wire"]
