"""The worked examples of docs/identity.md: valid routes, and requests that are what they are said to be."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from onceproxy.config.load import load
from onceproxy.config.routing import route_table
from onceproxy.core.identity import Identity, identify
from onceproxy.core.messages import BytesBody, Origin, Request

DOCS = (Path(__file__).parents[3] / "docs" / "identity.md").read_text()
BLOCK = re.compile(r"^```http\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = {
    text.partition("\n")[0]: text
    for text in re.split(r"^##+ ", DOCS, flags=re.MULTILINE)
    if BLOCK.search(text) is not None
}


def a_request(text: str) -> Request:
    head, _, body = text.rstrip("\n").partition("\n\n")
    first, *lines = head.split("\n")
    method, url = first.split(" ")
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    headers = tuple(
        (name.encode(), value.strip().encode()) for name, _, value in (li.partition(":") for li in lines)
    )
    target = url.removeprefix(f"{parts.scheme}://{parts.netloc}").encode()
    return Request(
        method, Origin(parts.scheme, parts.hostname or "", port), target, headers, BytesBody(body.encode())
    )


@pytest.fixture
def identities(tmp_path: Path) -> Callable[[str], tuple[list[Identity], list[Identity]]]:
    """Gives the identities of an example: of the same action, and of others."""

    def of_example(text: str) -> tuple[list[Identity], list[Identity]]:
        [routes] = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        file = tmp_path / "onceproxy.yaml"
        file.write_text(f"version: 1\n{routes}")
        table = route_table(load(file, environ={}))

        def made(part: str) -> list[Identity]:
            found = []
            for block in BLOCK.findall(part):
                request = a_request(block)
                route = table.find(request)
                assert route is table.routes[0]
                found.append(identify(request, route.identity, user="run-42"))
            return found

        same, others = text.split("\nAnother action")
        return made(same), made(others)

    return of_example


def test_there_are_examples_of_each_kind() -> None:
    assert EXAMPLES.keys() >= {
        *("Payment", "Email", "Ticket", "Order", "Webhook in", "GraphQL mutation", "MCP tool call"),
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_true(
    identities: Callable[[str], tuple[list[Identity], list[Identity]]], name: str
) -> None:
    same, others = identities(EXAMPLES[name])

    assert len(same) > 1
    assert others
    assert len({(one.request_id, one.fingerprint) for one in same}) == 1
    ids = [same[0].request_id, *(other.request_id for other in others)]
    assert len(set(ids)) == len(ids)
