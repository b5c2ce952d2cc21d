"""What benchmarks make of what they measure; the measuring is theirs."""

from __future__ import annotations

from benchmarks.asking import Target, copies, retold
from benchmarks.memory import Held
from benchmarks.rounds import Spread
from benchmarks.tables import Figure

TARGET = Target("http://127.0.0.1:1", "127.0.0.1:1")


def test_copies_that_are_told_anew_differ_in_a_header_line_alone() -> None:
    asks = retold(copies(TARGET, "key", replayed=True))
    plain = copies(TARGET, "key", replayed=True)
    sent = []
    for number in range(1, 4):
        ask, known = asks(), plain()
        head, _, body = ask.sent.partition(b"\r\n\r\n")
        *lines, last = head.split(b"\r\n")
        assert (b"\r\n".join(lines), body) == known.sent.partition(b"\r\n\r\n")[::2]
        assert (last, ask.body, ask.replayed) == (b"X-Try: %d" % number, known.body, True)
        sent.append(ask.sent)
    assert len(set(sent)) == 3


def test_what_one_takes_is_told_while_it_lasts_or_else_at_the_most() -> None:
    assert Held(count=10, rest=10 << 20, lasting=11 << 20, peak=20 << 20).each == 102.4
    assert Held(count=10, rest=10 << 20, lasting=None, peak=20 << 20).each == 1024


def test_a_ratio_is_reached_by_its_median() -> None:
    ratio = Spread((3.0, 8.0, 10.0)) / Spread((2.0, 4.0, 1.0))
    assert ratio.values == (1.5, 2.0, 10.0)
    assert Figure.of("", ratio, 2.0).row == ("", "1.50–2.00–10.0", "≥ 2", "yes")
    assert Figure.of("", ratio, 1.9, below=True).row == ("", "1.50–2.00–10.0", "≤ 1.9", "no")
    assert Figure.of("", ratio).reached is None
