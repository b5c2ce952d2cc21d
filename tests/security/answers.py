"""What a hostile answer of an upstream is: the bytes, and what a client must be told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from security.hostile import CORPUS

ANSWERS = CORPUS / "answers"


@dataclass(frozen=True, slots=True)
class Taken:
    """It is taken for an answer: with this status and body (in Latin-1), and without these header lines."""

    status: int = 200
    body: str = "ok"
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostileAnswer:
    """One answer. ``taken`` None: it is none, and nobody knows what became of the action.

    ``closes``: the upstream closes the connection behind it; else it waits for another request there.
    ``methods``: of the requests that are answered so.
    """

    name: str
    raw: bytes
    taken: Taken | None = None
    closes: bool = False
    methods: tuple[str, ...] = ("POST", "GET")


@dataclass(frozen=True, slots=True)
class AnswerClass:
    """Answers of one kind."""

    name: str
    rows: str
    about: str
    answers: tuple[HostileAnswer, ...]


def write_answers(classes: Iterable[AnswerClass], directory: Path) -> None:
    """Write classes, each into a directory of its own."""
    for one in classes:
        place = directory / one.name
        place.mkdir(parents=True)
        index: dict[str, object] = {"about": one.about, "rows": one.rows}
        index["answers"] = {item.name: _plain(item) for item in one.answers}
        (place / "expected.json").write_text(json.dumps(index, indent=1, ensure_ascii=True) + "\n")
        for item in one.answers:
            (place / f"{item.name}.raw").write_bytes(item.raw)


def read_answers(directory: Path = ANSWERS) -> Iterator[AnswerClass]:
    """Read what ``write_answers`` wrote."""
    for place in sorted(directory.iterdir()):
        index = json.loads((place / "expected.json").read_text())
        answers = []
        for name, plain in index["answers"].items():
            taken = plain["taken"]
            if taken is not None:
                taken = Taken(taken["status"], taken["body"], tuple(taken["lacks"]))
            raw = (place / f"{name}.raw").read_bytes()
            answers.append(HostileAnswer(name, raw, taken, plain["closes"], tuple(plain["methods"])))
        yield AnswerClass(place.name, index["rows"], index["about"], tuple(answers))


def _plain(item: HostileAnswer) -> dict[str, object]:
    taken = None
    if item.taken is not None:
        taken = {"status": item.taken.status, "body": item.taken.body, "lacks": list(item.taken.lacks)}
    return {"taken": taken, "closes": item.closes, "methods": list(item.methods)}
