"""The picture of an audit trail: a line for each attempt and for whoever else had a say, from left to right.

Each mark has the number of its step in the text beside it, so the picture needs few words of its own, and
none of anybody else. Places across are in percent: the picture is as wide as the page, and its text does not
grow with it. Distances grow with the logarithm of time, as milliseconds and days are in one picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from markupsafe import Markup

from onceproxy.admin.page.history import Actor, Step
from onceproxy.admin.page.words import duration

FIRST, LAST = 3, 7  # steps that are shown of a long history
_LEFT, _RIGHT = 4.0, 90.0  # percent; the rest is the time since
_RIBBON, _TOP, _LANE, _RADIUS = 18, 44, 46, 9  # pixels
_ROOM = 13.0  # percent that the words for a distance need on a narrow screen
_ENDS = frozenset({"completed", "released", "in_doubt", "healed", "lost", "abandoned"})
_ACTORS = {Actor.COPIES: "Copies", Actor.OTHERS: "People and probes", Actor.TIME: "Time"}


def picture(steps: Sequence[Step]) -> Markup:
    """Return the SVG of a history; nothing where there is none. The text beside it tells the same."""
    if not steps:
        return Markup("")
    shown = _shown(steps)
    places = _places(shown)
    lanes = _lanes(shown)
    height = _TOP + _LANE * len(lanes)
    drawn = Markup("").join(
        (
            *_ribbon(shown, places),
            *_distances(shown, places),
            *_lines(lanes),
            *_spans(shown, places, lanes),
            *_marks(shown, places, lanes),
        )
    )
    return Markup(
        '<svg class="timeline" width="100%" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(height, f"{len(steps)} steps over time, numbered as in the list of them", drawn)


def _shown(steps: Sequence[Step]) -> list[Step]:
    if len(steps) <= FIRST + LAST:
        return list(steps)
    return [*steps[:FIRST], *steps[-LAST:]]


def _places(steps: Sequence[Step]) -> list[float]:
    """Return where each step is, in percent from the left."""
    weights = [2 + math.log10(1 + 1000 * _between(one, two)) / 2 for one, two in pairwise(steps)]
    scale = (_RIGHT - _LEFT) / sum(weights) if weights else 0.0
    places = [_LEFT]
    for weight in weights:
        places.append(places[-1] + weight * scale)
    return places


def _between(one: Step, two: Step) -> float:
    """Seconds from the end of a step to the next: clocks of the database may be set back."""
    return max(0.0, (two.event.at - one.last).total_seconds())


def _lanes(steps: Sequence[Step]) -> dict[str, int]:
    """Return the lanes that there are, attempts first, and how far down each is."""
    attempts = sorted({step.event.attempt for step in steps if step.actor is Actor.ATTEMPT})
    names = [f"Attempt {attempt}" for attempt in attempts]
    names += [name for actor, name in _ACTORS.items() if any(step.actor is actor for step in steps)]
    return {name: _TOP + _LANE * at for at, name in enumerate(names)}


def _lane(step: Step) -> str:
    return _ACTORS.get(step.actor) or f"Attempt {step.event.attempt}"


def _ribbon(steps: Sequence[Step], places: Sequence[float]) -> Iterator[Markup]:
    """The receipt's state over time; what it is now goes on to the edge."""
    for step, start, end in zip(steps, places, (*places[1:], 100.0), strict=True):
        yield Markup(
            '<rect class="state {}" x="{:.2f}%" y="{}" width="{:.2f}%" height="8"><title>{}</title></rect>'
        ).format(step.state.value, start, _RIBBON, end - start, step.state.value)


def _distances(steps: Sequence[Step], places: Sequence[float]) -> Iterator[Markup]:
    for (one, two), (start, end) in zip(pairwise(steps), pairwise(places), strict=True):
        left_out = two.number - one.number > 1
        if left_out or end - start >= _ROOM:
            words = f"{two.number - one.number - 1} more" if left_out else duration(_between(one, two))
            yield Markup('<text class="distance" x="{:.2f}%" y="11" text-anchor="middle">{}</text>').format(
                (start + end) / 2, words
            )


def _lines(lanes: dict[str, int]) -> Iterator[Markup]:
    for name, top in lanes.items():
        yield Markup(
            '<text class="lane" x="0" y="{}">{}</text><line class="base" x1="0" y1="{}" x2="100%" y2="{}"/>'
        ).format(top + 8, name, *[top + 26] * 2)


def _spans(steps: Sequence[Step], places: Sequence[float], lanes: dict[str, int]) -> Iterator[Markup]:
    """The time that each attempt took; one that has no end yet goes on to the edge."""
    for at, step in enumerate(steps):
        if step.event.kind != "claimed":
            continue
        later = range(at + 1, len(steps))
        ends = (n for n in later if _lane(steps[n]) == _lane(step) and steps[n].event.kind in _ENDS)
        end = next(ends, None)
        state, until = ("claimed", 100.0) if end is None else (steps[end].state.value, places[end])
        yield Markup('<rect class="span {}" x="{:.2f}%" y="{}" width="{:.2f}%" height="6"/>').format(
            state, places[at], lanes[_lane(step)] + 23, until - places[at]
        )


def _marks(steps: Sequence[Step], places: Sequence[float], lanes: dict[str, int]) -> Iterator[Markup]:
    for step, place in zip(steps, places, strict=True):
        middle = lanes[_lane(step)] + 26
        yield Markup(
            '<circle class="mark {}" cx="{:.2f}%" cy="{}" r="{}"/>'
            '<text class="number" x="{:.2f}%" y="{}" text-anchor="middle">{}</text>'
        ).format(step.state.value, place, middle, _RADIUS, place, middle + 4, step.number)
