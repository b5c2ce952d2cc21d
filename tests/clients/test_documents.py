"""The README and the tutorial: what they tell people to type works, and prints what they say."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients.documents import Block, Terminals, blocks_of, fits
from processes import clean_environment
from servers import free_port
from upstreams import Upstream

ROOT = Path(__file__).parents[2]
TAKES_LONG = re.compile(r"^make (test|check|docs)\b", re.MULTILINE)
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.fixture
def stand_ins(database_url: str, https_upstream: Upstream) -> dict[str, str]:
    """What the test has in place of what people have."""
    proxy, admin, api = (f"127.0.0.1:{free_port()}" for _ in range(3))
    return {
        "127.0.0.1:8888": proxy,
        "127.0.0.1:8889": admin,
        "127.0.0.1:9000": api,
        "counting_api.py 9000": f"counting_api.py {api.partition(':')[2]}",
        "onceproxy env)": f"onceproxy env --listen {proxy})",
        "https://api.example.com": https_upstream.url,
        "postgresql://user:password@host/onceproxy": database_url,
    }


@pytest.fixture
async def terminals(stand_ins: dict[str, str]) -> AsyncIterator[Terminals]:
    """Terminals in a folder that looks like the checkout, and can be written to."""
    # Not below pytest's own directory, which each session that starts closes to the embedded database's user.
    with tempfile.TemporaryDirectory(prefix="onceproxy-") as directory:
        folder = Path(directory) / "checkout"
        folder.mkdir()
        for entry in ROOT.iterdir():
            if entry.name not in ("build", ".git", "onceproxy.yaml", "onceproxy.yml"):
                (folder / entry.name).symlink_to(entry)
        environment = {
            **clean_environment(),
            "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "ONCEPROXY_DATA_DIR": str(Path(directory) / "data"),
        }
        of_proxies = {
            "ONCEPROXY_LISTEN": stand_ins["127.0.0.1:8888"],
            "ONCEPROXY_ADMIN_LISTEN": stand_ins["127.0.0.1:8889"],
        }
        async with Terminals(folder, environment, of_proxies) as opened:
            yield opened


async def test_the_tutorial(terminals: Terminals, stand_ins: dict[str, str]) -> None:
    blocks = blocks_of((ROOT / "docs" / "tutorial.md").read_text("utf-8"), stand_ins)
    assert len(blocks) > 10

    for block in blocks:
        printed = await terminals.type(block)
        if block.printed is not None:
            assert fits(printed, block.printed), (
                f"{block.commands}printed\n{printed}\nand not\n{block.printed}"
            )


async def test_the_readme(
    terminals: Terminals, stand_ins: dict[str, str], config: Path, https_upstream: Upstream
) -> None:
    terminals.of_proxies["ONCEPROXY_CONFIG"] = str(config)
    await terminals.type(Block(f"export ONCEPROXY_CONFIG='{config}'\n", None))
    # Whole suites are only looked up.
    text = TAKES_LONG.sub(r"make -n \1", (ROOT / "README.md").read_text("utf-8"))

    printed = "".join([await terminals.type(block) for block in blocks_of(text, stand_ins)])

    assert re.search(r'\{"order": 1\}\n(.*\n)+Idempotency-Replayed: true\n(.*\n)+\{"order": 1\}\n', printed)
    assert '{"order": 2}' in printed
    assert https_upstream.executions == 1


@pytest.mark.parametrize(
    ("printed", "expected", "fit"),
    [
        ("a\n", "a\n", True),
        ("ab\n", "a\n", False),
        ("a\nb\nc\n", "a\n…\nc\n", True),
        ("a\nc\n", "a\n…\nc\n", True),
        ("a\nb\n", "a\n…\nc\n", False),
        ("a 12\n", "a …\n", True),
        ("a 12\nb\n", "a …\n", False),
    ],
)
def test_what_fits(printed: str, expected: str, fit: bool) -> None:
    assert fits(printed, expected) is fit
