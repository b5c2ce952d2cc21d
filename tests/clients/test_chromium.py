"""The page in a real browser, without a window: an unknown outcome is found, understood and settled there.

Pictures of what a person sees are kept in build/screenshots.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from proxies import ProxyProcess
from raw_client import post
from upstreams import Upstream, close

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
PATIENCE = 20_000  # milliseconds
if find_spec("playwright") is None:
    pytest.skip("playwright is not installed: pip install -e '.[clients]'", allow_module_level=True)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
    pytest.mark.xdist_group("chromium"),
]


class Sight:
    """A browser's window, and what went wrong in it: words in its console, and requests to anyone else."""

    def __init__(self, page: Any, home: str) -> None:
        self.page = page
        self.home = home
        self.wrong: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self._seen(request.url))

    def _seen(self, url: str) -> None:
        if not url.startswith((self.home, "data:")):
            self.wrong.append(url)

    async def keep(self, name: str) -> None:
        """Keep a picture, and make sure that nothing has to be scrolled sideways."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await self.page.evaluate(wide) <= 0, name


@pytest.fixture
async def proxy(tmp_path: Path, database_url: str) -> AsyncIterator[ProxyProcess]:
    async with ProxyProcess(tmp_path / "data", database_url, arguments=("--workers", "2")) as process:
        yield process


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright

    async with async_playwright() as player:
        opened = await player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        await opened.close()


LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1200, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 900}},
    "narrow": {
        "color_scheme": "light",
        "viewport": {"width": 360, "height": 740},
        "reduced_motion": "reduce",
    },
}


async def test_pages_look_right_in_all_lights(
    browser: Any, proxy: ProxyProcess, http_upstream: Upstream
) -> None:
    await post(proxy.url, f"{http_upstream.url}/orders")
    await post(proxy.url, f"{http_upstream.url}/orders")
    http_upstream.will(close)
    unknown = (await post(proxy.url, f"{http_upstream.url}/lost")).one("Onceproxy-Request-Id")
    pages = {
        "overview": "/",
        "unknown": "/unknown",
        "receipts": "/receipts",
        "receipt": f"/receipts/{unknown}",
    }
    pages |= {"routes": "/routes", "instances": "/instances"}
    colours = set()
    for look, how in LOOKS.items():
        sight = Sight(await (await browser.new_context(**how)).new_page(), proxy.admin_url)
        for name, path in pages.items():
            reply = await sight.page.goto(f"{proxy.admin_url}{path}")
            assert reply.status == 200, path
            await sight.keep(f"{name}-{look}")
        colours.add(
            (look, await sight.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        )
        assert sight.wrong == []
        await sight.page.context.close()
    assert len({colour for _, colour in colours}) == 2  # light and dark


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_an_unknown_outcome_is_settled(
    browser: Any, proxy: ProxyProcess, http_upstream: Upstream, scripts: bool
) -> None:
    http_upstream.will(close)
    await post(proxy.url, f"{http_upstream.url}/pay", "Idempotency-Key: k-1")
    context = await browser.new_context(java_script_enabled=scripts)
    sight = Sight(await context.new_page(), proxy.admin_url)
    page = sight.page
    await page.goto(f"{proxy.admin_url}/")

    await page.click("text=It happened")
    await page.fill("#note", "order 7 is there")
    await page.fill("#body", '{"id": 7}')
    await page.click("text=Continue")
    await sight.keep(f"confirm-{'scripts' if scripts else 'plain'}")
    await page.click("text=Yes, it happened")
    await page.wait_for_url("**/receipts/oid_*")

    copy = await post(proxy.url, f"{http_upstream.url}/pay", "Idempotency-Key: k-1")
    assert (copy.status, copy.body, copy.replayed) == (200, b'{"id": 7}', True)
    assert http_upstream.executions == 1
    if scripts:  # what is shown is fetched anew by itself
        await page.wait_for_selector("text=A copy was answered")
    async with asyncio.timeout(PATIENCE / 1000):
        while "A copy was answered" not in await page.inner_text("body"):  # it is written a little later
            await page.reload()
    assert sight.wrong == []
    await context.close()


async def test_it_can_be_done_by_keyboard(browser: Any, proxy: ProxyProcess, http_upstream: Upstream) -> None:
    http_upstream.will(close)
    await post(proxy.url, f"{http_upstream.url}/pay")
    sight = Sight(await (await browser.new_context()).new_page(), proxy.admin_url)
    page = sight.page
    await page.goto(f"{proxy.admin_url}/")
    focused = "document.activeElement.textContent.trim()"
    await page.keyboard.press("Tab")
    assert "Skip" in await page.evaluate(focused)
    passed: list[str] = []
    while not any(text.startswith("It did not happen") for text in passed):
        await page.keyboard.press("Tab")
        passed.append(await page.evaluate(focused))
        assert len(passed) < 60, passed
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert await page.evaluate(outline) != "none"
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#note")
    assert sight.wrong == []
    await page.context.close()
