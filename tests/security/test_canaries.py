"""No secret leaves a proxy but to where it is meant to go: canaries in every input, and a look everywhere.

A proxy runs as a process with all that it has to say in its log, over a Postgres of its own. What is looked
through afterwards: its log and ready line, its admin port, all tables, the server's files with its
write-ahead log, the spool, and what the commands show. What may be found where is in ``MAY_BE``, and in
docs/secrets.md.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import asyncpg
import pytest
import trustme
from click.testing import CliRunner

from onceproxy.cli import main
from proxies import ProxyProcess
from raw_client import a_request, ask, connected
from servers import Server, free_port
from upstreams import Upstream, answer, close, raw

# All of the log, from all libraries; what a person sees who looks for a fault.
CHATTY = """
import logging
from onceproxy import logs
configure = logs.configure
def chatty(*_):
    configure(logging.DEBUG)
    logging.getLogger().setLevel(logging.DEBUG)
logs.configure = chatty
"""

USER_PASSWORD = "canary-user-password-01"
ADMIN_TOKEN = "canary-admin-token-02-long-enough-to-be-one"
DATABASE_PASSWORD = "canary-database-password-03"
KEY = b"canary-encryption-key-04-32bytes"
TICKET = "canary-header-05"
REFERENCE = "canary-reference-06"


def canary(what: str) -> str:
    """A secret of this name, as no other test and no code has it."""
    return f"canary-{what}-xyzzy"


# Of a request. Where one is to be found in spite of that, it is in MAY_BE.
REQUEST = {
    what: canary(what)
    for what in (
        *("bearer", "basic", "cookie", "api-key", "proxy-password", "key", "action", "scope", "ticket"),
        *("query", "path", "slack", "matrix", "json", "form", "multipart", "graphql", "mcp", "malformed"),
        *("tunnel", "observed", "passed", "unsent"),
    )
}
# Of an answer, and never kept.
DROPPED = {what: canary(what) for what in ("set-cookie", "www-authenticate", "redacted", "session")}
# Of an answer, and kept: in the clear only where there is no key.
KEPT = {what: canary(what) for what in ("body", "header", "reason", "evidence", "large", "probed", "spooled")}

SECRETS = {
    **REQUEST,
    **DROPPED,
    "user-password": USER_PASSWORD,
    "admin-token": ADMIN_TOKEN,
    "database-password": DATABASE_PASSWORD,
    "encryption-key": KEY.decode(),
}

CONFIG = """
users: [{name: alice, password_env: ALICE}]
encryption: {keys: [KEYS]}
tls: {upstream_ca: CA}
defaults: {secrets: {path: ["/hooks/**"], headers: [X-Ticket], query: [ref]}}
routes:
  - name: cards
    match: {path: /cards}
    redact: ["$.number"]
  - name: scoped
    match: {path: /scoped}
    scope: [proxy_user, "header:Authorization", "header:X-Ticket", "query:ref", "json:$.password"]
  - name: probed
    match: {path: /probed}
    in_doubt: probe
    probe:
      url: UPSTREAM/orders/{key}?secret={header:X-Api-Key}&ref={json:$.ref}
      happened: $.id
      settle: 0s
  - name: observed
    match: {path: /observed}
    mode: observe
  - name: passed
    match: {path: /passed}
    guard: false
  - name: graphql
    match: {path: /graphql}
    identity: {fingerprint: {body: graphql}}
  - name: mcp
    match: {path: /mcp}
    identity: {fingerprint: {body: jsonrpc}}
  - name: resent
    match: {path: /resent}
    in_doubt: resend
    upstream_window: 1h
    inject_key: {header: Idempotency-Key}
"""

BASIC = base64.b64encode(b"alice:" + USER_PASSWORD.encode()).decode()
PROXY = f"Proxy-Authorization: Basic {BASIC}"
# All that a request may carry besides, so that each of them is on each way.
CREDENTIALS = (
    PROXY,
    f"Authorization: Bearer {REQUEST['bearer']}",
    f"Cookie: session={REQUEST['cookie']}",
    f"X-Api-Key: {REQUEST['api-key']}",
    f"X-Ticket: {REQUEST['ticket']}",
    f"Onceproxy-Action: {REQUEST['action']}",
)
_numbers = count()
JSON = "Content-Type: application/json"
QUERY = f"?token={REQUEST['query']}&ref={REQUEST['query']}"
ANSWER = (
    ("Content-Type", "application/json"),
    ("X-Kept", KEPT["header"]),
    ("Set-Cookie", f"sid={DROPPED['set-cookie']}"),
    ("WWW-Authenticate", f'Basic realm="{DROPPED["www-authenticate"]}"'),
    ("Mcp-Session-Id", DROPPED["session"]),
)


def multipart() -> bytes:
    return (
        f'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n{REQUEST["multipart"]}\r\n--b--\r\n'
    ).encode()


async def plain_requests(proxy: str, upstream: Upstream) -> None:
    """All kinds of actions, each sent twice, so that there are replays."""
    body = json.dumps({"id": 1, "kept": KEPT["body"]}).encode()
    upstream.always = answer(201, body, ANSWER, reason=KEPT["reason"])
    requests = [
        post(f"{upstream.url}/pay{QUERY}", JSON, body={"password": REQUEST["json"]}),
        post(f"{upstream.url}/hooks/{REQUEST['path']}/x", JSON, body={}),
        post(f"{upstream.url}/services/T01/B02/{REQUEST['slack']}", JSON, body={}),
        post(f"{upstream.url}/files;token={REQUEST['matrix']}/x", JSON, body={}),
        post(f"{upstream.url}/scoped{QUERY}", JSON, body={"password": REQUEST["scope"]}),
        raw_post(
            f"{upstream.url}/form",
            "Content-Type: application/x-www-form-urlencoded",
            body=f"pin={REQUEST['form']}".encode(),
        ),
        raw_post(
            f"{upstream.url}/multipart", "Content-Type: multipart/form-data; boundary=b", body=multipart()
        ),
        post(
            f"{upstream.url}/graphql",
            JSON,
            body={"query": "mutation($p: String) { login(p: $p) }", "variables": {"p": REQUEST["graphql"]}},
        ),
        post(
            f"{upstream.url}/mcp",
            JSON,
            body={
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "pay", "arguments": {"token": REQUEST["mcp"]}},
            },
        ),
        post(f"{upstream.url}/observed{QUERY}", JSON, body={"password": REQUEST["observed"]}),
        post(f"{upstream.url}/passed{QUERY}", JSON, body={"password": REQUEST["passed"]}),
    ]
    for request in requests:
        for _ in (1, 2):
            assert (await ask(proxy, request)).status == 201
    basic = base64.b64encode(f"bob:{REQUEST['basic']}".encode()).decode()
    assert (
        await ask(proxy, post(f"{upstream.url}/scoped", f"Authorization: Basic {basic}", body={}))
    ).status == 201
    # Refused: another credential, another body under the same key.
    other = requests[0].replace(REQUEST["json"].encode(), REQUEST["json"].upper().encode())
    assert (await ask(proxy, other)).status == 422
    upstream.will(answer(201, json.dumps({"number": DROPPED["redacted"]}).encode(), ANSWER))
    assert (await ask(proxy, post(f"{upstream.url}/cards", JSON, body={}))).status == 201
    upstream.will(answer(201, KEPT["large"].encode() * 20_000, ANSWER))
    assert (await ask(proxy, post(f"{upstream.url}/large", JSON, body={}))).status == 201


async def doubts(proxy: str, upstream: Upstream) -> None:
    """What fails: a 5xx with evidence, cut and malformed answers, probes, resends, nobody there."""
    doubtful = (
        answer(500, KEPT["evidence"].encode(), ANSWER),
        close,
        raw(f"HTTP/1.1 201 {KEPT['reason']}\r\nContent-Length: 99\r\n\r\n{KEPT['evidence']}".encode()),
        raw(f"{KEPT['evidence']} is no HTTP\r\n\r\n".encode()),
    )
    for number, behaviour in enumerate(doubtful):
        request = post(f"{upstream.url}/doubt{number}{QUERY}", JSON, body={"password": REQUEST["json"]})
        upstream.will(behaviour)
        assert (await ask(proxy, request)).status >= 500
        assert (await ask(proxy, request)).status == 409
    probed = post(f"{upstream.url}/probed", JSON, body={"ref": REFERENCE})
    upstream.will(close, answer(200, json.dumps({"id": KEPT["probed"]}).encode(), ANSWER))
    assert (await ask(proxy, probed)).status == 502
    assert (await ask(proxy, probed)).status == 200
    absent = post(f"{upstream.url}/probed", JSON, body={"ref": REFERENCE + "2"})
    upstream.will(close, answer(404, b"", ANSWER))
    assert (await ask(proxy, absent)).status == 502
    assert (await ask(proxy, absent)).status == 201
    resent = post(f"{upstream.url}/resent", JSON, body={"password": REQUEST["json"]})
    upstream.will(close)
    assert (await ask(proxy, resent)).status == 502
    assert (await ask(proxy, resent)).status == 201
    for path in ("/nowhere", "/passed"):
        nowhere = post(f"http://127.0.0.1:{free_port()}{path}{QUERY}", JSON, body={"p": REQUEST["unsent"]})
        assert (await ask(proxy, nowhere)).status == 502


async def malformed(proxy: str, upstream: Upstream) -> None:
    """Requests that are refused, which must not be quoted."""
    secret = REQUEST["malformed"]
    target, empty = f"POST {upstream.url}/x HTTP/1.1", "Content-Length: 0"
    for lines in (
        (target, f"{secret} : x"),
        (target, f"Content-Length: {secret}"),
        (f"POST http://me:{secret}@127.0.0.1/ HTTP/1.1", PROXY),
        (f"POST http://h:{secret}/ HTTP/1.1", PROXY),
        (target, empty, f"Proxy-Authorization: Basic {secret}"),
        (target, empty, PROXY, f"Connection: cookie, {secret}"),
        (target, empty, PROXY, f"Idempotency-Key: {secret} {secret}"),
        (target.replace("POST", secret), PROXY, f"X: \x01{secret}"),
    ):
        request = "\r\n".join((*lines, "Host: h", "", ""))
        reply = await ask(proxy, request.encode("latin-1"))
        assert 400 <= reply.status <= 501, (request, reply)
        assert secret.encode() not in reply.head + reply.body, request
    wrong = base64.b64encode(f"alice:{REQUEST['proxy-password']}".encode()).decode()
    denied = a_request("POST", f"{upstream.url}/x", f"Proxy-Authorization: Basic {wrong}", body=b"")
    assert (await ask(proxy, denied)).status == 407


async def in_a_tunnel(process: ProxyProcess, secure: Upstream) -> None:
    context = ssl.create_default_context(cafile=str(process.data_dir / "ca" / "ca-cert.pem"))
    authority = f"localhost:{secure.port}"
    secure.always = answer(201, json.dumps({"kept": KEPT["body"]}).encode(), ANSWER)
    async with connected(process.url) as client:
        assert (await client.connect(authority, PROXY)).status == 200
        await client.secure(context, "localhost")
        request = post(
            f"/hooks/{REQUEST['tunnel']}{QUERY}", JSON, f"Host: {authority}", body={"p": REQUEST["tunnel"]}
        )
        for _ in (1, 2):
            assert (await client.ask(request)).status == 201


async def while_the_store_is_away(process: ProxyProcess, upstream: Upstream, server: Server) -> Path:
    """An answer that has to be spooled; the proxy is killed then, and the record stays."""
    spool = process.data_dir / "spool"
    arrived = len(upstream.requests)
    go_on = asyncio.Event()

    async def behave(talk: object) -> None:
        await go_on.wait()
        await answer(201, KEPT["spooled"].encode() * 1000, ANSWER)(talk)  # type: ignore[arg-type]

    upstream.will(behave)
    request = post(f"{upstream.url}/spooled{QUERY}", JSON, body={"password": REQUEST["json"]})
    async with connected(process.url) as client:
        await client.send(request)
        await upstream.arrived(arrived + 1)
        await server.stop()
        go_on.set()
        await process.says("receipt-spooled")
        await process.kill()
    await server.start()
    return next(spool.glob("*.receipt"))


def post(target: str, *lines: str, body: object) -> bytes:
    return raw_post(target, *lines, body=json.dumps(body).encode())


def raw_post(target: str, *lines: str, body: bytes) -> bytes:
    own = {line.partition(":")[0] for line in lines}
    key = f"Idempotency-Key: {REQUEST['key']}-{next(_numbers)}"
    credentials = [key, *(line for line in CREDENTIALS if line.partition(":")[0] not in own)]
    if target.startswith("/"):
        credentials.remove(PROXY)
    return a_request("POST", target, *credentials, *lines, body=body)


class Found:
    """What was found, by the place where it was looked for."""

    def __init__(self) -> None:
        self.stems = _forms(b"canary-")  # as all of them begin
        self._near: dict[str, set[bytes]] = {}

    def add(self, place: str, *data: bytes) -> None:
        """Look for the beginnings of secrets: as they are, in base64, in hexadecimal digits."""
        near = self._near.setdefault(place, set())
        for text in data:
            for stem in self.stems:
                at = text.find(stem)
                while at >= 0:
                    near.add(text[max(0, at - 8) : at + 120])
                    at = text.find(stem, at + 1)

    def of(self, secrets: dict[str, str]) -> set[tuple[str, str]]:
        """The names of secrets that are anywhere, and where."""
        return {
            (name, place)
            for place, near in self._near.items()
            for name, secret in secrets.items()
            if any(form in text for text in near for form in _forms(secret.encode()))
        }


def _forms(secret: bytes) -> list[bytes]:
    """A secret as it is, and as parts of longer texts in base64 (at each of the three offsets) and hex."""
    coded = [base64.b64encode(b"\0" * skip + secret)[4 if skip else 0 : -4] for skip in (0, 1, 2)]
    return [secret, secret.hex().encode(), *coded]


async def look_everywhere(found: Found, process: ProxyProcess, server: Server, url: str) -> None:
    found.add("log", "\n".join(process.log).encode())
    connection = await asyncpg.connect(url)
    try:
        for (table,) in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            rows = await connection.fetch(f"SELECT {table}::text AS row FROM {table}")
            found.add("tables", *(re.sub(rb"\\+x([0-9a-f]+)", _bytes, row["row"].encode()) for row in rows))
    finally:
        await connection.close()
    await server.execute("CHECKPOINT")
    for path in server.cluster.directory.rglob("*"):
        if path.is_file():
            where = "server's log" if path == server.cluster.log else "data directory"
            found.add(where, await asyncio.to_thread(path.read_bytes))


def _bytes(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode()) if len(match[1]) % 2 == 0 else match[0]


async def ask_admin(found: Found, process: ProxyProcess) -> None:
    for path in ("/metrics", "/healthz", "/readyz", "/", "/api/receipts"):
        for lines in ((), (f"Authorization: Bearer {ADMIN_TOKEN}",)):
            request = a_request("GET", path, "Connection: close", *lines)
            reply = await ask(process.admin_url, request)
            found.add("admin", reply.head, reply.body)


async def run_commands(found: Found, process: ProxyProcess, upstream: Upstream) -> None:
    listed = await command(process, "receipts", "list", "--json")
    ids = [json.loads(line)["request_id"] for line in listed.splitlines()]
    assert len(ids) > 15
    found.add("receipts", listed, await command(process, "receipts", "list"))
    for one in ids:
        shown = await command(process, "receipts", "show", one, "--json")
        found.add("receipts", shown)
    found.add("receipts", await command(process, "receipts", "show", ids[0]))
    lines = [word for line in (*CREDENTIALS[1:], JSON) for word in ("-H", line)]
    lines += ["-H", f"Idempotency-Key: {REQUEST['key']}"]
    data = ("-d", json.dumps({"password": REQUEST["json"], "n": [{"token": REQUEST["mcp"]}]}))
    for target in (f"/hooks/{REQUEST['path']}/x{QUERY}", f"/scoped;token={REQUEST['matrix']}{QUERY}"):
        for more in ((), ("--json",), ("--against-url", f"{upstream.url}/pay{QUERY}2")):
            said = await command(process, "explain", "POST", upstream.url + target, *lines, *data, *more)
            found.add("explain", said)
    form = ("-H", "Content-Type: multipart/form-data; boundary=b", "-d", multipart().decode())
    found.add("explain", await command(process, "explain", "POST", f"{upstream.url}/multipart", *form))
    found.add("check", await command(process, "check", database=False))


async def command(process: ProxyProcess, *words: str, database: bool = True) -> bytes:
    place = ["--config", str(process.data_dir / "onceproxy.yaml")]
    if database:
        place += ["--database", process.database]
    ran = await asyncio.to_thread(CliRunner(env=process.environment).invoke, main, [*words, *place])
    assert ran.exit_code == 0, ran.output
    return ran.output.encode()


# What is found all the same, and why: docs/secrets.md.
MAY_BE = {("key", "explain")}  # who asks has given it, and wants to know which it was
# Answers, where no key is set.
IN_THE_CLEAR = {("body", "tables"), ("header", "tables"), ("reason", "tables"), ("evidence", "tables")} | {
    *(("large", "tables"), ("probed", "tables"), ("spooled", "spool"), ("header", "spool"))
}
SHOWN = {("header", "receipts"), ("reason", "receipts")}  # to operators, whether it is encrypted or not


@asynccontextmanager
async def everything(
    tmp_path: Path, server: Server, *, encrypted: bool
) -> AsyncIterator[tuple[Found, dict[str, str]]]:
    """A proxy through which all the canaries have gone, and all that there is to look through."""
    found = Found()
    await server.execute(f"ALTER USER postgres PASSWORD '{DATABASE_PASSWORD}'")
    url = server.url.replace("@", f":{DATABASE_PASSWORD}@")
    (tmp_path / "sitecustomize.py").write_text(CHATTY)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    keys = "{id: k1, key_env: A_KEY}" if encrypted else ""
    async with Upstream() as upstream, Upstream(tls=context) as secure:
        config = CONFIG.replace("KEYS", keys).replace("CA}", f"{tmp_path / 'roots.pem'}}}")
        environment = {
            "PYTHONPATH": str(tmp_path),
            "ALICE": USER_PASSWORD,
            "A_KEY": base64.b64encode(KEY).decode(),
            "ADMIN": ADMIN_TOKEN,
        }
        process = ProxyProcess(
            tmp_path / "data",
            url,
            config.replace("UPSTREAM", upstream.url),
            "listen: '127.0.0.1:0', token_env: ADMIN",
            environment=environment,
        )
        async with process:
            ca_key = (process.data_dir / "ca" / "ca-key.pem").read_bytes().splitlines()[1]
            found.stems.append(ca_key)
            await plain_requests(process.url, upstream)
            await doubts(process.url, upstream)
            await malformed(process.url, upstream)
            await in_a_tunnel(process, secure)
            await ask_admin(found, process)
            await run_commands(found, process, upstream)
            record = await while_the_store_is_away(process, upstream, server)
            found.add("spool", record.read_bytes())
        await look_everywhere(found, process, server, url)
        await process.says("decision")
        secrets = SECRETS | {"ca-key": ca_key.decode()}
        yield found, secrets


@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
async def test_no_canary_is_where_it_should_not_be(
    tmp_path: Path, server: Server, *, encrypted: bool
) -> None:
    async with everything(tmp_path, server, encrypted=encrypted) as (found, secrets):
        assert found.of(secrets) == MAY_BE
        kept = found.of(KEPT) - SHOWN
        if encrypted:
            assert kept == set()
        else:
            assert {(name, place) for name, place in kept if place != "data directory"} == IN_THE_CLEAR
