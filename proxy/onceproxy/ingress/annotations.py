"""What servers of MCP say of their tools, as far as their lists came by."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import TypeVar

from onceproxy.core.credential import stable_credential
from onceproxy.core.jsonrpc import Hints, HintsOf
from onceproxy.core.messages import Request

MAX_SERVERS = 1000
MAX_TOOLS = 1000  # of one server

_Server = tuple[str, bytes, str | None, bytes]


_K = TypeVar("_K")
_V = TypeVar("_V")


class Annotations:
    """Remembers tools by server and by who asks, whatever the session; those used last, if many.

    Who asks is the proxy's user and the upstream credential: a server may have other tools for each account.

    What is forgotten, or was never listed here, is an action: the cautious answer.
    """

    def __init__(self) -> None:
        self._tools: OrderedDict[_Server, OrderedDict[str, Hints]] = OrderedDict()

    def learn(self, request: Request, user: str | None, tools: Mapping[str, Hints]) -> None:
        """Take in what the answer to ``request`` lists. A later list holds for the tools that it names."""
        if not tools:
            return
        known = self._tools.setdefault(_server(request, user), OrderedDict())
        self._tools.move_to_end(_server(request, user))
        for name, hints in tools.items():
            known[name] = hints
            known.move_to_end(name)
        _bound(known, MAX_TOOLS)
        _bound(self._tools, MAX_SERVERS)

    def of(self, request: Request, user: str | None) -> HintsOf:
        """Return what is known of the tools that ``request`` may call."""
        return partial(self._hints, _server(request, user))

    def _hints(self, server: _Server, tool: str) -> Hints:
        known = self._tools.get(server)
        return Hints() if known is None else known.get(tool, Hints())


def _server(request: Request, user: str | None) -> _Server:
    # The target with its query, in which some servers are told what to serve.
    account = hashlib.sha256(stable_credential(request.headers)).digest()
    return str(request.origin), request.target, user, account


def _bound(known: OrderedDict[_K, _V], limit: int) -> None:
    while len(known) > limit:
        known.popitem(last=False)
