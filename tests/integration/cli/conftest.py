"""Commands over a database of their own, in an empty directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from onceproxy.cli import main

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (*os.environ,):
        if name.startswith("ONCEPROXY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ONCEPROXY_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def onceproxy() -> Invoke:
    """Runs a command line; anything but an exit is raised."""

    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(main, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke
