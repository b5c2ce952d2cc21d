"""What a part has found: ratios and what they aim at, tables, plots; kept in a file until they are shown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.rounds import Spread, shown

KEPT = Path(__file__).parents[1] / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio, and what it is to reach: at least ``aim``, or at most where ``below``. No aim: for the eye."""

    name: str
    values: tuple[float, ...]
    aim: float | None = None
    below: bool = False

    @classmethod
    def of(cls, name: str, ratio: Spread, aim: float | None = None, *, below: bool = False) -> Figure:
        """Return the figure that a ratio is."""
        return cls(name, ratio.values, aim, below)

    @property
    def reached(self) -> bool | None:
        """Whether its median is where it is to be."""
        if self.aim is None:
            return None
        median = Spread(self.values).median
        return median <= self.aim if self.below else median >= self.aim

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Name, min–median–max, aim, and whether that is reached."""
        aim = "" if self.aim is None else f"{'≤' if self.below else '≥'} {self.aim:g}"
        return self.name, str(Spread(self.values)), aim, {None: "", True: "yes", False: "no"}[self.reached]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head, all of them text, below a caption."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        """Write it in Markdown; the first column is words, the others are figures."""
        rule = ("---", *("---:" for _ in self.head[1:]))
        lines = ("| " + " | ".join(row) + " |" for row in (self.head, rule, *self.rows))
        return f"{self.caption}\n\n" + "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over ``across`` (or bars, where that is words): a name, and the figures of each line."""

    title: str
    x: str
    y: str
    across: tuple[float | str, ...]
    lines: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True, slots=True)
class Found:
    """What one part has found. ``remarks``: what else a reader has to know, such as what was skipped."""

    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    remarks: tuple[str, ...] = ()


def table_of(
    caption: str, corner: str, columns: Sequence[object], spreads: Mapping[str, Sequence[Spread | None]]
) -> Table:
    """Make a table: a row for each name, a column for each of ``columns``."""
    rows = tuple(
        (name, *("" if spread is None else str(spread) for spread in row)) for name, row in spreads.items()
    )
    return Table(caption, (corner, *(_text(column) for column in columns)), rows)


def keep(part: str, found: Found) -> None:
    """Keep what a part has found until it runs again."""
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{part}.json").write_text(json.dumps(asdict(found), ensure_ascii=False, indent=1))


def kept(part: str) -> Found | None:
    """Return what a part found when it last ran, if it ever did."""
    try:
        text = (KEPT / f"{part}.json").read_text()
    except FileNotFoundError:
        return None
    read: dict[str, list[Any]] = json.loads(text)
    return Found(
        tuple(Figure(**{**one, "values": tuple(one["values"])}) for one in read["figures"]),
        tuple(
            Table(one["caption"], tuple(one["head"]), tuple(tuple(row) for row in one["rows"]))
            for one in read["tables"]
        ),
        tuple(
            Plot(**{**one, "across": tuple(one["across"]), "lines": _lines(one["lines"])})
            for one in read["plots"]
        ),
        tuple(read["remarks"]),
    )


def _lines(read: dict[str, list[float | None]]) -> dict[str, tuple[float | None, ...]]:
    return {name: tuple(values) for name, values in read.items()}


def _text(value: object) -> str:
    return (
        shown(value) if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )


def sections_of(measured: str) -> dict[str, str]:
    """Return the sections of what was measured, by their titles."""
    sections = re.split(r"^(?=### )", measured, flags=re.MULTILINE)[1:]
    return {one.partition("\n")[0].removeprefix("### "): one.strip() for one in sections}
