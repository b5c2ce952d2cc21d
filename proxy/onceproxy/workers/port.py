"""The port that workers share: each listens on it for itself, and the kernel spreads connections over them.

One listening socket for all would let whichever wakes up first take a whole burst, while its siblings idle.
"""

from __future__ import annotations

import asyncio
import socket
import sys

# Elsewhere SO_REUSEPORT is missing, or means that the last one to listen gets all.
SPREADS = sys.platform == "linux"


class SharedPort:
    """A port that is ours to share: bound here, where nobody listens, so that no other program can take it.

    It stays ours while no worker listens, and is let go of with this process, however that ends.
    """

    def __init__(self, sockets: list[socket.socket], number: int) -> None:
        self._sockets = sockets
        self.number = number

    @classmethod
    async def take(cls, host: str, number: int) -> SharedPort:
        """Take a port on all addresses of ``host`` (0: a free one). Raises ``OSError`` if it is taken."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        sockets: list[socket.socket] = []
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                sockets.append(_taken(family, (address[0], number, *address[2:])))
                number = sockets[0].getsockname()[1]
        except BaseException:
            for one in sockets:
                one.close()
            raise
        return cls(sockets, number)

    def release(self) -> None:
        """Let go of it."""
        for one in self._sockets:
            one.close()


def _taken(family: int, address: tuple[str | int, ...]) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # as servers do, to have both
        # Connections of a former process may linger. With SO_REUSEPORT from the beginning, we would be let in
        # beside the workers of another supervisor.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)
        # From here on only those are let in that share: our workers.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except BaseException:
        one.close()
        raise
    return one
