"""Small charts as SVG: of numbers alone, so that nothing of others gets into them.

Places are in percent and colours are classes: a chart grows with its place, and follows the style sheet into
light and dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 100.0, 32.0
_PAD = 2.0  # above the highest and below the lowest, so that a line keeps its thickness


def bars(values: Sequence[float], label: str) -> Markup:
    """Return one bar for each value; the highest fills the height. ``label`` is for who sees no picture."""
    top = max(values, default=0.0)
    step = WIDTH / max(1, len(values))
    drawn = Markup("").join(
        Markup('<rect x="{}" y="{}" width="{}" height="{}"/>').format(
            _number(at * step), _number(HEIGHT - height), _number(step * 0.8), _number(height)
        )
        for at, value in enumerate(values)
        if (height := _share(value, top) * (HEIGHT - _PAD)) > 0
    )
    return _svg("bars", drawn, label)


def line(values: Sequence[float | None], label: str) -> Markup:
    """Return a line through the values; where one is None there is a gap, as nothing was measured."""
    top = max((value for value in values if value is not None), default=0.0)
    step = WIDTH / max(1, len(values) - 1)
    drawn = Markup("")
    for run in _runs(values):
        points = [
            f"{_number(at * step)},{_number(HEIGHT - _PAD - _share(value, top) * (HEIGHT - 2 * _PAD))}"
            for at, value in run
        ]
        if len(points) == 1:  # a line needs two ends to be seen
            points.insert(0, f"{_number(max(0.0, run[0][0] * step - 1))},{points[0].partition(',')[2]}")
        first, last = points[0].partition(",")[0], points[-1].partition(",")[0]
        drawn += Markup('<polygon points="{0},{3} {1} {2},{3}"/><polyline points="{1}"/>').format(
            first, " ".join(points), last, _number(HEIGHT)
        )
    return _svg("line", drawn, label)


def _svg(kind: str, drawn: Markup, label: str) -> Markup:
    return Markup(
        '<svg class="chart {}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<line class="base" x1="0" y1="{}" x2="{}" y2="{}"/>{}</svg>'
    ).format(kind, *map(_number, (WIDTH, HEIGHT)), label, *map(_number, (HEIGHT, WIDTH, HEIGHT)), drawn)


def _runs(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """Yield what lies between the gaps."""
    run: list[tuple[int, float]] = []
    for at, value in enumerate(values):
        if value is not None:
            run.append((at, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _share(value: float, top: float) -> float:
    return max(0.0, value / top) if top > 0 else 0.0


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
