"""The spool's directory: one record a file, there for good once it is there at all.

A record is written under another name, flushed to the disk, renamed, and the directory flushed: whoever finds
a file by its right name finds all of it, whenever the machine lost its power. Any process of the same data
directory may drain what it finds; a settlement that is stored twice is stored once.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

import structlog

from onceproxy.core.receipts import Claim
from onceproxy.guard.ports import SpoolUnavailable, Unreadable, Unstored
from onceproxy.sealing.answers import opened_settlement, sealed_settlement
from onceproxy.sealing.keyring import Keyring
from onceproxy.spool.record import Corrupt, Foreign, decode, encode, size_of

log = structlog.get_logger("onceproxy.spool")

SUFFIX = ".receipt"
UNFINISHED = ".new"
ABANDONED = 3600.0  # seconds after which an unfinished file is taken for a dead process's
PIECES = 16  # of at most 64 KiB each, handed to the disk at once


class SpoolDirectory:
    """Keeps settlements under ``<data_dir>/spool`` for one database."""

    def __init__(
        self, directory: Path, credential_key: bytes, limit: int, keyring: Keyring | None = None
    ) -> None:
        """``limit``: bytes that all records together may take. ``credential_key`` tells databases apart.

        ``keyring``: the keys of answers; None: they are kept as they are.
        """
        self._keyring = keyring or Keyring()
        self._directory = directory
        self._set_aside = directory / "corrupt"
        self._database = hashlib.sha256(b"onceproxy spool\0" + credential_key).digest()[:16]
        self._limit = limit
        self._writing = 0
        self._ours: set[UUID] = set()
        self._told: set[Path] = set()

    async def keep(self, unstored: Unstored) -> None:
        """Keep a settlement durably. May be repeated.

        Raises:
            SpoolUnavailable: there is no room, or the disk failed us. Nothing was kept.
        """
        sealed = sealed_settlement(self._keyring, unstored.claim, unstored.settlement)
        unstored = replace(unstored, settlement=sealed)
        size = size_of(unstored)
        self._writing += size
        try:
            _, used = await asyncio.to_thread(self._depth)
            if used + self._writing > self._limit:
                raise SpoolUnavailable(f"the spool holds all the {self._limit} bytes it may (limits.spool)")
            await self._write(unstored)
        except (OSError, ValueError) as error:
            raise SpoolUnavailable(f"the spool in {self._directory} failed: {error}") from error
        finally:
            self._writing -= size
        self._ours.add(unstored.claim.token)

    async def remove(self, claim: Claim) -> None:
        """Remove a record that is stored by now, if it is there.

        Raises:
            SpoolUnavailable: it can't be removed.
        """
        # Not flushed: should a crash bring it back, it is stored once more, which changes nothing.
        try:
            await asyncio.to_thread(self._path(claim).unlink, missing_ok=True)
        except OSError as error:
            raise SpoolUnavailable(f"a spooled record can't be removed: {error}") from error
        self._ours.discard(claim.token)

    async def depth(self) -> tuple[int, int]:
        """Return how many records wait here, and their bytes. Raises ``SpoolUnavailable``."""
        try:
            return await asyncio.to_thread(self._depth)
        except OSError as error:
            raise SpoolUnavailable(f"the spool in {self._directory} can't be read: {error}") from error

    async def left_behind(self) -> AsyncIterator[Unstored]:
        """Yield the records that nobody in this process is trying to store: others left them.

        What can't be believed is set aside and told.
        """
        try:
            found = await asyncio.to_thread(self._found)
        except OSError as error:
            raise SpoolUnavailable(f"the spool in {self._directory} can't be read: {error}") from error
        for path in found:
            if path.name.removesuffix(SUFFIX) in {str(token) for token in self._ours}:
                continue
            unstored = await asyncio.to_thread(self._read, path)
            if unstored is not None:
                yield unstored

    async def _write(self, unstored: Unstored) -> None:
        # The body is read here and not in a thread: its file is not for two threads at once.
        unfinished = self._directory / f"{unstored.claim.token}.{uuid4().hex}{UNFINISHED}"
        file = await asyncio.to_thread(self._create, unfinished)
        try:
            with file:
                pieces = encode(unstored, self._database)
                while some := list(islice(pieces, PIECES)):
                    await asyncio.to_thread(file.writelines, some)
                await asyncio.to_thread(_flush, file)
            await asyncio.to_thread(self._publish, unfinished, self._path(unstored.claim))
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise

    def _create(self, path: Path) -> BinaryIO:
        if not self._directory.is_dir():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _flush_directory(self._directory.parent)
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def _publish(self, unfinished: Path, path: Path) -> None:
        os.replace(unfinished, path)
        _flush_directory(self._directory)

    def _path(self, claim: Claim) -> Path:
        return self._directory / f"{claim.token}{SUFFIX}"

    def _depth(self) -> tuple[int, int]:
        records = total = 0
        for path in self._directory.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
                records += 1
        return records, total

    def _found(self) -> list[Path]:
        for path in self._directory.glob(f"*{UNFINISHED}"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED:
                    path.unlink()
        return sorted(self._directory.glob(f"*{SUFFIX}"))

    def _read(self, path: Path) -> Unstored | None:
        """Read a record; None if it went in the meantime, is not for us, or is to be set aside."""
        try:
            with open(path, "rb") as file:
                unstored = decode(file, self._database)
            return self._opened(unstored)
        except FileNotFoundError:
            return None
        except (Foreign, OSError, Unreadable) as error:
            self._tell_once(path, str(error))
        except (Corrupt, LookupError, ValueError, TypeError) as error:
            self._put_aside(path, error)
        return None

    def _opened(self, unstored: Unstored) -> Unstored:
        """Return a record decrypted. Raises ``Unreadable``; not later, when its body is read."""
        settlement = opened_settlement(self._keyring, unstored.claim, unstored.settlement)
        if settlement is not unstored.settlement and settlement.response is not None and settlement.keep_body:
            for _ in settlement.response.body.chunks():
                pass
        return replace(unstored, settlement=settlement)

    def _tell_once(self, path: Path, why: str) -> None:
        if path not in self._told:
            self._told.add(path)
            log.error("spooled-record-left", file=str(path), error=why)

    def _put_aside(self, path: Path, error: Exception) -> None:
        self._set_aside.mkdir(mode=0o700, exist_ok=True)
        aside = self._set_aside / path.name
        with suppress(FileNotFoundError):
            os.replace(path, aside)
            log.error(
                "spooled-record-corrupt",
                file=str(aside),
                error=str(error),
                hint="its action stays in doubt; the file is kept as evidence",
            )


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
