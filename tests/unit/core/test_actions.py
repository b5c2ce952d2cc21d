"""From an identity to an action: what the route's rules make of it."""

from __future__ import annotations

import pytest

from identity_requests import post, with_headers
from onceproxy.core.actions import action_of
from onceproxy.core.identity import examine
from onceproxy.core.policies import InDoubt, Policy
from onceproxy.core.receipts import Action, Likeness
from onceproxy.core.routes import Route
from onceproxy.core.rules import FreshKey, IdentityRules, Place, Source

RESEND = Policy(in_doubt=InDoubt.RESEND, upstream_window=3600.0)


def an_action(
    rules: IdentityRules,
    body: bytes = b'{"a":1}',
    *lines: tuple[bytes, bytes],
    user: str | None = None,
    action: bytes | None = None,
    credential: bytes = b"",
) -> Action:
    examined = examine(with_headers(post(body), *lines), rules, user=user, action=action)
    route = Route(identity=rules, policy=RESEND)
    return action_of(examined, route, credential, insisted=action is not None)


@pytest.mark.parametrize(
    ("source", "body", "policy"),
    [
        (None, b"{}", InDoubt.REFUSE),
        (Source(Place.HEADER, "K"), b"[]", InDoubt.RESEND),
        (Source(Place.JSON, "$.k"), b"{}", InDoubt.RESEND),
        (Source(Place.JSON, "$.k"), b"[]", InDoubt.REFUSE),
        (Source(Place.JSON, "$.k"), b'{"k": "unknown to the route"}', InDoubt.REFUSE),
    ],
)
def test_what_the_upstream_could_not_know_again_is_not_resent(
    source: Source | None, body: bytes, policy: InDoubt
) -> None:
    assert an_action(IdentityRules(inject_key=source), body).policy.in_doubt is policy


def test_a_clients_key_is_enough_to_resend() -> None:
    action = an_action(
        IdentityRules(inject_key=Source(Place.JSON, "$.k")), b"[]", (b"Idempotency-Key", b"own")
    )
    assert action.policy is RESEND
    assert action.key == b"own"
    assert an_action(IdentityRules(), b"[]", (b"Idempotency-Key", b"own")).policy is RESEND


def like(
    *lines: tuple[bytes, bytes],
    treatment: FreshKey = FreshKey.HOLD,
    user: str | None = None,
    action: bytes | None = None,
    credential: bytes = b"",
) -> Likeness | None:
    rules = IdentityRules(fresh_key=treatment, fresh_key_window=60.0)
    return an_action(rules, b'{"a":1}', *lines, user=user, action=action, credential=credential).likeness


def test_actions_under_other_keys_are_alike() -> None:
    one = like((b"Idempotency-Key", b"1"))
    assert one == like((b"Idempotency-Key", b"2")) == like()
    assert one is not None
    assert (len(one.digest), one.treatment, one.window) == (32, FreshKey.HOLD, 60.0)
    for other in (like(user="a"), like(credential=b"c" * 32)):
        assert other is not None
        assert other.digest != one.digest


def test_who_insists_is_not_held_and_is_remembered_all_the_same() -> None:
    held, insisted = like(), like(action=b"again")
    assert held is not None
    assert insisted == Likeness(held.digest, FreshKey.ALLOW, 60.0)


def test_a_route_that_does_not_care_keeps_nothing() -> None:
    assert like(treatment=FreshKey.ALLOW) is None
