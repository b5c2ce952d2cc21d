"""The gate to the network: every connection goes through it, by addresses that were judged one by one."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Protocol

import structlog

from onceproxy.core.addresses import parse_address, plain
from onceproxy.core.attempts import Failure, SendFailed, WirePhase
from onceproxy.core.egress import EgressPolicy, Verdict, Way

log = structlog.get_logger("onceproxy.upstream")

SocketAddress = tuple[str, int]


class EgressMeter(Protocol):
    """Counts what was forbidden."""

    def egress_denied(self, rule: str) -> None:
        """Nothing was sent, because a rule of the policy forbids it."""
        ...


class NoEgressMeter:
    """Counts nothing."""

    def egress_denied(self, rule: str) -> None:
        """Do nothing."""


class Gate:
    """Holds the policy, and says and counts what it forbids."""

    def __init__(self, policy: EgressPolicy, meter: EgressMeter | None = None) -> None:
        self.policy = policy
        self._meter = meter or NoEgressMeter()

    def follow(self, policy: EgressPolicy) -> None:
        """Judge by another policy from now on; connections that lie idle are judged anew."""
        self.policy = policy

    def check_name(self, host: str, port: int, way: Way) -> None:
        """Judge a host before it is looked up.

        Raises:
            SendFailed: it is forbidden, whatever its addresses.
        """
        verdict = self.policy.judge_name(host, port, way)
        if not verdict.allowed:
            raise self._denied(host, port, way, verdict, [host] if parse_address(host) else [])

    def admit(self, host: str, addresses: Iterable[SocketAddress], way: Way) -> list[SocketAddress]:
        """Return those of a host's addresses that may be dialled; only these must be.

        Raises:
            SendFailed: none of them.
        """
        admitted = []
        denied: Verdict | None = None
        forbidden = []
        port = 0
        for address, port in addresses:
            verdict = self._judge(host, address, port, way)
            if verdict.allowed:
                admitted.append((address, port))
            else:
                forbidden.append(address)
                denied = denied or verdict
        if denied is not None and not admitted:
            raise self._denied(host, port, way, denied, forbidden)
        return admitted

    def still_admits(self, host: str, peer: SocketAddress) -> bool:
        """Say whether a connection that was made under a former policy could be made now, for HTTP."""
        named = self.policy.judge_name(host, peer[1], Way.HTTP)
        return named.allowed and self._judge(host, *peer, Way.HTTP).allowed

    def _judge(self, host: str, text: str, port: int, way: Way) -> Verdict:
        address = parse_address(text)
        if address is None:
            raise RuntimeError(f"{text!r} is no address")
        here = port in self.policy.own_ports and _is_here(str(plain(address)))
        return self.policy.judge_address(host, address, port, way, here=here)

    def _denied(self, host: str, port: int, way: Way, verdict: Verdict, addresses: list[str]) -> SendFailed:
        self._meter.egress_denied(verdict.rule.value)
        # The addresses are for this log only: to a client they would tell of a network that is not theirs.
        log.warning(
            "egress-denied",
            rule=verdict.rule.value,
            host=host,
            port=port,
            way=way.value,
            addresses=addresses,
        )
        detail = f"{host}: nothing was sent, as egress is denied by the rule {verdict.rule}: {verdict.words}"
        return SendFailed(WirePhase.RESOLVING, Failure.EGRESS_DENIED, detail, rule=verdict.rule.value)


def _is_here(address: str) -> bool:
    """Say whether an address is one of this machine: only such a one can be bound to."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
