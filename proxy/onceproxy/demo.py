"""`make demo`: the story of a lost answer, played with a real proxy on real sockets.

A payment API takes a payment and its answer is lost; the client does what clients do and retries. First
without the proxy, then with it. Ends by itself, and exits with 1 if it did not come out as told.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import click

from onceproxy import logs
from onceproxy.config.model import Address, Admin, Settings
from onceproxy.serve import start
from onceproxy.terminal import has_colours

CLIENT_TIMEOUT = 1.0  # seconds until the client gives a try up
ANY_PORT = Address("127.0.0.1", 0)
SLOW = 1.6  # seconds that a slow answer takes: the client has left by then


@dataclass
class PaymentApi:
    """A payment API that charges at once. ``mode`` is what becomes of its answers: ``late`` or ``lost``."""

    mode: str = "late"
    charges: list[str] = field(default_factory=list)
    _at_work: set[asyncio.Task[None]] = field(default_factory=set)

    async def idle(self) -> None:
        """Wait until all payments that were begun have ended."""
        await asyncio.gather(*self._at_work)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one payment and close the connection."""
        task = asyncio.current_task()
        assert task is not None
        self._at_work.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            payment = json.loads(await reader.readexactly(length))
            self.charges.append(f"ch_{len(self.charges) + 1}")
            click.echo(f"    api:    charged {payment['amount']} EUR as {self.charges[-1]}")
            if self.mode == "lost":
                click.echo("    api:    …and the line breaks before the answer is out")
                return
            await asyncio.sleep(SLOW)
            answer = json.dumps({"charge": self.charges[-1]}).encode()
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(answer) + answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            click.echo("    api:    nobody is there to hear the answer")
        finally:
            self._at_work.discard(task)
            writer.close()


@dataclass
class Ended:
    """How a client's tries ended: ``status`` of the last answer, and its words; 0 if there was none."""

    status: int
    words: str
    replayed: bool = False


def pay_with_retries(url: str, proxy: str | None, key: str) -> Ended:
    """Do what a payment client does: try, give up after a second, and try again, three times at most."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy} if proxy else {}))
    body = json.dumps({"amount": 100, "order": key}).encode()
    for attempt in (1, 2, 3):
        request = urllib.request.Request(  # noqa: S310 (the demo's own http:// URL)
            url, body, {"Content-Type": "application/json", "Idempotency-Key": key}, method="POST"
        )
        click.echo(f"    client: pays 100 EUR for {key}, try {attempt}")
        try:
            with opener.open(request, timeout=CLIENT_TIMEOUT) as response:
                replayed = response.headers.get("Idempotency-Replayed") == "true"
                ended = Ended(response.status, response.read().decode(), replayed)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            ended = Ended(error.code, problem["type"].rpartition(":")[2])
        except (OSError, ValueError) as error:
            click.echo(f"    client: no answer ({type(error).__name__})")
            continue
        extra = ", from the receipt" if ended.replayed else ""
        click.echo(f"    client: {ended.status} {ended.words}{extra}")
        if ended.status in (201, 409):
            return ended
    return Ended(0, "no answer at all")


async def play() -> bool:
    """Play the three acts; return whether each came out as told."""
    api = PaymentApi()
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/payments"
    fine = True

    def act(title: str) -> None:
        api.charges.clear()
        click.secho(f"\n{title}", bold=True, color=_colours())

    def told(expected: int, as_told: bool, moral: str) -> None:
        nonlocal fine
        right = as_told and len(api.charges) == expected
        fine = fine and right
        mark = click.style("as told", fg="green") if right else click.style("NOT AS TOLD", fg="red")
        click.echo(f"  → charges: {len(api.charges)}. {moral} [{mark}]", color=_colours())

    act("1. Without onceproxy: the answer comes too late, the client retries")
    ended = await asyncio.to_thread(pay_with_retries, url, None, "order-1")
    await api.idle()
    told(3, ended.status == 0, "The customer paid three times.")

    with tempfile.TemporaryDirectory(prefix="onceproxy-demo-") as directory:
        click.echo("\nStarting onceproxy with a Postgres of its own…")
        settings = Settings(listen=ANY_PORT, admin=Admin(listen=ANY_PORT), data_dir=Path(directory))
        async with await start(settings) as proxy:
            act("2. With onceproxy: the same client, the same slow answer")
            ended = await asyncio.to_thread(pay_with_retries, url, proxy.url, "order-2")
            told(1, ended.status == 201 and ended.replayed, "The retry got the first try's answer.")

            api.mode = "lost"
            act("3. With onceproxy: the API charges, and its answer is lost on the way")
            ended = await asyncio.to_thread(pay_with_retries, url, proxy.url, "order-3")
            told(
                1,
                (ended.status, ended.words) == (409, "outcome-unknown"),
                "Nobody can know from here, so it is not sent again, and the client is told to look.",
            )
    server.close()
    await server.wait_closed()
    return fine


def _colours() -> bool | None:
    """Leave it to click, which knows no NO_COLOR."""
    return None if has_colours(sys.stdout) else False


def main() -> None:
    """Play the story and exit with 0 if it came out as told."""
    logs.configure(logging.ERROR)  # the story is told in plain words
    click.echo("onceproxy: what becomes of a payment whose answer is lost")
    sys.exit(0 if asyncio.run(play()) else 1)


if __name__ == "__main__":
    main()
