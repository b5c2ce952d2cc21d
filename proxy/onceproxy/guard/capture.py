"""A body as it is captured: small ones in memory, large ones in an unnamed temporary file."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator

CHUNK = 64 * 1024
MEMORY = 64 * 1024  # bodies up to this size never touch a file


class Capture:
    """A ``Body`` that is written once and then read any number of times.

    The file has no name and goes with the last reference, also when the process is killed.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=MEMORY)  # noqa: SIM115 (lives as long as self)
        self._digest = hashlib.sha256()
        self._size = 0

    def __del__(self) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._size

    @property
    def digest(self) -> bytes:
        """SHA-256 of the bytes so far."""
        return self._digest.digest()

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        self._file.write(data)
        self._digest.update(data)
        self._size += len(data)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes from the start, in pieces of at most 64 KiB."""
        offset = 0
        while offset < self._size:
            self._file.seek(offset)
            piece = self._file.read(CHUNK)
            offset += len(piece)
            yield piece

    def read(self) -> bytes:
        """Return all the bytes at once."""
        self._file.seek(0)
        return self._file.read()
