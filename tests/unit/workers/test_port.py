"""A port is shared with our own workers, and with nobody else."""

from __future__ import annotations

import socket

import pytest

from onceproxy.workers.port import SharedPort

LOOPBACK = "127.0.0.1"


def listening(number: int, *, shares: bool) -> socket.socket:
    """A server as asyncio makes it."""
    server = socket.socket()
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
        server.bind((LOOPBACK, number))
        server.listen()
    except BaseException:
        server.close()
        raise
    return server


async def test_who_shares_is_let_in_and_nobody_else() -> None:
    port = await SharedPort.take(LOOPBACK, 0)
    try:
        with pytest.raises(OSError, match="in use"):
            listening(port.number, shares=False)
        with pytest.raises(OSError, match="in use"):
            await SharedPort.take(LOOPBACK, port.number)
        with (
            listening(port.number, shares=True),
            listening(port.number, shares=True),
            pytest.raises(OSError, match="in use"),
        ):
            await SharedPort.take(LOOPBACK, port.number)
    finally:
        port.release()
    with listening(port.number, shares=False):
        pass


@pytest.mark.parametrize("shares", [False, True])
async def test_one_that_somebody_listens_on_is_taken(shares: bool) -> None:
    with listening(0, shares=shares) as somebody, pytest.raises(OSError, match="in use"):
        await SharedPort.take(LOOPBACK, somebody.getsockname()[1])


async def test_nothing_is_taken_in_where_no_worker_listens() -> None:
    port = await SharedPort.take(LOOPBACK, 0)
    try:
        with pytest.raises(ConnectionRefusedError), socket.create_connection((LOOPBACK, port.number)):
            pass
    finally:
        port.release()


async def test_connections_of_a_former_process_that_linger_keep_nobody_out() -> None:
    first = await SharedPort.take(LOOPBACK, 0)
    with (
        listening(first.number, shares=True) as server,
        socket.create_connection((LOOPBACK, first.number)) as client,
    ):
        server.accept()[0].close()  # who closes first has it linger
        assert client.recv(1) == b""
    first.release()

    again = await SharedPort.take(LOOPBACK, first.number)

    again.release()


async def test_all_addresses_of_a_name_get_the_same_port() -> None:
    port = await SharedPort.take("localhost", 0)
    families = {one.family for one in port._sockets}
    numbers = {one.getsockname()[1] for one in port._sockets}
    port.release()

    assert numbers == {port.number}
    assert families <= {socket.AF_INET, socket.AF_INET6}
