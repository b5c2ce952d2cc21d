"""Looking up headers: the last message is remembered, and never taken for another."""

from __future__ import annotations

from onceproxy.core.messages import header_values, lines_end


def test_all_lines_of_a_name_are_found_in_their_order_whatever_their_case() -> None:
    headers = ((b"A", b"1"), (b"b", b"2"), (b"a", b"3"))
    assert header_values(headers, "a") == [b"1", b"3"]
    assert header_values(headers, "A") == [b"1", b"3"]
    assert header_values(headers, "c") == []


def test_one_message_is_not_answered_from_another() -> None:
    first, second = ((b"a", b"1"),), ((b"a", b"2"),)
    for _ in range(2):
        assert header_values(first, "a") == [b"1"]
        assert header_values(second, "a") == [b"2"]


def test_what_was_found_is_the_askers_to_change() -> None:
    headers = ((b"a", b"1"),)
    header_values(headers, "a").append(b"of mine")
    assert header_values(headers, "a") == [b"1"]


def test_a_head_that_a_part_of_it_ends_early_is_told() -> None:
    head = b"GET / HTTP/1.1\r\nA: %b\r\n\r\n"
    assert lines_end(head % b"fine", 3)
    for bad in (b"x\r\nB: y", b"x\r", b"x\n", b"\0"):
        assert not lines_end(head % bad, 3)
