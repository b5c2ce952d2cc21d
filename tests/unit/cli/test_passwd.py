"""`onceproxy passwd`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result

from onceproxy.core.passwords import DEFAULT_COST, PasswordHash

Invoke = Callable[..., Result]


def test_a_hash_is_made_of_the_first_line_of_stdin(onceproxy: Invoke) -> None:
    result = onceproxy("passwd", stdin="pässwörd with spaces \nsecond line\n")

    assert result.exit_code == 0
    made = PasswordHash.parse(result.stdout.rstrip("\n"))
    assert made.cost == DEFAULT_COST
    assert made.matches("pässwörd with spaces ")
    assert result.stderr == ""


def test_with_a_name_it_is_a_line_of_the_file_of_users(onceproxy: Invoke) -> None:
    one, other = (onceproxy("passwd", "billing-agent", stdin="x\r\n").stdout for _ in range(2))

    assert one.startswith("billing-agent:$scrypt$")
    assert one != other, "each has a salt of its own"
    assert PasswordHash.parse(one.strip().partition(":")[2]).matches("x")


@pytest.mark.parametrize(("arguments", "stdin"), [((), ""), ((), "\n"), ((), "a\tb"), (("a:b",), "x")])
def test_what_no_client_can_send_is_refused(
    onceproxy: Invoke, arguments: tuple[str, ...], stdin: str
) -> None:
    result = onceproxy("passwd", *arguments, stdin=stdin)

    assert result.exit_code == 2
    assert not result.stdout


def test_a_password_is_no_argument(onceproxy: Invoke) -> None:
    assert onceproxy("passwd", "name", "secret", stdin="x").exit_code == 2
