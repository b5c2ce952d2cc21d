"""The upstream of all benchmarks: nginx with one worker, which answers when it has read the whole request."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import trustme

from benchmarks.asking import Target
from benchmarks.running import DidNotStart, free_port, running

HOST = "localhost"

# An answer by `return` alone would come before the body was read. A mirrored request reads it, then the file
# that is not there leads on to the answer.
_CONFIG = """
worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; log_not_found off; keepalive_requests 1000000000; lingering_close off;
  client_max_body_size 100m; client_body_buffer_size 1m; client_body_temp_path {directory}/bodies;
  server {{
    listen 127.0.0.1:{port} backlog=1024; listen 127.0.0.1:{tls} ssl backlog=1024;
    ssl_certificate {directory}/upstream.pem; ssl_certificate_key {directory}/upstream.key;
    root {directory}/none;
    location = /requests {{ stub_status; }}
    location / {{ mirror /read; error_page 404 405 =200 @answer; }}
    location = /read {{ internal; return 204; }}
    location @answer {{ default_type text/plain; return 200 $http_x_number; }}
  }}
  log_format handshake "$server_port $ssl_session_reused";
  {closing}
}}
"""

# Closes each connection, so that each request has a handshake of its own; ``resuming`` says whether in full.
_CLOSING = """
  server {{
    listen 127.0.0.1:{port} ssl backlog=1024; keepalive_timeout 0;
    access_log {directory}/handshakes handshake;
    ssl_certificate {directory}/upstream.pem; ssl_certificate_key {directory}/upstream.key;
    ssl_protocols {version}; {resuming}
    root {directory}/none;
    location / {{ mirror /read; error_page 404 405 =200 @answer; }}
    location = /read {{ internal; return 204; }}
    location @answer {{ default_type text/plain; return 200 $http_x_number; }}
  }}
"""
_VERSIONS = ("TLSv1.2", "TLSv1.3")
_RESUMING = ("ssl_session_cache off; ssl_session_tickets off; ssl_conf_command NumTickets 0;", "")


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where it listens, and the root that its certificate for ``HOST`` hangs from.

    ``closing``: by the version of TLS, the ports where it closes each connection: one where it resumes no
    session, and one where it does. ``handshakes`` has a line for each request on these.
    """

    port: int
    tls_port: int
    roots: Path
    closing: Mapping[str, tuple[int, int]]
    handshakes: Path

    @property
    def direct(self) -> Target:
        """For requests that come without a proxy."""
        return Target("", f"127.0.0.1:{self.port}")

    @property
    def forward(self) -> Target:
        """For requests that go through a proxy in plain."""
        return Target(f"http://127.0.0.1:{self.port}", f"127.0.0.1:{self.port}")

    @property
    def inside(self) -> Target:
        """For requests inside a tunnel."""
        return Target("", f"{HOST}:{self.tls_port}")

    def requests(self) -> int:
        """Return how many requests have arrived so far, this question among them."""
        with urlopen(f"{self.forward.before}/requests") as answer:
            numbers = re.findall(rb"\d+", answer.read())
        return int(numbers[3])


@asynccontextmanager
async def upstream(directory: Path) -> AsyncIterator[Upstream]:
    """Run it."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/bin")
    if nginx is None:
        raise DidNotStart("nginx is needed as the upstream: apt install nginx-light")
    authority = trustme.CA()
    leaf = authority.create_child_ca().issue_cert(HOST)  # as most are: not by a root itself
    leaf.private_key_pem.write_to_path(directory / "upstream.key")
    for number, part in enumerate(leaf.cert_chain_pems):
        part.write_to_path(directory / "upstream.pem", append=number > 0)
    authority.cert_pem.write_to_path(directory / "roots.pem")
    port, tls = free_port(), free_port()
    closing = {version: (free_port(), free_port()) for version in _VERSIONS}
    servers = "".join(
        _CLOSING.format(directory=directory, port=at, version=version, resuming=resuming)
        for version, ports in closing.items()
        for at, resuming in zip(ports, _RESUMING, strict=True)
    )
    config = _CONFIG.format(directory=directory, port=port, tls=tls, closing=servers)
    (directory / "nginx.conf").write_text(config)
    command = (nginx, "-p", directory, "-c", directory / "nginx.conf")
    async with running("nginx", command, port, directory):
        yield Upstream(port, tls, directory / "roots.pem", closing, directory / "handshakes")
