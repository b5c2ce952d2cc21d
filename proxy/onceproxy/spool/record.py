"""One settlement as a file: a version, a head in JSON, the body's bytes, and a SHA-256 over all of it.

Counterparts: ``encode`` writes what ``decode`` reads. A file whose checksum does not match was never finished
or has decayed: it says nothing that may be believed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO
from uuid import UUID

from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.core.messages import BodyNotKept, Response, digest_of
from onceproxy.core.outcomes import Outcome, OutcomeKind
from onceproxy.core.receipts import Claim, RequestId
from onceproxy.guard.ports import Settlement, Unstored

FAMILY = b"onceproxy spool "
MAGIC = FAMILY + b"1\n"
LENGTH = 8  # bytes that hold the length of the head
CHECKSUM = hashlib.sha256().digest_size
CHUNK = 64 * 1024


class Corrupt(Exception):
    """A file is no record, or not a whole one."""


class Foreign(Exception):
    """A record that is not for us: another version wrote it, or it belongs to another database."""


class _FileBody:
    """The part of a file that holds a body. It stays readable when the file is removed."""

    def __init__(self, file: BinaryIO, offset: int, size: int, digest: bytes) -> None:
        self._descriptor = os.dup(file.fileno())
        self._offset = offset
        self.size = size
        self.digest = digest

    def __del__(self) -> None:
        os.close(self._descriptor)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes from the start, in pieces of at most 64 KiB."""
        done = 0
        while done < self.size:
            piece = os.pread(self._descriptor, min(CHUNK, self.size - done), self._offset + done)
            if not piece:
                raise OSError("the file of a spooled record was cut while it was read")
            done += len(piece)
            yield piece

    def read(self) -> bytes:
        """Return all the bytes at once."""
        return b"".join(self.chunks())


def encode(unstored: Unstored, database: bytes) -> Iterator[bytes]:
    """Yield the bytes of a record. ``database`` names the database that it is for.

    Raises:
        ValueError: the body is not what its digest says; somebody else is reading or writing it.
    """
    response, keep = unstored.settlement.response, unstored.settlement.keep_body
    head = json.dumps(_head(unstored, database), separators=(",", ":")).encode("ascii")
    checksum = hashlib.sha256()
    for piece in (MAGIC, len(head).to_bytes(LENGTH, "big"), head):
        checksum.update(piece)
        yield piece
    if response is not None and keep:
        body = hashlib.sha256()
        for piece in response.body.chunks():
            body.update(piece)
            checksum.update(piece)
            yield piece
        if body.digest() != digest_of(response.body):
            raise ValueError("the body changed while it was spooled")
    yield checksum.digest()


def size_of(unstored: Unstored) -> int:
    """Return how many bytes a record takes at most."""
    return 256 + len(json.dumps(_head(unstored, b""))) + unstored.settlement.kept_size


def decode(file: BinaryIO, database: bytes) -> Unstored:
    """Read a record. Its body stays on the disk, and readable although ``file`` is closed or removed.

    Raises:
        Corrupt: it is not whole.
        Foreign: it is not for this version or this database.
        OSError: the file can't be read.
    """
    size = os.fstat(file.fileno()).st_size
    magic = file.read(len(MAGIC))
    if len(magic) == len(MAGIC) and magic != MAGIC and magic.startswith(FAMILY):
        raise Foreign("another version of onceproxy wrote it")
    length = int.from_bytes(file.read(LENGTH), "big")
    offset = len(MAGIC) + LENGTH + length
    if magic != MAGIC or offset + CHECKSUM > size:
        raise Corrupt("it is cut short, or no record at all")
    _verify(file, size)
    file.seek(len(MAGIC) + LENGTH)
    head = json.loads(file.read(length))
    if bytes.fromhex(head["database"]) != database:
        raise Foreign("it belongs to another database")
    return _unstored(head, file, offset)


def _verify(file: BinaryIO, size: int) -> None:
    file.seek(0)
    checksum, left = hashlib.sha256(), size - CHECKSUM
    while left and (piece := file.read(min(CHUNK, left))):
        checksum.update(piece)
        left -= len(piece)
    if file.read() != checksum.digest():
        raise Corrupt("its checksum does not match its content")


def _head(unstored: Unstored, database: bytes) -> dict[str, Any]:
    claim, settlement = unstored.claim, unstored.settlement
    attempt, response = settlement.attempt, settlement.response
    return {
        "database": database.hex(),
        "route": unstored.route,
        "request_id": str(claim.request_id),
        "token": str(claim.token),
        "attempt": claim.attempt,
        "doubtful": claim.doubtful,
        "outcome": settlement.outcome.kind.value,
        "reason": settlement.outcome.reason,
        "keep_body": settlement.keep_body,
        "phase": attempt.phase.value,
        "failure": attempt.failure.value if attempt.failure is not None else None,
        "detail": attempt.detail,
        "status": attempt.status,
        "partial": attempt.partial is not None,
        "response": None
        if response is None
        else {
            "status": response.status,
            "reason": _text(response.reason),
            "headers": [[_text(name), _text(value)] for name, value in response.headers],
            "size": response.body.size,
            "digest": digest_of(response.body).hex(),
        },
    }


def _unstored(head: dict[str, Any], file: BinaryIO, offset: int) -> Unstored:
    response = None
    if (told := head["response"]) is not None:
        size, digest = told["size"], bytes.fromhex(told["digest"])
        response = Response(
            told["status"],
            _bytes(told["reason"]),
            tuple((_bytes(name), _bytes(value)) for name, value in told["headers"]),
            _FileBody(file, offset, size, digest) if head["keep_body"] else BodyNotKept(size, digest),
        )
    attempt = Attempt(
        WirePhase(head["phase"]),
        None if head["partial"] else response,
        Failure(head["failure"]) if head["failure"] is not None else None,
        head["detail"],
        head["status"],
        response if head["partial"] else None,
    )
    return Unstored(
        Claim(RequestId.parse(head["request_id"]), UUID(head["token"]), head["attempt"], head["doubtful"]),
        Settlement(Outcome(OutcomeKind(head["outcome"]), head["reason"]), attempt, head["keep_body"]),
        head["route"],
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
