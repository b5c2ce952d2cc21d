"""Who counts as one client, and how many connections there is room for."""

from __future__ import annotations

from typing import Any

import pytest

from onceproxy.core.limits import Limit
from onceproxy.ingress.admission import Admission, client_of


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        (("192.0.2.7", 4711), "192.0.2.7"),
        (("::ffff:192.0.2.7", 4711, 0, 0), "192.0.2.7"),
        (("2001:db8::1", 4711, 0, 0), "2001:db8::/64"),
        (("2001:db8::ffff:1", 4712, 0, 0), "2001:db8::/64"),
        (("fe80::1%eth0", 4711, 0, 3), "fe80::/64"),
        (None, ""),
        ("", ""),
    ],
)
def test_an_address_or_a_network_of_ipv6_is_one_client(peer: Any, client: str) -> None:
    assert client_of(peer) == client


def test_all_are_counted_and_each() -> None:
    admission = Admission(3, 2, lambda limit: None)

    assert [admission.enter("a") for _ in range(3)] == [None, None, Limit.CONNECTIONS_PER_CLIENT]
    assert [admission.enter("b") for _ in range(2)] == [None, Limit.CONNECTIONS]
    admission.leave("a")
    assert admission.enter("b") is None
    for client in ("a", "b", "b"):
        admission.leave(client)
    assert admission._clients == {}
