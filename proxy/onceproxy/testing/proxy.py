"""A proxy as a person runs it, for tests: started, crashed, and started again on the same data."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from onceproxy.cli.environment import apply_changes, client_url, proxy_environment
from onceproxy.config.model import Settings
from onceproxy.testing.crashes import Crash
from onceproxy.tls_setup import local_authority

READY = re.compile(r"onceproxy ready: proxy (http://\S+), admin (http://\S+), database \w+")
PATIENCE = 60.0  # seconds until a start, or an end, is given up
OURS = "ONCEPROXY_"


class ProxyUnderTest:
    """``onceproxy serve`` on free ports of loopback. A context manager.

    Args:
        data_dir: where its CA, spool and embedded database live. A later one with the same finds them again.
        database: ``embedded``, or the URL of a Postgres.
        config: the text of its configuration, without ``version``.
    """

    def __init__(self, data_dir: Path, database: str = "embedded", config: str = "") -> None:
        self.data_dir = data_dir
        self.database = database
        self.config = config
        self.url = ""
        self.admin_url = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has logged so far, all starts together."""
        return self._log.read_text("utf-8", errors="replace")

    def start(self, crash: Crash | None = None) -> None:
        """Start it, and wait until it is ready.

        Args:
            crash: where it dies, when it comes there.

        Raises:
            RuntimeError: it did not start; the text has its log.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        file = self.data_dir / "onceproxy.yaml"
        file.write_text(f"version: 1\n{self.config}", "utf-8")
        command = [
            sys.executable,
            "-m",
            "onceproxy",
            "serve",
            "--config",
            str(file),
            "--listen",
            "127.0.0.1:0",
        ]
        command += ["--data-dir", str(self.data_dir), "--database", self.database]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        chosen = {f"{OURS}ADMIN_LISTEN": "127.0.0.1:0", **(crash.environment if crash else {})}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - no shell, and nothing of others
                command, stdout=subprocess.PIPE, stderr=log, env={**inherited, **chosen}
            )
        line = _first_line(self._process)
        match = READY.match(line)
        if match is None:
            self.kill()
            raise RuntimeError(f"the proxy did not start:\n{self.log}")
        self.url, self.admin_url = match[1], match[2]

    def restart(self, crash: Crash | None = None) -> None:
        """Start it again, after it was killed, if it still runs."""
        self.kill()
        self.start(crash)

    def crashed(self) -> None:
        """Wait until it has come to where it crashes.

        Raises:
            subprocess.TimeoutExpired: it did not, for a minute.
        """
        if self._process is not None:
            self._process.wait(PATIENCE)

    def kill(self) -> None:
        """Kill it as a crash would (SIGKILL), if it runs."""
        if self._process is not None:
            self._process.kill()
            self._ended()

    def stop(self) -> None:
        """Stop it as a person would (SIGTERM), if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._ended()

    def environment(
        self, run_id: str | None = None, current: Mapping[str, str] = os.environ
    ) -> dict[str, str]:
        """Return the environment for a program that shall go through it, and trust its CA.

        Args:
            run_id: whose receipts the program gets; None: everyone's.
            current: what else is in the environment.
        """
        settings = Settings(data_dir=self.data_dir)
        authority = local_authority(settings)
        url = client_url(self.url, run_id)
        changes = proxy_environment(url, authority.bundle_with(), authority.certificate_file, current)
        # Without these, programs reach upstreams on loopback directly.
        return apply_changes({**changes, "NO_PROXY": None, "no_proxy": None}, current)

    def __enter__(self) -> ProxyUnderTest:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        return self.data_dir / "serve.log"

    def _ended(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(PATIENCE)
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None


def _first_line(process: subprocess.Popen[bytes]) -> str:
    """Return the first line that a process prints, or nothing if it ends before."""
    assert process.stdout is not None
    line = b""
    until = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n") and selector.select(until - time.monotonic()):
            read = os.read(process.stdout.fileno(), 4096)
            if not read:
                break
            line += read
    return line.decode(errors="replace")
