"""Which instances of this machine are dead: the operating system knows at once, the lease only after a while.

Each instance holds an exclusive lock on ``<data_dir>/instances/<instance_id>.lock`` while its process lives.
A lock that can be had belongs to a dead process.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from onceproxy.store.errors import DataDirUnusable

SUFFIX = ".lock"


class InstanceLock:
    """The lock of one living instance. It goes with the process, however that ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, data_dir: Path, instance: UUID) -> InstanceLock | None:
        """Take the lock of ``instance``, or return None where another process swept the new file away.

        That process was faster than our lock; choose another id and try again.

        Raises:
            DataDirUnusable: the file can't be made.
        """
        directory = data_dir / "instances"
        path = directory / f"{instance}{SUFFIX}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataDirUnusable(f"the data directory {data_dir} can't be written to: {error}") from error
        if _lock(descriptor) and os.fstat(descriptor).st_nlink:
            return cls(path, descriptor)
        os.close(descriptor)
        return None

    def drop(self) -> None:
        """Remove the file and let go of the lock."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def dead_instances(data_dir: Path) -> list[UUID]:
    """Return the instances whose files are there and whose processes are gone."""
    found = []
    for path in sorted((data_dir / "instances").glob(f"*{SUFFIX}")):
        with _held(path) as dead:
            if dead and (instance := _instance_of(path)) is not None:
                found.append(instance)
    return found


def forget(data_dir: Path, instance: UUID) -> None:
    """Remove the file of a dead instance, once the database knows that it is dead."""
    path = data_dir / "instances" / f"{instance}{SUFFIX}"
    with _held(path) as dead:
        if dead:
            path.unlink(missing_ok=True)


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Try to hold the lock of ``path``, without waiting; give whether it worked."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _instance_of(path: Path) -> UUID | None:
    try:
        return UUID(path.name.removesuffix(SUFFIX))
    except ValueError:
        return None
