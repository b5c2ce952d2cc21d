"""The requests of a load: unique mutations, copies, reads. The upstream answers with X-Number."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count, cycle

from benchmarks.load import Ask

Asks = Callable[[], Ask]

SIZE = 200  # bytes of the body of a mutation
ACTIONS = 1_000  # that are copied


@dataclass(frozen=True, slots=True)
class Target:
    """What requests say of where they go: what is in front of the path, and the Host."""

    before: str
    host: str


def mutations(target: Target, *, size: int = SIZE) -> Asks:
    """Return POSTs of JSON, each with a key of its own, in all runs."""
    run, numbers = secrets.token_hex(6), count(1)

    def asks() -> Ask:
        number = next(numbers)
        return _mutation(target, f"{run}-{number}", number, size)

    return asks


def copies(target: Target, key: str, *, replayed: bool) -> Asks:
    """Return POSTs that say the same again and again, in turn those of ``ACTIONS`` actions."""
    actions = [_mutation(target, f"{key}-{number}", number, SIZE) for number in range(ACTIONS)]
    in_turn = cycle([replace(action, replayed=replayed) for action in actions])
    return lambda: next(in_turn)


def retold(asks: Asks) -> Asks:
    """Return the same requests, each with a header line that no other one has."""
    tries = count(1)

    def again() -> Ask:
        ask = asks()
        line = b"\r\nX-Try: %d\r\n\r\n" % next(tries)
        return replace(ask, sent=ask.sent.replace(b"\r\n\r\n", line, 1))

    return again


def reads(target: Target) -> Asks:
    """Return GETs."""
    numbers = count(1)

    def asks() -> Ask:
        number = next(numbers)
        head = f"GET {target.before}/v1/charges/{number} HTTP/1.1\r\nHost: {target.host}\r\nAccept: */*\r\n"
        return Ask(f"{head}X-Number: {number}\r\n\r\n".encode(), b"%d" % number)

    return asks


def _mutation(target: Target, key: str, number: int, size: int) -> Ask:
    begin = f'{{"amount": {number}, "currency": "eur", "description": "'
    head = (
        f"POST {target.before}/v1/charges HTTP/1.1\r\nHost: {target.host}\r\nUser-Agent: bench\r\n"
        f"Accept: */*\r\nAuthorization: Bearer of-nothing\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {key}\r\nX-Number: {number}\r\nContent-Length: {size}\r\n\r\n"
    )
    return Ask((head + begin).encode() + b"x" * (size - len(begin) - 2) + b'"}', b"%d" % number)
