"""What all tests share. Fixtures for databases and stores are in ``stores.py``."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ("stores", "servers")

# No test asserts on time: on a busy machine an example, or the making of one, may take as long as it likes.
settings.register_profile("onceproxy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("onceproxy")


def pytest_configure(config: pytest.Config) -> None:
    """Give each checkout temporary directories of its own.

    Whenever pytest starts, it closes the directory that all its sessions share to other users. Where root
    runs the tests, that would lock the embedded Postgres out of a session under way: it runs as another user.
    """
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ:
        checkout = hashlib.sha256(os.fsencode(config.rootpath)).hexdigest()[:6]
        root = Path(tempfile.gettempdir()) / f"op{checkout}"  # short: paths of sockets end at 107 bytes
        root.mkdir(mode=0o711, exist_ok=True)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(root)
