"""The page as a browser without scripts sees it: documents, their forms, and what each owes its readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

import html5lib

from onceproxy.serve import Proxy
from raw_client import Reply, a_request, ask

FORM = "Content-Type: application/x-www-form-urlencoded"
_FIELDS = ("input", "select", "textarea")


@dataclass
class Document:
    """One page. Making one fails where it is no well-formed HTML."""

    status: int
    root: Element

    @classmethod
    def of(cls, reply: Reply) -> Document:
        assert reply.one("Content-Type") == "text/html; charset=utf-8"
        parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
        return cls(reply.status, parser.parse(reply.body.decode("utf-8")))

    def all(self, *names: str) -> list[Element]:
        return [element for element in self.root.iter() if element.tag in names]

    def text(self, element: Element | None = None) -> str:
        return " ".join("".join((self.root if element is None else element).itertext()).split())

    @property
    def links(self) -> list[str]:
        return [link.attrib["href"] for link in self.all("a")]

    def link(self, words: str) -> str:
        """Where the first link leads that begins with these words."""
        return next(link.attrib["href"] for link in self.all("a") if self.text(link).startswith(words))

    def fields(self, **filled: str) -> dict[str, str]:
        """What the page's form sends: as it came, but for what is filled in."""
        [form] = [one for one in self.all("form") if one.attrib["action"].startswith("/receipts/")]
        found = {}
        for field in form.iter():
            if field.tag in _FIELDS and "name" in field.attrib:
                value = field.text if field.tag == "textarea" else field.attrib.get("value")
                found[field.attrib["name"]] = value or ""
        assert filled.keys() <= {*found, "step"}
        return {**found, **filled}

    @property
    def action(self) -> str:
        """Where that form is sent."""
        return next(
            f.attrib["action"] for f in self.all("form") if f.attrib["action"].startswith("/receipts/")
        )


class Reader:
    """Asks for pages and sends forms. ``lines`` go with each request."""

    def __init__(self, proxy: Proxy, *lines: str) -> None:
        self.url = proxy.admin_url
        self.lines = lines

    async def get(self, path: str) -> Document:
        return Document.of(await self.raw("GET", path))

    async def send(self, path: str, fields: dict[str, str]) -> Reply:
        return await self.raw("POST", path, FORM, body=urlencode(fields).encode())

    async def raw(self, method: str, path: str, *lines: str, body: bytes | None = None) -> Reply:
        host = f"Host: {self.url.removeprefix('http://')}"
        lines = (host, "Accept: text/html", *self.lines, *lines)
        return await ask(self.url, a_request(method, path, *lines, body=body))


def owed(document: Document) -> Iterator[str]:
    """Yield what a page lacks that its readers need, whoever they are, and what it must not have."""
    root = document.root
    ids = Counter(element.attrib["id"] for element in root.iter() if "id" in element.attrib)
    yield from (f"id twice: {name}" for name, count in ids.items() if count > 1)
    if root.attrib.get("lang") != "en":
        yield "no language"
    if not document.text(document.all("title")[0]).removesuffix("· onceproxy").strip():
        yield "no title"
    if len(document.all("main")) != 1 or len(document.all("h1")) != 1:
        yield "not one main, not one h1"
    levels = [int(heading.tag[1]) for heading in document.all("h1", "h2", "h3", "h4")]
    yield from (f"h{low} below h{high}" for high, low in pairwise(levels) if low > high + 1)
    if document.links[0] != "#main":
        yield "no way past the navigation"
    labelled = {label.attrib["for"] for label in document.all("label")}
    for field in document.all(*_FIELDS):
        if field.attrib.get("type") != "hidden" and field.attrib.get("id") not in labelled:
            yield f"no label: {field.attrib}"
    for element in root.iter():
        where = f"{element.tag} {element.attrib}"
        for name in ("aria-labelledby", "aria-describedby", "for"):
            yield from (
                f"{name} of nothing: {where}"
                for one in element.attrib.get(name, "").split()
                if one not in ids
            )
        if element.tag in ("a", "button") and not document.text(element):
            yield f"no words: {where}"
        if element.attrib.get("role") == "img" and not element.attrib.get("aria-label"):
            yield f"no words: {where}"
        if element.attrib.get("tabindex", "0") not in ("0", "-1"):
            yield f"another order of focus: {where}"
        if "style" in element.attrib or any(name.startswith("on") for name in element.attrib):
            yield f"what the policy forbids: {where}"
        for name in ("href", "src", "action"):
            target = element.attrib.get(name, "/")
            if not target.startswith(("/", "#")) or target.startswith("//"):
                yield f"leads elsewhere: {where}"
    for table in document.all("table"):
        if table.find("caption") is None or any("scope" not in th.attrib for th in table.iter("th")):
            yield "a table without a caption or scopes"
    if [script.attrib for script in document.all("script")] != [{"src": "/static/page.js", "defer": ""}]:
        yield "another script"
    if document.all("style", "iframe", "object", "base"):
        yield "what nobody needs"
