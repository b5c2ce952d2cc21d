"""Small charts: what is drawn of numbers, and what is said of them to who sees no picture."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from onceproxy.admin.page.charts import HEIGHT, WIDTH, bars, line

SVG = "{http://www.w3.org/2000/svg}"


def _drawn(chart: str, name: str) -> list[dict[str, str]]:
    return [element.attrib for element in ElementTree.fromstring(chart).iter(name)]


def test_the_highest_bar_fills_the_height() -> None:
    drawn = _drawn(bars([0, 1, 4, 2], "Replays"), "rect")

    assert [float(bar["height"]) for bar in drawn] == [7.5, 30, 15]
    assert [float(bar["x"]) for bar in drawn] == [25, 50, 75]
    assert all(float(bar["y"]) + float(bar["height"]) == HEIGHT for bar in drawn)


def test_where_nothing_was_measured_a_line_has_a_gap() -> None:
    lines = _drawn(line([1, 2, None, 4, None, 3], "Latency"), "polyline")

    # A line of one point has a length, or it would not be seen.
    assert [one["points"] for one in lines] == ["0,23 20,16", "59,2 60,2", "99,9 100,9"]


def test_of_nothing_there_is_the_base() -> None:
    for chart in (
        bars([], "Replays"),
        line([], "Latency"),
        line([None, None], "Latency"),
        bars([0, 0], "None"),
    ):
        assert _drawn(chart, "rect") == _drawn(chart, "polyline") == []
        assert len(_drawn(chart, "line")) == 1


def test_a_chart_is_told_in_words_and_the_words_are_escaped() -> None:
    chart = bars([1], 'Route "a" <b>')

    assert ElementTree.fromstring(chart).attrib["aria-label"] == 'Route "a" <b>'
    assert "<b>" not in chart


@given(st.lists(st.none() | st.floats(0, 1e12), max_size=80))
def test_nothing_is_drawn_outside(values: list[float | None]) -> None:
    for one in _drawn(line(values, "x"), "polyline"):
        for point in one["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
    for bar in _drawn(bars([value or 0 for value in values], "x"), "rect"):
        assert 0 <= float(bar["y"]) <= HEIGHT
        assert float(bar["height"]) <= HEIGHT
