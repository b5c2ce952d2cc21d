"""JSON-RPC and event streams: ids are changed and nothing else, whatever comes and however it is cut up."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.effort import effort
from fuzz.spellings import TEXTS, VALUES, spelled
from onceproxy.core.canonical import NotCanonical
from onceproxy.core.event_streams import event_data, renumbered
from onceproxy.core.jsonrpc_ids import Renumbering, call_ids, renumbering, write_ids

IDS = st.integers(-5, 10**20) | TEXTS
CHANCES = st.integers(0, 2**32).map(random.Random)
NEW = '"new"'
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
PIECES = st.sampled_from(
    [
        b"data",
        b":",
        b" ",
        b"data: ",
        b"\n",
        b"\r",
        b"\r\n",
        b"id",
        b"event: x\n",
        b'{"jsonrpc":"2.0",',
        b'"id":1',
        b",",
        b'"result":{}}',
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b"\xef\xbb\xbf",
        b"\xff",
        b"\0",
        b'{"id":1,"result":1}',
        b'data: {"id":1,"result":1}\n\n',
        "\u2028".encode(),
        b'"method":"x"',
        b'"\\u0069d":2',
    ]
)
SOUP = st.lists(PIECES, max_size=16).map(b"".join)


def _response(identifier: Any, result: Any, chance: random.Random) -> str:
    members = [
        f'"jsonrpc": {spelled("2.0", chance)}',
        f'"{chance.choice(["result", "error"])}": {spelled(result, chance)}',
    ]
    members.insert(chance.randrange(3), f"{spelled('id', chance)}: {spelled(identifier, chance)}")
    return "{" + ", ".join(members) + "}"


@effort(150)
@given(IDS, VALUES, CHANCES)
def test_the_id_of_a_response_is_changed_and_no_other_byte(
    identifier: Any, result: Any, chance: random.Random
) -> None:
    text = _response(identifier, result, chance)
    old = Renumbering(only=NEW).edits(text)

    changed = Renumbering(only=NEW).apply(text)
    assert json.loads(changed) == json.loads(text) | {"id": "new"}
    for edit in old:  # there is one, or the id is as it should be already
        assert (changed[: edit.start], changed[edit.start + len(NEW) :]) == (
            text[: edit.start],
            text[edit.end :],
        )
        assert Renumbering(only=text[edit.start : edit.end]).apply(changed) == text
    assert Renumbering(only=NEW).apply(changed) == changed


@effort(150)
@given(
    st.lists(st.tuples(IDS, VALUES), min_size=2, max_size=4, unique_by=lambda one: json.dumps(one[0])),
    CHANCES,
)
def test_each_of_a_batch_gets_its_own(messages: list[tuple[Any, Any]], chance: random.Random) -> None:
    calls = [{"jsonrpc": "2.0", "method": "m", "id": one} for one, _ in messages]
    first = call_ids(json.dumps(calls).encode())
    second = call_ids(json.dumps([{**call, "id": n} for n, call in enumerate(calls)]).encode())
    numbers = renumbering(second, write_ids(first))
    assert numbers is not None
    answers = chance.sample(list(enumerate(messages)), len(messages))
    text = "[" + ",".join(_response(one, result, chance) for _, (one, result) in answers) + "]"

    changed = json.loads(numbers.apply(text))

    assert [one["id"] for one in changed] == [number for number, _ in answers]
    assert [{**one, "id": 0} for one in changed] == [{**one, "id": 0} for one in json.loads(text)]


@effort(300)
@given(SOUP, CHANCES)
def test_a_stream_is_the_same_however_it_is_cut_up(data: bytes, chance: random.Random) -> None:
    cuts = sorted({0, len(data), *(chance.randrange(len(data) + 1) for _ in range(5))})
    pieces = [data[one:other] for one, other in pairwise(cuts)]

    assert b"".join(renumbered(pieces, Renumbering(only="7"))) == b"".join(
        renumbered([data], Renumbering(only="7"))
    )
    assert list(event_data(pieces)) == list(event_data([data]))
    assert b"".join(renumbered(pieces, Renumbering())) == data
    once = b"".join(renumbered([data], Renumbering(only="7")))
    assert b"".join(renumbered([once], Renumbering(only="7"))) == once


@effort(150)
@given(st.lists(st.tuples(IDS, VALUES), max_size=3), LINE_ENDS, CHANCES)
def test_each_event_of_a_stream_gets_its_own(
    messages: list[tuple[Any, Any]], end: str, chance: random.Random
) -> None:
    events = [_response(one, result, chance).replace("\r\n", "\n") for one, result in messages]
    stream = "".join(
        f"event: message{end}" + "".join(f"data: {line}{end}" for line in event.split("\n")) + end
        for event in events
    )

    changed = b"".join(renumbered([stream.encode()], Renumbering(only=NEW)))

    data = list(event_data([changed]))
    assert [json.loads(one) for one in data] == [json.loads(event) | {"id": "new"} for event in events]


@effort(300)
@given(SOUP)
def test_what_is_no_json_rpc_is_left_alone(data: bytes) -> None:
    text = data.decode("utf-8", "replace")

    changed = Renumbering(only="7").apply(text)
    assert Renumbering(only="7").apply(changed) == changed
    if changed != text:
        json.loads(changed.removeprefix("\ufeff"))
    try:
        ids = call_ids(data)
    except NotCanonical:
        return
    assert renumbering(ids, write_ids(ids)) is not None or not ids


def test_long_streams_take_no_more_time_than_their_size() -> None:
    """Streams made to take quadratic time would not end within the test's timeout."""
    size = 1 << 18
    for data in (
        b"\r" * size,
        b"data:\n" * (size // 6),
        b"x" * size,
        b"data: {" + b'"a":' * (size // 4),
        b"\n" * size,
    ):
        whole = b"".join(renumbered([data], Renumbering(only="7")))
        assert whole == data
    pieces = [b"x" * 64] * (size // 64)
    assert b"".join(renumbered(pieces, Renumbering(only="7"))) == b"x" * size
    many = b"[" + b",".join([b'{"id":1,"result":1}'] * 20_000) + b"]"
    Renumbering(only="7").apply(many.decode())
