"""Captures: what was written comes back, from memory and from a file, also while it grows."""

from __future__ import annotations

import errno
import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.guard.capture import MEMORY, Capture


@given(st.lists(st.binary(max_size=50) | st.integers(1, 3).map(lambda n: b"%d" % n * 40_000), max_size=8))
def test_what_is_written_can_be_read_at_any_time(pieces: list[bytes]) -> None:
    capture, written = Capture(), b""
    for piece in pieces:
        capture.write(piece)
        written += piece
        assert capture.read() == capture.read() == written
    assert capture.size == len(written)
    assert capture.digest == hashlib.sha256(written).digest()
    assert all(len(chunk) <= 65_536 for chunk in capture.chunks())


def test_a_reader_may_follow_the_writer() -> None:
    capture = Capture()
    capture.write(b"a" * MEMORY)
    reading = capture.chunks()
    assert next(reading) == b"a" * MEMORY
    capture.write(b"b")
    assert next(reading) == b"b"
    assert next(reading, None) is None


@given(st.integers(0, 200_000), st.integers(0, 200_000), st.integers(0, 200_000))
def test_what_was_forgotten_is_gone_and_the_rest_is_there(size: int, before: int, more: int) -> None:
    data = bytes(range(256)) * 800
    capture = Capture()
    capture.write(data[:size])
    capture.forget(before)
    capture.write(data[:more])
    whole = data[:size] + data[:more]
    assert (capture.size, capture.digest) == (len(whole), hashlib.sha256(whole).digest())
    at = min(before, size)
    rest = b""
    while at + len(rest) < len(whole):
        rest += capture.at(at + len(rest), 70_000)
    assert rest == whole[at:]
    if at > 0:
        with pytest.raises(ValueError, match="does not hold"):
            capture.at(at - 1, 1)


def test_nothing_is_there_beyond_the_end() -> None:
    capture = Capture()
    with pytest.raises(ValueError, match="does not hold byte 0"):
        capture.at(0, 1)


def test_a_disk_that_does_not_take_the_body_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was captured is evidence: a receipt whose body can't be read back is never stored."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    capture = Capture()
    capture.write(b"a" * MEMORY)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space"):
            capture.write(b"b")
    assert (capture.size, capture.read()) == (MEMORY, b"a" * MEMORY)
    capture.write(b"c")
    assert capture.read() == b"a" * MEMORY + b"c"
