"""The corpus that is committed is the one that its sources make."""

from __future__ import annotations

from pathlib import Path

from security.answers import read_answers, write_answers
from security.classes import answers
from security.generate import classes
from security.hostile import CORPUS, read, write


def test_the_corpus_is_up_to_date(tmp_path: Path) -> None:
    write(classes(), tmp_path / "requests")
    write_answers(answers.CLASSES, tmp_path / "answers")

    assert _files(CORPUS) == _files(tmp_path), "run `make corpus`"


def test_what_is_read_is_what_was_written() -> None:
    assert list(read()) == sorted(classes(), key=lambda one: one.name)
    assert list(read_answers()) == sorted(answers.CLASSES, key=lambda one: one.name)


def test_there_is_enough_of_it() -> None:
    names = [(one.name, item.name) for one in classes() for item in one.inputs]

    assert len(names) == len(set(names)) >= 300


def _files(directory: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()
    }
