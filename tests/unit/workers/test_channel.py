"""What is said arrives whole, and the end of the one is heard by the other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onceproxy.config.load import load
from onceproxy.serve import Place
from onceproxy.workers.channel import Begin, Channel, Stop, Word

EXAMPLE = Path(__file__).parents[3] / "config" / "onceproxy.example.yaml"


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Channel, Channel]]:
    """Both ends of a channel."""
    ours, theirs = socket.socketpair()
    both = await Channel.over(ours), await Channel.over(theirs)
    yield both
    for end in both:
        await end.close()


async def test_settings_arrive_as_they_are(ends: tuple[Channel, Channel], tmp_path: Path) -> None:
    file = tmp_path / "onceproxy.yaml"
    file.write_text(
        f"{EXAMPLE.read_text()}\n".replace("routes: []", "").replace("presets: []", "")
        + "routes: [{name: a, match: {path: /a}, in_doubt: refuse}]\npresets: [stripe]\n"
    )
    settings = load(file, environ={}, flags={"database": "postgresql://me:s3cret@host/name"})
    begin = Begin(settings, Place(8888, "http://127.0.0.1:8889"), 30.0)

    ends[0].tell(begin)
    ends[0].tell(Stop(1.0))

    heard = await ends[1].hear()
    assert heard == begin
    assert isinstance(heard, Begin)
    assert heard.settings.model_fields_set == settings.model_fields_set
    assert await ends[1].hear() == Stop(1.0)


async def test_the_end_of_one_is_heard_by_the_other(ends: tuple[Channel, Channel]) -> None:
    hearing = asyncio.create_task(ends[1].hear())
    await ends[0].close()

    assert await hearing is None
    ends[1].tell(Word(True))
    ends[0].tell(Word(True))
    assert await ends[1].hear() is None
