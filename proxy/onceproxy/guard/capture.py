"""A body as it is captured: small ones in memory, large ones in an unnamed temporary file."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from typing import IO

from onceproxy.guard.room import ENDLESS, Room

CHUNK = 64 * 1024
MEMORY = 64 * 1024  # bytes of a body that touches no file, as long as `limits.memory` has room for it


class Capture:
    """A ``Body`` that is written from its start to its end and read any number of times, also meanwhile.

    The file lies in the system's temporary directory (``TMPDIR``). It has no name and goes with the last
    reference, also when the process is killed.

    A body is counted in ``room``, and what finds no memory there goes to a file from its first byte.
    ``refusable``: writing raises ``OverLimit`` where the files have no room; else ``crowded`` says that they
    had none, and the bytes are kept all the same.
    """

    def __init__(self, room: Room = ENDLESS, *, refusable: bool = False) -> None:
        self.crowded = False
        self._room = room
        self._refusable = refusable
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._digest: hashlib._Hash | None = None  # none while all is in memory: few ask for it
        self._size = 0
        self._forgotten = 0

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()
            self._room.give_file(self._held)
        else:
            self._room.give_memory(self._held)

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._size

    @property
    def digest(self) -> bytes:
        """SHA-256 of the bytes so far."""
        return (hashlib.sha256(self._memory) if self._digest is None else self._digest).digest()

    def write(self, data: bytes) -> None:
        """Append ``data``.

        Raises:
            OSError: the disk can't take it.
            OverLimit: there is no room for it, and it can be refused.
        """
        held, new = self._held, len(data)
        in_memory = self._file is None and held + new <= MEMORY and self._room.take_memory(new)
        if not in_memory and self._refusable:
            self._room.check(new if self._file is not None else held + new)
        if not in_memory and self._file is None:
            file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as self)
            try:
                self._put(file, self._memory, 0)
            except OSError:
                file.close()
                raise
            # Not before the file has it all: what was captured stays readable though the disk is full.
            self._let_out()
            self._file, self._memory = file, bytearray()
            self._room.give_memory(held)
            self._room.take_file(held)
        if self._file is None:
            self._memory += data
        else:
            self._put(self._file, data, held)
            if not self._room.take_file(new) and not self.crowded:
                self.crowded = True
                self._room.crowded()
        if self._digest is not None:
            self._digest.update(data)
        self._size += new

    def at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` of the bytes from ``offset`` on; at least one.

        Raises:
            ValueError: they are not there, or were forgotten.
            OSError: the file does not give them back.
        """
        start = offset - self._forgotten
        size = min(size, self._size - offset)
        if start < 0 or size <= 0:
            raise ValueError(f"a body of {self._size} bytes does not hold byte {offset} any more, or yet")
        if self._file is None:
            return bytes(self._memory[start : start + size])
        # Not seek and read: the writer, and readers in other threads, have no use for a common position.
        data = os.pread(self._file.fileno(), size, start)
        if not data:
            raise OSError("the temporary file is shorter than what was written to it")
        return data

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes from the start, in pieces of at most 64 KiB. Raises as ``at`` does."""
        offset = 0
        while offset < self._size:
            piece = self.at(offset, CHUNK)
            offset += len(piece)
            yield piece

    def read(self) -> bytes:
        """Return all the bytes at once. Raises as ``at`` does."""
        if self._file is None and not self._forgotten:
            return bytes(self._memory)
        return b"".join(self.chunks())

    def forget(self, before: int) -> None:
        """Let go of the bytes before offset ``before``; size and digest stay those of the whole."""
        if before <= self._forgotten:
            return
        rest = b"" if before >= self._size else self.at(before, self._size - before)
        gone = self._held - len(rest)
        self._let_out()
        if self._file is None:
            self._memory = bytearray(rest)
            self._room.give_memory(gone)
        else:
            self._room.give_file(gone)
            os.truncate(self._file.fileno(), 0)
            self._put(self._file, rest, 0)
        self._forgotten = min(before, self._size)

    def _let_out(self) -> None:
        """Digest what is in memory: from now on it is not there any more, or not all of it."""
        if self._digest is None:
            self._digest = hashlib.sha256(self._memory)

    @property
    def _held(self) -> int:
        return self._size - self._forgotten

    def _put(self, file: IO[bytes], data: bytes | bytearray, offset: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(file.fileno(), view, offset)
            view, offset = view[written:], offset + written
