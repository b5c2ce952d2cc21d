"""What servers of MCP say of their tools, as far as their lists came by."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial

from onceproxy.core.credential import stable_credential
from onceproxy.core.jsonrpc import Hints, HintsOf
from onceproxy.core.messages import Request

MAX_SERVERS = 1000
MAX_TOOLS = 1000  # of one server

_Server = tuple[str, bytes, bytes]


class Annotations:
    """Remembers tools by server and by who asks, whatever the session; those used last, if many.

    Who asks is the proxy's user and the upstream credential: a server may have other tools for each account.
    Where there is no room, the user who has the most gives way: nobody makes another one's be forgotten.

    What is forgotten, or was never listed here, is an action: the cautious answer.
    """

    def __init__(self) -> None:
        self._tools: dict[str | None, OrderedDict[_Server, OrderedDict[str, Hints]]] = {}
        self._servers = 0

    def learn(self, request: Request, user: str | None, tools: Mapping[str, Hints]) -> None:
        """Take in what the answer to ``request`` lists. A later list holds for the tools that it names."""
        if not tools:
            return
        server, servers = _server(request), self._tools.setdefault(user, OrderedDict())
        if server not in servers:
            servers[server] = OrderedDict()
            self._servers += 1
        servers.move_to_end(server)
        known = servers[server]
        for name, hints in tools.items():
            known[name] = hints
            known.move_to_end(name)
        while len(known) > MAX_TOOLS:
            known.popitem(last=False)
        while self._servers > MAX_SERVERS:
            self._forget_one()

    def of(self, request: Request, user: str | None) -> HintsOf:
        """Return what is known of the tools that ``request`` may call."""
        return partial(self._hints, user, request)

    def _hints(self, user: str | None, request: Request, tool: str) -> Hints:
        servers = self._tools.get(user)
        known = servers.get(_server(request)) if servers is not None else None
        return Hints() if known is None else known.get(tool, Hints())

    def _forget_one(self) -> None:
        user = max(self._tools, key=lambda one: len(self._tools[one]))
        self._tools[user].popitem(last=False)
        self._servers -= 1
        if not self._tools[user]:
            del self._tools[user]


def _server(request: Request) -> _Server:
    # The target with its query, in which some servers are told what to serve.
    account = hashlib.sha256(stable_credential(request.headers)).digest()
    return str(request.origin), request.target, account
