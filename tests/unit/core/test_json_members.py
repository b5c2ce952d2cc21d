"""Which members of a document count, and what is safe where the rules do not fit it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.json_members import canonical_members
from onceproxy.core.json_text import parse_json
from onceproxy.core.rules import ALL, Selection

ORDER = {
    "id": "o-1",
    "items": [{"sku": "a", "note": "x"}, {"sku": "b", "note": "y"}],
    "meta": {"trace": 7, "tenant": "t"},
}


def members(document: Any, rules: Selection) -> tuple[str, bytes]:
    return canonical_members(parse_json(json.dumps(document).encode()), rules)


def changed(**changes: Any) -> dict[str, Any]:
    return {**ORDER, **changes}


def test_what_is_excluded_does_not_count() -> None:
    rules = Selection(exclude=("$.meta.trace", "$.items[*].note"))
    read_as, form = members(ORDER, rules)
    assert read_as == "json"
    assert json.loads(form) == {"id": "o-1", "items": [{"sku": "a"}, {"sku": "b"}], "meta": {"tenant": "t"}}
    other = changed(meta={"trace": 8, "tenant": "t"}, items=[{"sku": "a", "note": "?"}, {"sku": "b"}])
    assert members(other, rules) == (read_as, form)


def test_excluded_elements_are_those_that_were_selected() -> None:
    assert members([0, 1, 2, 3], Selection(exclude=("$[0]", "$[2]"))) == ("json", b"[1,3]")
    assert members({"a": {"b": 1}}, Selection(exclude=("$.a", "$.a.b"))) == ("json", b"{}")


def test_only_what_is_included_counts() -> None:
    rules = Selection(include=("$.id", "$.items[*].sku"))
    one = members(ORDER, rules)
    assert one[0] == "json-members"
    assert members(changed(meta=None, new=1), rules) == one
    assert members(changed(id="o-2"), rules) != one
    assert members(changed(items=[{"sku": "b"}, {"sku": "a"}]), rules) != one
    assert members(ORDER, Selection(include=("$.items[*].sku", "$.id", "$..id"))) == one


def test_exclude_is_taken_off_what_is_included() -> None:
    rules = Selection(include=("$.id", "$.meta"), exclude=("$.meta.trace", "$.items"))
    assert members(changed(meta={"trace": 8, "tenant": "t"}), rules) == members(ORDER, rules)
    assert members(changed(meta={"trace": 7, "tenant": "u"}), rules) != members(ORDER, rules)


@pytest.mark.parametrize("include", [("$.order_id",), ("$.id", "$.order_id"), ("$.meta.trace",), ()])
def test_an_include_that_misses_leaves_the_whole_document(include: tuple[str, ...]) -> None:
    rules = Selection(include=include, exclude=("$.meta.trace",))
    read_as, form = members(ORDER, rules)
    assert (read_as, form) == members(ORDER, Selection(exclude=("$.meta.trace",)))
    assert members(changed(id="o-2"), rules) != (read_as, form)


def test_null_is_something_to_include() -> None:
    rules = Selection(include=("$.id",))
    assert members({"id": None, "b": 1}, rules) == members({"id": None, "b": 2}, rules)
    assert members({"id": None}, rules) != members({"id": "null"}, rules)


def test_the_root_can_not_be_excluded() -> None:
    assert members(ORDER, Selection(exclude=("$",))) == members(ORDER, ALL)
    assert members("text", Selection(exclude=("$", "$.*"))) == ("json", b'"text"')


def test_a_whole_document_is_never_taken_for_a_part() -> None:
    whole = members({"a": 1}, ALL)
    assert members({"a": {"a": 1}, "b": 2}, Selection(include=("$.a",))) != whole
    assert members({"b": 1}, Selection(include=("$.b",))) != members({"a": 1}, Selection(include=("$.a",)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
bodies = st.fixed_dictionaries(
    {"kept": json_values, "noise": json_values, "deep": st.fixed_dictionaries({"x": json_values})}
)
RULES = (
    Selection(exclude=("$.noise", "$.deep.x")),
    Selection(include=("$.kept",)),
    Selection(include=("$.kept", "$.deep"), exclude=("$..x",)),
)


@pytest.mark.parametrize("rules", RULES[:2])
@given(body=bodies, other=bodies)
def test_a_change_counts_exactly_if_it_is_in_what_counts(rules: Selection, body: Any, other: Any) -> None:
    noisy = {**body, "noise": other["noise"], "deep": other["deep"]}
    assert members(noisy, rules) == members(body, rules)
    same = json.dumps(body["kept"], sort_keys=True) == json.dumps(other["kept"], sort_keys=True)
    assert (members({**body, "kept": other["kept"]}, rules) == members(body, rules)) is same


@pytest.mark.parametrize("rules", RULES)
@given(body=bodies, seed=st.integers())
def test_the_order_of_members_never_counts(rules: Selection, body: Any, seed: int) -> None:
    assert members(shuffled(body, random.Random(seed)), rules) == members(body, rules)


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: shuffled(value[name], chance) for name in names}
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value
