"""GraphQL documents: one form however they are written, and an error for what is none."""

from __future__ import annotations

import random

from graphql import parse, print_ast
from graphql.utilities import strip_ignored_characters
from hypothesis import given
from hypothesis import strategies as st

from fuzz.effort import effort
from onceproxy.core.canonical import NotCanonical
from onceproxy.core.graphql_documents import MAX_DOCUMENT, operation

NAMES = st.sampled_from(["a", "b", "pay", "on", "query", "type", "__typename"])
FIELD_NAMES = NAMES
SCALARS = st.sampled_from(["1", "-2.5", '"x"', '"""y"""', "true", "null", "ENUM", "$v", '"\\u00e9"', '""'])
ARGUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=2).map(lambda values: f"[{', '.join(values)}]")
            | st.dictionaries(NAMES, inner, max_size=2).map(
                lambda members: f"{{{', '.join(f'{name}: {value}' for name, value in members.items())}}}"
            )
        ),
        max_leaves=4,
    ),
    max_size=3,
)


def _written(name: str, arguments: dict[str, str], alias: str, inside: str) -> str:
    given_ = ", ".join(f"{key}: {value}" for key, value in arguments.items())
    return f"{f'{alias}: ' if alias else ''}{name}{f'({given_})' if given_ else ''}{inside}"


FIELDS = st.builds(_written, FIELD_NAMES, ARGUMENTS, st.sampled_from(["", "x"]), st.just(""))
SELECTIONS = st.recursive(
    FIELDS,
    lambda inner: st.builds(
        lambda field, inside: f"{field} {{ {' '.join(inside)} }}",
        FIELDS,
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
DOCUMENTS = st.builds(
    lambda kind, fields: f"{kind} O($v: Int) {{ {' '.join(fields)} }}",
    st.sampled_from(["mutation", "query"]),
    st.lists(SELECTIONS, min_size=1, max_size=3),
)
PIECES = st.sampled_from(
    [
        "{",
        "}",
        "(",
        ")",
        "mutation",
        "query",
        "fragment",
        "on",
        "...",
        "a",
        "$v",
        ":",
        "@skip",
        "!",
        "[",
        "]",
        '"',
        '"""',
        "\\",
        "\n",
        "#",
        ",",
        "1",
        "=",
        "|",
        "&",
        "\ufeff",
        "\ud800",
        "\0",
        "subscription",
        "{a}",
        "mutation{a}",
        "...F",
        "fragment F on T{a}",
        "extend",
        "type",
        "schema",
        " ",
    ]
)
SOUP = st.lists(PIECES, max_size=16).map("".join)


@effort(120)
@given(DOCUMENTS, st.integers(0, 2**32).map(random.Random))
def test_a_document_has_one_form_for_all_its_spellings(document: str, chance: random.Random) -> None:
    form = operation(document, None)

    assert form.reads is document.startswith("query")
    assert operation(print_ast(parse(document)), None) == form
    assert operation(strip_ignored_characters(document), None) == form
    assert operation(f"# {chance.random()}\n{document}\n,,{{ unused }}"[: -len("{ unused }")], "O") == form
    assert operation(f"{document} query Other {{ a }}", "O") == form


@effort(120)
@given(DOCUMENTS, DOCUMENTS)
def test_different_documents_stay_different(one: str, other: str) -> None:
    if operation(one, None) == operation(other, None):
        assert _sorted(one) == _sorted(other)
    assert operation(one, None) != operation(one[:-1] + " another }", None)


@effort(300)
@given(SOUP, st.none() | st.sampled_from(["", "O", "a"]))
def test_what_is_no_document_is_refused(text: str, name: str | None) -> None:
    try:
        form = operation(text, name)
    except NotCanonical:
        return
    assert operation(text, name) == form


def test_large_documents_end() -> None:
    """Documents made to take quadratic time or all of the stack would not end within the test's timeout."""
    for document in (
        "{a" * (MAX_DOCUMENT // 2 - 1),
        "{" * (MAX_DOCUMENT - 1),
        "mutation{a(b:" + "[" * 100_000,
        "fragment F on T{...F}" * 5000 + "{...F}",
        "".join(f"fragment F{n} on T{{...F{n + 1}}}" for n in range(5000)) + "{...F0}",
        "{" + "a " * 100_000 + "}",
        '"' * 100_000,
    ):
        try:
            operation(document, None)
        except NotCanonical:
            continue


def _sorted(document: str) -> str:
    """Return a document with all that has no order sorted: its characters."""
    return "".join(sorted(strip_ignored_characters(print_ast(parse(document)))))
