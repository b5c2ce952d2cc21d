"""What every page of the admin listener gets for free, shown on one that is only here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import pytest
from aiohttp import web

from onceproxy.admin.application import COOKIE, OPEN, SECURITY_HEADERS, guarded_application, proof_of
from onceproxy.admin.door import Door
from raw_client import Reply, a_request, ask

TOKEN = "a-token-of-some-length"
FORM = "Content-Type: application/x-www-form-urlencoded"
BROWSER = "Accept: text/html,*/*"


class Site:
    """A listener with one page that shows its proof, one that changes something, and the open ones."""

    def __init__(self, token: str | None) -> None:
        self.changed = 0
        self.url = ""
        application = guarded_application(Door(token, (), lambda: 1_000_000.0))
        application.router.add_get("/page", self._page)
        application.router.add_post("/change", self._change)
        for path in OPEN:
            application.router.add_get(path, self._open)
        self.runner = web.AppRunner(application, access_log=None)

    async def start(self) -> None:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def get(self, path: str, *lines: str) -> Reply:
        return await ask(self.url, a_request("GET", path, *lines, *self._host(lines)))

    async def post(self, path: str, *lines: str, body: bytes = b"") -> Reply:
        return await ask(self.url, a_request("POST", path, *lines, *self._host(lines), body=body))

    async def log_in(self) -> str:
        """Log in as a browser does; return the header line of its cookie."""
        reply = await self.post("/login", FORM, body=urlencode({"token": TOKEN}).encode())
        assert reply.status == 303
        return f"Cookie: {COOKIE}={SimpleCookie(reply.one('Set-Cookie'))[COOKIE].value}"

    def _host(self, lines: tuple[str, ...]) -> list[str]:
        named = any(line.startswith("Host:") for line in lines)
        return [] if named else [f"Host: {self.url.removeprefix('http://')}"]

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=proof_of(request))

    async def _change(self, request: web.Request) -> web.Response:
        self.changed += 1
        return web.Response(text="changed")

    async def _open(self, request: web.Request) -> web.Response:
        return web.Response(text="alive")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site(TOKEN)
    await site.start()
    yield site
    await site.runner.cleanup()


@pytest.fixture
async def without_token() -> AsyncIterator[Site]:
    site = Site(None)
    await site.start()
    yield site
    await site.runner.cleanup()


async def test_without_the_token_only_probes_are_answered(site: Site) -> None:
    for path in OPEN:
        for lines in ((), ("Host: a-name-of-the-cluster",)):
            assert (await site.get(path, *lines)).status == 200
    for path in ("/page", "/nowhere", "/healthz/", "//healthz", "/healthz%2f..%2fpage", "/login/x"):
        reply = await site.get(path)
        assert (reply.status, reply.one("WWW-Authenticate")) == (401, 'Bearer realm="onceproxy admin"')
        assert json.loads(reply.body)["status"] == 401
    assert (await site.post("/change")).status == 401
    assert (await site.post("/healthz")).status == 401
    assert (await site.post("/logout")).status == 401
    assert site.changed == 0


async def test_a_program_brings_the_token(site: Site) -> None:
    assert (await site.get("/page", f"Authorization: Bearer {TOKEN}")).status == 200
    assert (await site.post("/change", f"Authorization: Bearer {TOKEN}")).body == b"changed"
    assert (await site.get("/page", "Authorization: Bearer wrong")).status == 401
    assert (await site.get(f"/page?token={TOKEN}")).status == 401, "URLs end up in logs"


async def test_a_person_logs_in(site: Site) -> None:
    sent_there = await site.get("/page", BROWSER)
    page = await site.get("/login", BROWSER)
    wrong = await site.post("/login", FORM, body=b"token=wrong")
    strange = await site.post("/login", FORM + "; charset=none", body=b"token=%ff")
    cookie = await site.log_in()
    shown = await site.get("/page", cookie)

    assert (sent_there.status, sent_there.one("Location")) == (303, "/login")
    assert (page.status, b'name="token"' in page.body) == (200, True)
    assert (wrong.status, wrong.all("Set-Cookie")) == (401, [])
    assert strange.status == 401
    assert shown.status == 200

    assert (await site.post("/change", cookie)).status == 403
    assert (await site.post("/change", cookie, "X-CSRF-Token: wrong")).status == 403
    assert site.changed == 0
    proof = shown.body.decode()
    assert (await site.post("/change", cookie, f"X-CSRF-Token: {proof}")).status == 200
    assert (await site.post("/change", cookie, FORM, body=f"csrf_token={proof}".encode())).status == 200
    assert site.changed == 2

    out = await site.post("/logout", cookie, f"X-CSRF-Token: {proof}")
    assert SimpleCookie(out.one("Set-Cookie"))[COOKIE].value == ""


async def test_the_cookie_is_for_this_site_alone(site: Site) -> None:
    reply = await site.post("/login", FORM, body=urlencode({"token": TOKEN}).encode())

    attributes = {part.strip().split("=")[0].lower() for part in reply.one("Set-Cookie").split(";")[1:]}
    assert {"httponly", "samesite", "path", "max-age"} <= attributes
    assert "domain" not in attributes
    assert "SameSite=Strict" in reply.one("Set-Cookie")


@pytest.mark.parametrize(
    "line", ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Origin: null"]
)
async def test_another_site_changes_nothing(line: str, site: Site, without_token: Site) -> None:
    cookie = await site.log_in()
    proof = (await site.get("/page", cookie)).body.decode()

    assert (await site.post("/change", line, cookie, f"X-CSRF-Token: {proof}")).status == 403
    assert (await site.post("/login", line, FORM, body=b"token=" + TOKEN.encode())).status == 403
    assert (await without_token.post("/change", line)).status == 403
    assert (site.changed, without_token.changed) == (0, 0)


async def test_another_name_for_this_address_is_not_answered(site: Site, without_token: Site) -> None:
    for lines in (("Host: evil.example",), ("Host: evil.example", f"Authorization: Bearer {TOKEN}")):
        assert (await site.get("/page", *lines)).status == 403
        assert (await site.get("/login", *lines)).status == 403
        assert (await without_token.get("/page", *lines)).status == 403
        assert (await without_token.post("/change", *lines)).status == 403


async def test_without_a_token_there_is_no_login(without_token: Site) -> None:
    assert (await without_token.get("/page")).status == 200
    assert (await without_token.post("/change")).status == 200
    assert (await without_token.get("/login")).status == 404


async def test_every_answer_says_what_a_browser_may_do_with_it(site: Site) -> None:
    cookie = await site.log_in()
    proof = (await site.get("/page", cookie)).body.decode()
    for reply in (
        await site.get("/healthz"),
        await site.get("/page", cookie),
        await site.get("/page"),
        await site.get("/page", BROWSER),
        await site.get("/nowhere", cookie),
        await site.get("/change", cookie),
        await site.post("/change", cookie, f"X-CSRF-Token: {proof}"),
        await site.get("/login"),
        await site.get("/page", "Host: evil.example"),
    ):
        assert {name: reply.one(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
