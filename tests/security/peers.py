"""Other people's servers, started on loopback, that tell what requests they read."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from listening import calling
from servers import free_port

PATIENCE = 30.0  # seconds for a server to start, or to answer

NODE = """
require('node:http').createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const { method, url, rawHeaders } = request;
    const body = Buffer.concat(pieces).toString('base64');
    process.stdout.write(JSON.stringify({ method, url, rawHeaders, body }) + '\\n', () => response.end());
  });
}).listen(Number(process.argv[1]), '127.0.0.1');
"""

NGINX = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log;
events {{ }}
http {{
  log_format seen escape=json '{{"method":"$request_method","url":"$request_uri","size":$request_length,'
    '"body":"$request_body","status":$status}}';
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  client_body_buffer_size 1m; underscores_in_headers on;
  server {{
    listen 127.0.0.1:{port}; access_log {directory}/seen.log seen;
    location / {{ proxy_pass http://127.0.0.1:{inner}; }}
  }}
  server {{ listen 127.0.0.1:{inner}; access_log off; location / {{ return 200; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as a server read it; what it does not tell is None. Texts are in Latin-1."""

    method: str
    target: str
    body: bytes
    headers: tuple[tuple[str, str], ...] | None = None
    size: int | None = None


class Peer(ABC):
    """A server that runs. ``name`` is its program's."""

    name: str
    encoding: str

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.directory = directory
        self._read = 0

    @abstractmethod
    def command(self) -> list[str]:
        """How it is started."""

    @property
    @abstractmethod
    def log(self) -> Path:
        """Where it writes a line for each request that it has read."""

    @abstractmethod
    def read(self, line: str) -> Seen | None:
        """Read such a line; None for a request that it refused."""

    async def hears(self, data: bytes, requests: int) -> list[Seen] | None:
        """Send it bytes on a connection of their own; return the requests it sees, None if it refuses one."""
        async with asyncio.timeout(PATIENCE), calling(("127.0.0.1", self.port)) as (reader, writer):
            writer.write(data)
            told = b""
            while told.count(b"HTTP/1.1 ") < requests and (more := await reader.read(1 << 16)):
                told += more
            if b"HTTP/1.1 400 " in told:
                return None
            seen: list[Seen] = []
            while len(seen) < requests:
                seen += self._news()
                await asyncio.sleep(0)  # it answers before it writes its log
        return seen

    def _news(self) -> list[Seen]:
        with self.log.open("rb") as log:
            log.seek(self._read)
            whole = log.read().rpartition(b"\n")[0]
        if not whole:
            return []
        self._read += len(whole) + 1
        # Not by splitlines: to that some bytes of a text are line ends.
        lines = whole.decode(self.encoding).split("\n")
        return [one for one in map(self.read, lines) if one is not None]


class Node(Peer):
    """Node's own HTTP server."""

    name = "node"
    encoding = "utf-8"

    def command(self) -> list[str]:
        return ["node", "-e", NODE, str(self.port)]

    @property
    def log(self) -> Path:
        return self.directory / "output"

    def read(self, line: str) -> Seen:
        told = json.loads(line)
        headers = tuple(zip(told["rawHeaders"][::2], told["rawHeaders"][1::2], strict=True))
        return Seen(told["method"], told["url"], base64.b64decode(told["body"]), headers)


class Nginx(Peer):
    """nginx, passing requests on to itself, so that it reads the bodies."""

    name = "nginx"
    encoding = "latin-1"

    def command(self) -> list[str]:
        config = self.directory / "nginx.conf"
        config.write_text(NGINX.format(directory=self.directory, port=self.port, inner=free_port()))
        return ["nginx", "-c", str(config), "-e", str(self.directory / "error.log")]

    @property
    def log(self) -> Path:
        return self.directory / "seen.log"

    def read(self, line: str) -> Seen | None:
        told = json.loads(line)
        if told["status"] == 400:
            return None
        return Seen(told["method"], told["url"], told["body"].encode("latin-1"), size=told["size"])


@asynccontextmanager
async def running(kind: type[Peer], directory: Path) -> AsyncIterator[Peer]:
    """Start a server, wait until it listens, and stop it at the end."""
    peer = kind(free_port(), directory)
    with (directory / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(*peer.command(), stdout=output, cwd=directory)
    try:
        await _listens(peer.port)
        yield peer
    finally:
        process.terminate()
        await process.wait()


def installed(kind: type[Peer]) -> bool:
    """Whether there is such a server."""
    return shutil.which(kind.name) is not None


async def _listens(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                async with calling(("127.0.0.1", port)):
                    return
            except OSError:
                await asyncio.sleep(0.02)
