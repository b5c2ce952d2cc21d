"""Two Postgres servers under Patroni, with etcd, on loopback: started, killed and taken back."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import signal
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from servers import children_of, free_port

PATIENCE = 120.0  # seconds for whatever the cluster has to become
# The shortest that Patroni allows: a leader that is silent for TTL has lost its place.
TTL, LOOP_WAIT, RETRY_TIMEOUT = 20, 2, 5
NAMES = ("one", "two")
INSTALL = "Debian: apt-get install etcd-server patroni postgresql"


class NotInstalled(RuntimeError):
    """A program that this needs is not on this machine."""


def program(name: str) -> str:
    """Return the path of a program. Raises ``NotInstalled``."""
    found = shutil.which(name)
    if found is None:
        raise NotInstalled(f"{name} is not on this machine ({INSTALL})")
    return found


def postgres_programs() -> Path:
    """Return the directory of the newest Postgres of the system. Raises ``NotInstalled``."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found:
        raise NotInstalled(f"there is no Postgres below /usr/lib/postgresql ({INSTALL})")
    return found[-1]


@dataclass
class Member:
    """One server and its Patroni."""

    name: str
    directory: Path
    port: int
    rest: int
    process: asyncio.subprocess.Process | None = None

    @property
    def data(self) -> Path:
        """The server's own directory."""
        return self.directory / "data"

    def postmaster(self) -> int | None:
        """The server's process, if there is one."""
        with suppress(OSError, ValueError):
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        return None


class Patroni:
    """A cluster below ``directory``. ``url`` names both servers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        self._etcd: asyncio.subprocess.Process | None = None
        self._etcd_port = free_port()
        self.members = [Member(name, directory / name, free_port(), free_port()) for name in NAMES]

    @property
    def url(self) -> str:
        """Where the database is: whichever of the two takes writes."""
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"

    async def start(self) -> None:
        """Start all, and wait until there is a leader with a synchronous standby."""
        await self._start_etcd()
        for member in self.members:
            self._own(member.directory)
            (member.directory / "patroni.yaml").write_text(yaml.safe_dump(self._settings(member)))
            await self.start_member(member)
            await self.until(lambda roles: "leader" in roles.values(), "a leader")
        await self.whole()

    async def whole(self) -> Member:
        """Wait until a leader has a synchronous standby; return the leader."""
        roles = await self.until(
            lambda roles: sorted(roles.values()) == ["leader", "sync_standby"], "a synchronous standby"
        )
        return next(member for member in self.members if roles[member.name] == "leader")

    async def start_member(self, member: Member) -> None:
        """Start one member's Patroni, which starts its server."""
        with (member.directory / "patroni.log").open("ab") as log:
            member.process = await self._run(
                program("patroni"), str(member.directory / "patroni.yaml"), output=log, cwd=member.directory
            )

    async def kill(self, member: Member) -> None:
        """End a member as a power cut would: its Patroni and all processes of its server at once."""
        assert member.process is not None
        postmaster = member.postmaster()
        member.process.kill()
        if postmaster is not None:
            os.kill(postmaster, signal.SIGSTOP)  # so that it has no more children than are seen now
            for pid in (*children_of(postmaster), postmaster):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        await member.process.wait()

    async def stop(self) -> None:
        """End all."""
        for member in self.members:
            if member.process is not None and member.process.returncode is None:
                member.process.terminate()
        for member in self.members:
            if member.process is None:
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(member.process.wait(), 20)
            if member.process.returncode is None:
                await self.kill(member)
        if self._etcd is not None:
            self._etcd.kill()
            await self._etcd.wait()

    async def until(self, fits: Callable[[dict[str, str]], bool], what: str) -> dict[str, str]:
        """Wait until the roles of the members that run fit; return them."""
        roles: dict[str, str] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while True:
                    roles = await self._roles()
                    if fits(roles):
                        return roles
                    await asyncio.sleep(0.2)
        logs = "\n".join((one.directory / "patroni.log").read_text()[-1500:] for one in self.members)
        raise RuntimeError(f"waited {PATIENCE:g} s for {what}; the roles are {roles}\n{logs}")

    async def _roles(self) -> dict[str, str]:
        for member in self.members:
            if member.process is not None and member.process.returncode is None:
                with suppress(OSError, ValueError):
                    found = await asyncio.to_thread(_asked, f"http://127.0.0.1:{member.rest}/cluster")
                    return {
                        one["name"]: one["role"]
                        for one in found["members"]
                        if one["state"] in ("running", "streaming")
                    }
        return {}

    async def _start_etcd(self) -> None:
        here, peers = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{free_port()}"
        directory = self._directory / "etcd"
        self._own(directory)
        with (directory / "log").open("wb") as log:
            self._etcd = await self._run(
                *(program("etcd"), "--name", "e", "--data-dir", str(directory / "data")),
                *("--listen-client-urls", here, "--advertise-client-urls", here),
                *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
                *("--initial-cluster", f"e={peers}", "--logger", "zap", "--log-level", "warn"),
                output=log,
                cwd=directory,
            )
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(OSError, ValueError):
                    if (await asyncio.to_thread(_asked, f"{here}/health"))["health"] == "true":
                        return
                await asyncio.sleep(0.1)

    async def _run(self, *command: str, output: Any, cwd: Path) -> asyncio.subprocess.Process:
        user = self._user
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            # Nothing of a virtual environment: Patroni is the system's.
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(cwd), "LC_ALL": "C.UTF-8"},
            user=user.pw_uid if user is not None else None,
            group=user.pw_gid if user is not None else None,
            extra_groups=[] if user is not None else None,
        )

    def _own(self, directory: Path) -> None:
        directory.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(directory, self._user.pw_uid, self._user.pw_gid)

    def _settings(self, member: Member) -> dict[str, Any]:
        users = {name: {"username": "postgres"} for name in ("superuser", "replication", "rewind")}
        parameters = {"max_connections": 100, "synchronous_commit": "on", "wal_log_hints": "on"}
        return {
            "scope": "onceproxy",
            "name": member.name,
            "restapi": {
                "listen": f"127.0.0.1:{member.rest}",
                "connect_address": f"127.0.0.1:{member.rest}",
            },
            "etcd3": {"host": f"127.0.0.1:{self._etcd_port}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL,
                    "loop_wait": LOOP_WAIT,
                    "retry_timeout": RETRY_TIMEOUT,
                    "synchronous_mode": True,
                    "postgresql": {"use_pg_rewind": True, "parameters": parameters},
                },
                "initdb": [{"encoding": "UTF8"}, "data-checksums", {"username": "postgres"}],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{member.port}",
                "connect_address": f"127.0.0.1:{member.port}",
                "data_dir": str(member.data),
                "bin_dir": str(postgres_programs()),
                "pgpass": str(member.directory / "pgpass"),
                "authentication": users,
                "parameters": {"unix_socket_directories": str(member.directory)},
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                ],
            },
        }


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=3) as answer:
        return json.load(answer)
