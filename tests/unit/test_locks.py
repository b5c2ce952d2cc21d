"""The locked dependencies: all that is installed is pinned, by its hash, and to what the tests ran with."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
LOCKS = [ROOT / "locks" / name for name in ("runtime.txt", "build.txt")]


def _pins(path: Path) -> dict[str, str]:
    return {_normal(name): version for name, version in PINNED.findall(path.read_text())}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_each_pin_has_a_hash(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())

    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry and not entry.startswith("#")] == []


def test_what_is_shipped_is_what_was_tested() -> None:
    tested = _pins(ROOT / "constraints.txt")

    assert _pins(LOCKS[0]).items() <= tested.items()


def test_each_dependency_is_locked_and_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = {_normal(re.split(r"[^A-Za-z0-9._-]", text)[0]) for text in project["dependencies"]}
    page = (ROOT / "docs" / "dependencies.md").read_text()
    explained = {_normal(name) for name in re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)}

    assert direct <= _pins(LOCKS[0]).keys()
    assert direct == explained
