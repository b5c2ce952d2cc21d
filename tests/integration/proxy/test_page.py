"""The page without a browser: what it tells, what its forms do, and that texts of others stay texts."""

from __future__ import annotations

import base64
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import asyncpg
import pytest

from filling import fill
from integration.proxy.conftest import StartProxy
from integration.proxy.documents import FORM, Document, Reader, owed
from integration.store.relay import Relay
from onceproxy.admin.application import COOKIE
from onceproxy.serve import Proxy
from raw_client import ask, post
from upstreams import Upstream, answer, close, raw

TOKEN = "a-token-of-some-length"
PAGES = ("/", "/unknown", "/receipts", "/routes", "/instances")
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;"


@pytest.fixture
def page(proxy: Proxy) -> Reader:
    return Reader(proxy)


async def lost(proxy: Proxy, upstream: Upstream, path: str = "/lost", *lines: str) -> str:
    """Lose an answer; return the receipt's page."""
    upstream.will(close)
    reply = await post(proxy.url, f"{upstream.url}{path}", *lines)
    return "/receipts/" + reply.one("Onceproxy-Request-Id")


async def events(database: asyncpg.Connection, kind: str) -> list[str]:
    return [row["detail"] for row in await database.fetch("SELECT detail FROM events WHERE kind = $1", kind)]


async def test_all_pages_can_be_read_by_all(page: Reader, proxy: Proxy, upstream: Upstream) -> None:
    empty = [await page.get(path) for path in PAGES]
    receipt = await lost(proxy, upstream)
    for path in (*PAGES, receipt, f"{receipt}/happened", f"{receipt}/did-not-happen"):
        document = await page.get(path)
        assert (document.status, list(owed(document))) == (200, []), path
    assert [list(owed(document)) for document in empty] == [[]] * len(PAGES)
    form = await page.get(f"{receipt}/happened")
    for fields in (form.fields(), form.fields(note="n", step="review")):
        assert list(owed(Document.of(await page.send(form.action, fields)))) == []


async def test_an_unknown_outcome_comes_first_with_its_evidence(
    page: Reader, proxy: Proxy, upstream: Upstream
) -> None:
    receipt = await lost(proxy, upstream, "/charges")

    overview = await page.get("/")

    [card] = [one for one in overview.all("li") if "doubt" in one.attrib.get("class", "").split()]
    told = overview.text(card)
    assert f"{upstream.url}/charges" in told
    assert "All of the request was sent, and no answer came." in told
    assert "all sent (it came so far)" in told
    assert overview.link("It happened") == f"{receipt}/happened"
    assert overview.link("It did not happen") == f"{receipt}/did-not-happen"
    assert "In doubt 1" in overview.text()


async def test_what_happened_is_entered_confirmed_and_replayed(
    page: Reader, proxy: Proxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    receipt = await lost(proxy, upstream)
    form = await page.get(f"{receipt}/happened")

    missing = Document.of(await page.send(form.action, form.fields(body='{"id": 7}', status="99")))
    assert (missing.status, missing.fields()["body"]) == (422, '{"id": 7}')
    assert "Say how you know" in missing.text()
    assert "A status is a number from 200 to 599." in missing.text()

    filled = form.fields(note="order 7 is there", by="Ada", status="201", body='{"id": 7}')
    confirm = Document.of(await page.send(form.action, filled))
    assert confirm.status == 200
    assert "Waiting and later copies get the answer that you enter." in confirm.text()
    assert await events(database, "confirmed") == []

    done = await page.send(confirm.action, confirm.fields(step="confirmed"))
    again = await page.send(confirm.action, confirm.fields(step="confirmed"))
    assert [(one.status, one.one("Location")) for one in (done, again)] == [(303, receipt)] * 2
    assert await events(database, "confirmed") == ["Ada: order 7 is there"]

    copy = await post(proxy.url, f"{upstream.url}/lost")
    assert (copy.status, copy.body, copy.one("Content-Type")) == (201, b'{"id": 7}', "application/json")
    assert copy.replayed
    assert upstream.executions == 1
    shown = await page.get(receipt)
    assert "A person said that it happened" in shown.text()
    assert "Ada: order 7 is there" in shown.text()
    assert "It happened: " not in shown.text()

    other = await page.send(f"{receipt}/did-not-happen", confirm.fields(step="confirmed"))
    assert (other.status, await events(database, "refuted")) == (409, [])
    assert "in doubt" in Document.of(other).text()


async def test_what_can_be_changed_before_it_is_confirmed(
    page: Reader, proxy: Proxy, upstream: Upstream
) -> None:
    receipt = await lost(proxy, upstream)
    form = await page.get(f"{receipt}/happened")
    confirm = Document.of(await page.send(form.action, form.fields(note="n", body="\n two\n lines")))

    changed = Document.of(await page.send(confirm.action, confirm.fields(step="change")))

    fields = changed.fields()
    assert (changed.status, fields["note"], fields["body"]) == (200, "n", "\n two\n lines")


async def test_what_did_not_happen_is_sent_by_the_next_copy(
    page: Reader, proxy: Proxy, upstream: Upstream
) -> None:
    receipt = await lost(proxy, upstream)
    form = await page.get(f"{receipt}/did-not-happen")
    confirm = Document.of(await page.send(form.action, form.fields(note="no such order")))
    assert "The next copy will be sent." in confirm.text()

    assert (await page.send(confirm.action, confirm.fields(step="confirmed"))).status == 303

    assert "It did not happen" in (await page.get(receipt)).text()
    assert (await post(proxy.url, f"{upstream.url}/lost")).status == 201
    assert upstream.executions == 2


async def test_a_form_about_an_attempt_that_was_followed_by_another_is_refused(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    proxy = await start_proxy(defaults={"in_doubt": "execute"})
    page = Reader(proxy)
    receipt = await lost(proxy, upstream)
    form = await page.get(f"{receipt}/did-not-happen")
    filled = form.fields(note="not there", step="confirmed")
    assert await lost(proxy, upstream) == receipt

    refused = await page.send(form.action, filled)

    assert (refused.status, await events(database, "refuted")) == (409, [])
    assert form.fields()["attempt"] == "1"
    assert "attempt 2" in (await page.get(receipt)).text().lower()


async def test_texts_of_others_stay_where_they_are(page: Reader, proxy: Proxy, upstream: Upstream) -> None:
    user = "Proxy-Authorization: Basic " + base64.b64encode(f"{EVIL}:x".encode()).decode()
    head = f"HTTP/1.1 201 {EVIL}\r\nX-Evil: {EVIL}\x9b\r\nX-Api-Key: hidden-value\r\n"
    body = f'{{"a": "{EVIL}".replace, "client_secret": "hidden-value"}} \x1b[2J\u202e'.encode()
    upstream.will(raw(f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body))
    reply = await post(proxy.url, f"{upstream.url}/{'x' * 3000}?{EVIL.replace(' ', '+')}", user)
    receipt = "/receipts/" + reply.one("Onceproxy-Request-Id")
    in_doubt = await lost(proxy, upstream, "/lost", user)
    form = await page.get(f"{in_doubt}/happened")
    written = {"note": f"</textarea>{EVIL}", "by": EVIL, "body": f"</pre></textarea>{EVIL}"}
    confirm = await page.send(form.action, form.fields(**written))
    paths = (
        receipt,
        in_doubt,
        "/receipts?" + urlencode({"text": EVIL, "route": EVIL}),
        f"/receipts/{'x' * 99}",
        *PAGES,
    )

    shown = [Document.of(confirm), *[await page.get(path) for path in paths]]

    for document in shown:
        assert list(owed(document)) == []
        assert document.all("img") == []
    assert "\\x9b" in shown[1].text()
    assert "\\x1b[2J\\u202e" in shown[1].text()
    assert "hidden-value" not in shown[1].text()
    assert shown[0].fields()["note"] == written["note"]
    assert all("\x1b" not in document.text() for document in shown)


async def test_the_list_has_filters_and_pages(
    page: Reader, proxy: Proxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    await fill(database, 1, 70)
    receipt = await lost(proxy, upstream)

    def receipts(document: Document) -> list[str]:
        return [link for link in document.links if link.startswith("/receipts/oid_")]

    first = await page.get("/receipts")
    second = await page.get(first.link("Older"))
    assert (len(receipts(first)), len(receipts(second))) == (50, 21)
    assert not set(receipts(first)) & set(receipts(second))
    assert second.link("Newest") == "/receipts"
    assert receipts(first)[0] == receipt
    for query, count in (
        ("state=in_doubt", 1),
        ("host=api.example.com", 50),
        ("since=1h", 1),
        ("scope=run-43", 0),
    ):
        assert len(receipts(await page.get(f"/receipts?{query}"))) == count, query
    kept = await page.get("/receipts?text=V1/ch&route=charges")
    assert kept.link("Older").startswith("/receipts?route=charges&text=V1%2Fch&cursor=")
    chosen = {one.attrib["value"] for one in kept.all("option") if "selected" in one.attrib}
    assert chosen == {"charges", ""}
    assert "names no place" in (await page.get("/receipts?cursor=nonsense")).text()


async def test_a_fragment_is_the_part_that_changes(page: Reader, proxy: Proxy, upstream: Upstream) -> None:
    await lost(proxy, upstream)
    whole, part = await page.get("/unknown"), await page.get("/unknown?fragment=1")

    def region(document: Document) -> str:
        [found] = [one for one in document.all("div") if one.attrib.get("id") == "region"]
        assert found.attrib["data-news"] == "1 outcome unknown"
        return document.text(found)

    assert region(whole).partition(" ago")[2] == region(part).partition(" ago")[2]
    assert part.all("nav", "script") == []


async def test_routes_and_instances(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(routes=[{"name": "charges", "match": {"path": "/v1/*"}, "in_doubt": "execute"}])
    page = Reader(proxy)
    await post(proxy.url, f"{upstream.url}/v1/charges")

    routes, instances = await page.get("/routes"), await page.get("/instances")

    rows = [[routes.text(cell) for cell in row] for row in routes.all("tr")]
    assert rows[1] == ["charges", "/v1/*", "enforce", "execute", "1", "0", "0", "0", "0", "1"]
    assert rows[2][:4] == ["default", "everything else", "enforce", "refuse"]
    assert routes.link("charges") == "/receipts?route=charges"
    assert "alive" in instances.text(instances.all("tr")[1])
    assert "lease for another" in instances.text()


async def test_what_is_not_there_is_told(page: Reader, proxy: Proxy, upstream: Upstream) -> None:
    for path in ("/receipts/oid_x", f"/receipts/oid_{'a' * 52}", f"/receipts/oid_{'a' * 52}/happened"):
        document = await page.get(path)
        assert (document.status, list(owed(document))) == (404, [])
        assert "There is no such receipt" in document.text()
    done = "/receipts/" + (await post(proxy.url, f"{upstream.url}/pay")).one("Onceproxy-Request-Id")
    assert (await page.get(f"{done}/happened")).status == 409
    assert (await page.raw("GET", "/static/login.html")).status == 404
    assert (await page.raw("GET", "/static/..%2F__init__.py")).status == 404


async def test_a_database_that_is_away_is_told(
    start_proxy: StartProxy, database_url: str, tmp_path: Path
) -> None:
    async with Relay(database_url, tmp_path) as relay:
        page = Reader(await start_proxy(database=relay.url))
        assert (await page.get("/")).status == 200
        await relay.sever()
        document = await page.get("/")
        assert (document.status, list(owed(document))) == (503, [])
        await relay.restore()
        assert (await page.get("/")).status == 200


async def test_who_logs_in_comes_to_the_page_and_its_forms_bring_their_proof(
    start_proxy: StartProxy, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIN_TOKEN", TOKEN)
    proxy = await start_proxy(admin={"listen": "127.0.0.1:0", "token_env": "ADMIN_TOKEN"})
    stranger = Reader(proxy)
    receipt = await lost(proxy, upstream)
    for path in (*PAGES, receipt):
        turned_away = await stranger.raw("GET", path)
        assert (turned_away.status, turned_away.one("Location")) == (303, "/login")
    assert (await stranger.raw("GET", "/static/page.css")).status == 200
    login = await stranger.get("/login")
    assert [label.attrib["for"] for label in login.all("label")] == ["token"]
    entered = await stranger.send("/login", {"token": TOKEN})
    assert entered.one("Location") == "/"
    page = Reader(proxy, f"Cookie: {COOKIE}={SimpleCookie(entered.one('Set-Cookie'))[COOKIE].value}")

    form = await page.get(f"{receipt}/did-not-happen")
    without = form.fields(note="n", step="confirmed", csrf_token="")
    assert (await page.send(form.action, without)).status == 403
    foreign = await page.raw(
        "POST", form.action, FORM, "Origin: https://evil.example", body=urlencode(form.fields()).encode()
    )
    assert foreign.status == 403
    assert "Nobody knows" in (await page.get(receipt)).text()
    assert (await page.send(form.action, form.fields(note="n", step="confirmed"))).status == 303
    assert "It did not happen" in (await page.get(receipt)).text()
    assert "Log out" in form.text()


async def test_what_was_answered_with_an_error_is_shown_as_evidence(
    page: Reader, proxy: Proxy, upstream: Upstream
) -> None:
    upstream.will(answer(502, b"<h1>Bad gateway</h1>", (("Content-Type", "text/html"),)))
    name = (await post(proxy.url, f"{upstream.url}/pay")).one("Onceproxy-Request-Id")

    document = await page.get(f"/receipts/{name}")

    assert "502" in document.text()
    assert [document.text(one) for one in document.all("pre")] == ["<h1>Bad gateway</h1>"]
    assert "answered 502 (it came so far)" in document.text()


async def test_each_answer_says_what_a_browser_may_do_with_it(page: Reader) -> None:
    for path in ("/", "/static/page.js", "/receipts/oid_x"):
        reply = await page.raw("GET", path)
        assert reply.one("Content-Security-Policy").startswith("default-src 'self';")
        assert reply.one("X-Frame-Options") == "DENY"
        # Under no-referrer a browser sends our own forms with "Origin: null", and the door turns them away.
        assert reply.one("Referrer-Policy") == "same-origin"
    assert (await ask(page.url, b"GET /static/page.js HTTP/1.1\r\nHost: evil.example\r\n\r\n")).status == 403
