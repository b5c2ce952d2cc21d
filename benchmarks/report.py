"""Writes what was found into docs/performance.md, between its marks, and the plots beside it."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure as Drawing

from benchmarks.tables import Figure, Found, Plot, Table, kept, sections_of

PARTS = {
    "http": "Requests a second, forward proxy",
    "processor": "Processor time of a request",
    "replays": "Replays a second",
    "tunnel": "Requests a second, HTTPS through the tunnel",
    "handshakes": "Handshakes with upstreams",
    "latency": "Latency added",
    "bodies": "Cost by the size of the body",
    "processes": "Several proxies over one database",
    "routes": "Cost by the number of routes",
    "store": "The store alone",
    "growth": "Cost by the number of receipts",
    "memory": "Memory",
}
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PLOTS = PAGE.parent / "performance"
BEGIN, END = "<!-- measured: begin (make bench) -->", "<!-- measured: end -->"


def write() -> None:
    """Write anew what is between the marks, from what all parts last found; what found nothing here stays."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    measured, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{PAGE} has no marks {BEGIN} and {END}")
    former = sections_of(measured)
    sections = [
        former.get(title, "") if (found := kept(part)) is None else _section(part, title, found)
        for part, title in PARTS.items()
    ]
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(filter(None, sections)) + f"\n\n{END}{after}")


def _section(part: str, title: str, found: Found) -> str:
    texts = [f"### {title}"]
    if found.figures:
        texts.append(str(_ratios(found.figures)))
    for number, plot in enumerate(found.plots):
        name = f"{part}.svg" if number == 0 else f"{part}-{number + 1}.svg"
        _draw(plot, PLOTS / name)
        texts.append(f"![{plot.title}]({PLOTS.name}/{name})")
    texts += [str(table) for table in found.tables]
    texts += found.remarks
    return "\n\n".join(texts)


def _ratios(figures: tuple[Figure, ...]) -> Table:
    head = ("ratio (min–median–max)", "measured", "aim", "reached")
    return Table("What is compared:", head, tuple(figure.row for figure in figures))


def _draw(plot: Plot, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    drawing = Drawing(figsize=(7, 3.6), layout="constrained")
    axes = drawing.subplots()
    places = range(len(plot.across))
    for name, values in plot.lines.items():
        there = [(place, value) for place, value in zip(places, values, strict=True) if value is not None]
        axes.plot([place for place, _ in there], [value for _, value in there], marker="o", ms=3, label=name)
    axes.set_xticks(list(places), [f"{at:,}" if isinstance(at, int | float) else at for at in plot.across])
    axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    drawing.legend(loc="outside right upper", fontsize=8, frameon=False)
    with rc_context({"svg.hashsalt": "onceproxy", "svg.fonttype": "none"}):
        drawing.savefig(path, metadata={"Date": None})
