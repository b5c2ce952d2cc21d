"""The pytest plugin: fixtures that are there wherever onceproxy is installed.

Every run of pytest there imports this module, so the fixtures import for themselves what they need.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from onceproxy.testing.counting import CountingUpstream
    from onceproxy.testing.proxy import ProxyUnderTest


@pytest.fixture
def onceproxy_upstream() -> Iterator[CountingUpstream]:
    """An API on loopback that counts what reaches it; a new one for each test."""
    from onceproxy.testing.counting import CountingUpstream

    with CountingUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def onceproxy_data_dir() -> Iterator[Path]:
    """The data directory of all proxies of this session. Override it to choose another place."""
    # Not below pytest's own directory, which each session that starts closes to the embedded database's user.
    with tempfile.TemporaryDirectory(prefix="onceproxy-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def onceproxy_database(onceproxy_data_dir: Path) -> Iterator[str]:
    """The database of all proxies of this session, kept running. Override it with the URL of your own."""
    from onceproxy.testing.proxy import ProxyUnderTest

    # The embedded database runs as long as somebody uses it, and to start it anew takes seconds.
    with ProxyUnderTest(onceproxy_data_dir):
        yield "embedded"


@pytest.fixture
def onceproxy_config() -> str:
    """The configuration of the proxy, without ``version``; nothing. Override it with your routes."""
    return ""


@pytest.fixture
def onceproxy_proxy(
    onceproxy_data_dir: Path, onceproxy_database: str, onceproxy_config: str
) -> Iterator[ProxyUnderTest]:
    """A proxy for one test. Receipts stay for the session, but each ``onceproxy_upstream`` is another API."""
    from onceproxy.testing.proxy import ProxyUnderTest

    with ProxyUnderTest(onceproxy_data_dir, onceproxy_database, onceproxy_config) as proxy:
        yield proxy
