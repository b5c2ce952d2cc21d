"""The file format: what was written is read back, and what is not whole is never believed."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.core.messages import BytesBody, Response, digest_of
from onceproxy.core.outcomes import Outcome, OutcomeKind
from onceproxy.core.receipts import Claim
from onceproxy.guard.capture import Capture
from onceproxy.guard.ports import Settlement, Unstored
from onceproxy.spool.record import MAGIC, Corrupt, Foreign, decode, encode, size_of
from stores import completed, in_doubt, released
from unit.spool.conftest import DATABASE, a_claim, waiting

BYTES = st.binary(max_size=20)
RESPONSES = st.builds(
    Response,
    st.integers(100, 999),
    BYTES,
    st.lists(st.tuples(BYTES, BYTES), max_size=4).map(tuple),
    st.binary(max_size=200_000).map(BytesBody),
)
ATTEMPTS = st.builds(
    Attempt,
    st.sampled_from(WirePhase),
    st.none() | RESPONSES,
    st.none() | st.sampled_from(Failure),
    st.text(max_size=20),
    st.none() | st.integers(100, 999),
) | st.builds(Attempt, st.just(WirePhase.HEAD_RECEIVED), partial=RESPONSES)
SETTLEMENTS = st.builds(
    Settlement, st.builds(Outcome, st.sampled_from(OutcomeKind), st.text(max_size=20)), ATTEMPTS
)
CLAIMS = st.builds(a_claim, st.integers(1, 255), attempt=st.integers(1, 2**31 - 1), doubtful=st.booleans())


@contextmanager
def file_of(data: bytes) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file


def written(unstored: Unstored) -> bytes:
    return b"".join(encode(unstored, DATABASE))


def plain(unstored: Unstored) -> Unstored:
    """The same with its body in memory, so that two can be compared."""
    attempt = unstored.settlement.attempt
    for name in ("response", "partial"):
        if (response := getattr(attempt, name)) is not None:
            response = dataclasses.replace(response, body=BytesBody(response.body.read()))
            attempt = dataclasses.replace(attempt, **{name: response})
    return dataclasses.replace(unstored, settlement=dataclasses.replace(unstored.settlement, attempt=attempt))


@given(CLAIMS, SETTLEMENTS, st.text(max_size=20))
def test_what_was_written_is_read_back(claim: Claim, settlement: Settlement, route: str) -> None:
    unstored = Unstored(claim, settlement, route)

    with file_of(written(unstored)) as file:
        assert plain(decode(file, DATABASE)) == unstored


def test_no_field_was_forgotten() -> None:
    fields = {one: [field.name for field in dataclasses.fields(one)] for one in (Claim, Settlement, Attempt)}

    # One that is added here must be added to the record, in a version of its own.
    assert fields == {
        # `like` is told when an action is claimed, and `resend_left` before it is sent: how it ends has
        # nothing to do with them.
        Claim: ["request_id", "token", "attempt", "doubtful", "resend_left", "like"],
        Settlement: ["outcome", "attempt", "keep_body"],
        # `rule` is for the client that is answered now.
        Attempt: ["phase", "response", "failure", "detail", "status", "partial", "rule"],
    }


def test_a_body_that_is_not_kept_leaves_its_size_and_digest() -> None:
    settlement = completed(keep_body=False)
    response = settlement.attempt.response
    assert response is not None

    with file_of(written(waiting(settlement))) as file:
        body = decode(file, DATABASE).settlement.attempt.response
    assert body is not None
    assert (body.body.size, digest_of(body.body)) == (response.body.size, digest_of(response.body))
    assert body.body.read() == b""


def test_a_large_body_is_read_in_pieces() -> None:
    captured = Capture()
    for _ in range(100):
        captured.write(b"x" * 10_007)
    unstored = waiting(completed(Response(200, b"", (), captured)))

    with file_of(written(unstored)) as file:
        response = decode(file, DATABASE).settlement.attempt.response
        assert response is not None
        assert max(map(len, response.body.chunks())) <= 64 * 1024
        assert response.body.read() == captured.read()
        assert digest_of(response.body) == captured.digest


@pytest.mark.parametrize("settlement", [completed(), released(), in_doubt(), in_doubt(500)])
def test_a_record_that_is_cut_anywhere_is_corrupt(settlement: Settlement) -> None:
    whole = written(waiting(settlement))

    for length in range(len(whole)):
        with file_of(whole[:length]) as file, pytest.raises(Corrupt):
            decode(file, DATABASE)


def test_a_record_with_any_byte_changed_is_not_believed() -> None:
    whole = written(waiting(completed()))

    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x20
        with file_of(bytes(changed)) as file, pytest.raises((Corrupt, Foreign)):
            decode(file, DATABASE)


def test_a_record_with_something_behind_it_is_corrupt() -> None:
    with file_of(written(waiting(completed())) + b"\n") as file, pytest.raises(Corrupt):
        decode(file, DATABASE)


def test_a_record_of_another_version_or_database_is_not_called_corrupt() -> None:
    whole = written(waiting(completed()))

    with (
        file_of(whole.replace(MAGIC, b"onceproxy spool 2\n")) as file,
        pytest.raises(Foreign, match="version"),
    ):
        decode(file, DATABASE)
    with file_of(whole) as file, pytest.raises(Foreign, match="database"):
        decode(file, b"e" * 16)


def test_a_body_that_changes_while_it_is_written_is_found_out() -> None:
    class Changing(Capture):
        def chunks(self) -> Iterator[bytes]:
            yield from (b"other", b" bytes")

    captured = Changing()
    captured.write(b"the bytes that came")

    with pytest.raises(ValueError, match="changed"):
        written(waiting(completed(Response(200, b"", (), captured))))


@given(SETTLEMENTS)
def test_the_size_is_not_told_too_small(settlement: Settlement) -> None:
    assert len(written(waiting(settlement))) <= size_of(waiting(settlement))
