"""Programs as processes of their own: what they printed, how they ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

PATIENCE = 90.0  # seconds until a client's process is given up; below pytest's own timeout


@dataclass(frozen=True)
class Told:
    """What a program printed about an answer. ``replayed`` is Idempotency-Replayed, or the word ``None``."""

    status: int
    replayed: str
    text: str

    @classmethod
    def read(cls, line: str) -> Told:
        """Read ``STATUS|REPLAYED|TEXT``."""
        status, replayed, text = line.split("|", 2)
        return cls(int(status), replayed, text)


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> list[Told]:
        """The answers that the program printed; one a line."""
        assert self.code == 0, self.err
        return [Told.read(line) for line in self.out.splitlines()]


Start = Callable[..., Awaitable[asyncio.subprocess.Process]]
Run = Callable[..., Awaitable[Ended]]


def forget_who_ignored_signals() -> None:
    """Take signals as they come: a shell starts what it runs in the background with some of them ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


async def ended(process: asyncio.subprocess.Process) -> Ended:
    """Wait until a process ends."""
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def clean_environment() -> dict[str, str]:
    """The environment without what would point a client elsewhere or make it trust more."""
    about_proxies = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
    about_trust = {
        *("ssl_cert_file", "ssl_cert_dir", "requests_ca_bundle", "curl_ca_bundle", "aws_ca_bundle"),
        *("node_extra_ca_certs", "node_use_env_proxy"),
    }
    return {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in about_proxies | about_trust and not name.startswith("ONCEPROXY_")
    }
