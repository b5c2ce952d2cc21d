"""What is asked for, and what a person says: read leniently, checked, and never more than one meaning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from onceproxy.admin.page.asked import Wanted, place
from onceproxy.admin.page.saying import CONSEQUENCES, TITLES, Said, Verdict
from onceproxy.core.receipts import Source
from onceproxy.core.states import State
from onceproxy.store.records import Filters, Place

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def test_filters_are_what_was_filled_in() -> None:
    wanted = Wanted.of({"state": "in_doubt", "host": " a.example ", "since": "1h", "text": "", "x": "y"})

    assert wanted.filters(NOW) == Filters(State.IN_DOUBT, host="a.example", since=NOW - timedelta(hours=1))
    assert Wanted.of({}).filters(NOW) == Filters()
    assert Wanted.of({"state": "lost", "since": "ever", "text": "a\0b"}).filters(NOW) == Filters(text="ab")


def test_a_link_keeps_the_filters_and_the_place() -> None:
    here = Place(NOW, bytes(32))
    link = Wanted(route="a&b", text="/x?").link(here)

    assert link.startswith("/receipts?route=a%26b&text=%2Fx%3F&cursor=")
    assert place(link.rpartition("=")[2]) == here
    assert place("") is None
    assert Wanted().link() == "/receipts"


def test_a_note_is_needed() -> None:
    assert Said("1", note="").wrong(Verdict.DID_NOT_HAPPEN).keys() == {"note"}
    assert Said("1", note="x" * 1001).wrong(Verdict.DID_NOT_HAPPEN).keys() == {"note"}
    assert Said("1", note="seen").wrong(Verdict.DID_NOT_HAPPEN) == {}


@pytest.mark.parametrize("status", ["", "abc", "100", "600", "20", "２００", "200 ", "-200"])
def test_a_status_is_one_of_an_answer(status: str) -> None:
    assert Said("1", note="n", status=status).wrong(Verdict.HAPPENED).keys() == {"status"}
    assert Said("1", note="n", status=status).wrong(Verdict.DID_NOT_HAPPEN) == {}


def test_a_type_is_one_line() -> None:
    assert Said("1", note="n", type="a\nX: y").wrong(Verdict.HAPPENED).keys() == {"type"}


def test_what_happened_has_the_answer_and_whose_word_it_is() -> None:
    form = {"attempt": "2", "note": " in the dashboard ", "by": " Ada\n L. ", "status": "201", "type": "a/b"}
    said = Said.of({**form, "body": '{\r\n"a": 1}\0'}).resolution(Verdict.HAPPENED)

    assert (said.happened, said.source, said.note) == (True, Source.OPERATOR, "Ada L.: in the dashboard")
    assert said.response is not None
    assert (said.response.status, said.response.reason) == (201, b"Created")
    assert said.response.headers == ((b"Content-Type", b"a/b"),)
    assert said.response.body.read() == b'{\n"a": 1}'


def test_an_answer_without_a_body_has_no_type() -> None:
    said = Said("1", note="n").resolution(Verdict.HAPPENED)

    assert said.response is not None
    assert said.response.headers == ()


def test_what_did_not_happen_has_no_answer() -> None:
    said = Said("1", note="n", body="ignored").resolution(Verdict.DID_NOT_HAPPEN)

    assert (said.happened, said.response, said.note) == (False, None, "by page: n")


def test_what_is_no_text_counts_as_missing() -> None:
    assert Said.of({"attempt": object(), "note": b"bytes"}) == Said("", note="", type="")


def test_each_verdict_says_what_follows() -> None:
    assert TITLES.keys() == CONSEQUENCES.keys() == set(Verdict)
