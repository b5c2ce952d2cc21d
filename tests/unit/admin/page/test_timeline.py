"""An audit trail as steps and as a picture."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from onceproxy.admin.page.history import Actor, steps
from onceproxy.admin.page.timeline import FIRST, LAST, picture
from onceproxy.admin.page.words import STEPS
from onceproxy.core.states import State
from onceproxy.store.catalogue import EventRow
from unit.admin.page.trails import an_event, lost_and_resolved


def _texts(svg: str, kind: str) -> list[str]:
    found = ElementTree.fromstring(svg).iter("text")
    return [element.text or "" for element in found if element.attrib["class"] == kind]


def _shapes(svg: str, name: str, kind: str) -> list[dict[str, str]]:
    found = (element.attrib for element in ElementTree.fromstring(svg).iter(name))
    return [one for one in found if kind in one.get("class", "").split()]


def test_copies_in_a_row_are_one_step() -> None:
    *others, last = steps(lost_and_resolved())

    assert [one.count for one in others] == [1, 1, 1]
    assert (last.number, last.count, last.actor) == (4, 4, Actor.COPIES)
    assert (last.last - last.event.at).total_seconds() == 1


def test_what_is_between_copies_parts_them() -> None:
    trail = [
        an_event("replayed", State.COMPLETED, 1),
        an_event("contradicted", State.COMPLETED, 2),
        an_event("replayed", State.COMPLETED, 3),
        an_event("observed", State.COMPLETED, 4, reason="would-replay"),
        an_event("observed", State.COMPLETED, 5, reason="would-wait"),
    ]

    assert [one.count for one in steps(trail)] == [1, 1, 1, 1, 1]


def test_who_had_a_say_has_a_line_and_marks_have_the_numbers_of_the_text() -> None:
    svg = picture(steps(lost_and_resolved()))

    assert _texts(svg, "lane") == ["Attempt 1", "Copies", "People and probes"]
    assert _texts(svg, "number") == ["1", "2", "3", "4"]
    assert _texts(svg, "distance") == ["200 ms", "59 min", "1.0 s"]


def test_the_ribbon_shows_the_state_up_to_now() -> None:
    ribbon = _shapes(picture(steps(lost_and_resolved())), "rect", "state")

    assert [one["class"] for one in ribbon] == [
        "state claimed",
        "state in_doubt",
        "state completed",
        "state completed",
    ]
    last = ribbon[-1]
    assert float(last["x"].rstrip("%")) + float(last["width"].rstrip("%")) == 100


def test_an_attempt_under_way_has_no_end() -> None:
    [span] = _shapes(picture(steps([an_event("claimed", State.CLAIMED)])), "rect", "span")

    assert span["class"] == "span claimed"
    assert float(span["x"].rstrip("%")) + float(span["width"].rstrip("%")) == 100


def test_of_a_long_history_the_middle_is_left_out() -> None:
    trail = [an_event("claimed", State.CLAIMED, n, attempt=n + 1) for n in range(40)]
    svg = picture(steps(trail))

    assert len(_texts(svg, "number")) == FIRST + LAST
    assert "30 more" in _texts(svg, "distance")


def test_of_nothing_there_is_no_picture() -> None:
    assert picture(()) == ""


_EVENTS = st.builds(
    an_event,
    st.sampled_from([*STEPS, "of-a-later-version"]),
    st.sampled_from(State),
    st.floats(-1e6, 1e9),
    st.integers(1, 30),
)


@given(st.lists(_EVENTS, max_size=30))
def test_whatever_happened_it_is_a_picture_of_itself(trail: list[EventRow]) -> None:
    svg = picture(steps(trail))

    if trail:
        for mark in _shapes(svg, "circle", "mark"):
            assert 0 <= float(mark["cx"].rstrip("%")) <= 100
