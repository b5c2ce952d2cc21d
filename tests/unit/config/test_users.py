"""Who may enter: users and the token, where they are read from, and listeners that nobody guards."""

from __future__ import annotations

from pathlib import Path

import pytest

from onceproxy.config.exposure import who_may_enter
from onceproxy.config.given_secrets import OTHERS_MAY_WRITE
from onceproxy.config.load import ConfigError, load
from onceproxy.config.model import Settings
from onceproxy.core.passwords import PasswordHash, PlainPassword
from unit.config.loading import FILE, settings_of

HASH = "$scrypt$ln=14,r=8,p=5$ytID+3//3LbuSRwZvXqD0A$mkRXkUM5YHVMNc/7hNHkZDoL+pF/x6gz+4Disa68AUU"
SECRET = "hunter2"
TOKEN = "0123456789abcdef"
UNSET = "the environment has no variable of that name, or it is empty; set it to the secret"


def wrong_in(
    text: str, environ: dict[str, str] | None = None, flags: dict[str, str | None] | None = None
) -> list[str]:
    """What stands in the way of a proxy with this file, without the place of the file."""
    FILE.write_text(f"version: 1\n{text}\n")
    load(FILE, environ=environ or {}, flags=flags)  # of no concern to a command that starts no proxy
    with pytest.raises(ConfigError) as caught:
        load(FILE, environ=environ or {}, flags=flags, serving=True)
    assert SECRET not in str(caught.value)
    return caught.value.problems


def test_users_come_from_the_environment_from_files_and_as_hashes() -> None:
    Path("ann").write_text("pw of ann\n")
    Path("more").write_text(f"# ours\n\nbob:{HASH}\n")
    settings = settings_of(
        "users:\n"
        "- {name: ann, password_file: ann}\n"
        "- {name: eve, password_env: EVE}\n"
        f"- {{name: joe, password_hash: '{HASH}'}}\n"
        "users_file: more\n"
        "admin: {token_env: TOKEN}"
    )

    users, token = who_may_enter(settings, {"EVE": "pw of eve", "TOKEN": TOKEN})

    assert users.secrets == {
        "ann": PlainPassword("pw of ann"),
        "eve": PlainPassword("pw of eve"),
        "joe": PasswordHash.parse(HASH),
        "bob": PasswordHash.parse(HASH),
    }
    assert token == TOKEN
    assert HASH not in repr(settings)
    assert "EVE" not in repr(settings), "people write the password there"


@pytest.mark.parametrize(
    ("text", "environ", "problem"),
    [
        (
            f"users:\n- {{name: a, password_env: {SECRET}}}",
            {},
            f"3: users[0].password_env: {UNSET}",
        ),
        (
            "users:\n- {name: a, password_env: A}",
            {"A": ""},
            f"3: users[0].password_env: {UNSET}",
        ),
        (
            "users:\n- {name: a, password_env: A}",
            {"A": f"{SECRET}\n"},
            "3: users[0].password_env: a password has 1 to 1024 characters, no control characters among them",
        ),
        (
            f"users: [{{name: a, password_file: {SECRET}}}]",
            {},
            "2: users[0].password_file: there is no such file",
        ),
        (
            "users: [{name: a, password_file: two-lines}]",
            {},
            "2: users[0].password_file: that file must hold the secret in one line, and nothing else",
        ),
        (
            "users: [{name: a, password_file: open}]",
            {},
            f"2: users[0].password_file: {OTHERS_MAY_WRITE}",
        ),
        ("users_file: nope", {}, "2: users_file: there is no such file"),
        ("users_file: empty", {}, "2: users_file: has no user in it; add one with `onceproxy passwd NAME`"),
        (
            "users_file: two-lines",
            {},
            "2: users_file: two-lines:1: a line is NAME:HASH. It must be a hash of scrypt, as "
            "`onceproxy passwd` makes it, in quotes: $scrypt$ln=…$…$…",
        ),
        (
            "users: [{name: bob, password_env: A}]\nusers_file: bob",
            {"A": "x"},
            "3: users_file: bob:2: its user is there already; a name has one password",
        ),
        (
            f"admin: {{token_env: {SECRET}}}",
            {},
            f"2: admin.token_env: {UNSET}",
        ),
        (
            "admin: {token_env: A}",
            {"A": SECRET},
            "2: admin.token_env: the token must be 16 ASCII characters or more; take random ones",
        ),
    ],
)
def test_each_error_says_where_and_never_what(text: str, environ: dict[str, str], problem: str) -> None:
    Path("two-lines").write_text(f"{SECRET}:{SECRET}\n\n# x\n")
    Path("empty").write_text("# nobody yet\n")
    Path("bob").write_text(f"\nbob:{HASH}\n")
    Path("open").write_text(SECRET)
    Path("open").chmod(0o602)

    assert wrong_in(text, environ)[0] == f"f.yaml:{problem}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "users:\n- {name: a, password_env: A}\n- {name: a, password_env: B}",
            "4: users[1].name: is the name of users[0], too; each has its own",
        ),
        (
            "users:\n- {name: a}",
            "3: users[0]: must have exactly one of password_env, password_hash, password_file",
        ),
        (
            "users:\n- {name: a, password_env: A, password_file: b}",
            "3: users[0]: must have exactly one of password_env, password_hash, password_file",
        ),
        (
            "admin: {token_env: A, token_file: b}",
            "2: admin.token_file: is the token's second place, besides token_env; keep one",
        ),
    ],
)
def test_a_user_has_one_name_and_one_password(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(text)

    assert caught.value.problems == [f"f.yaml:{problem}"]


PROXY = "other machines can reach it, and nobody is asked who they are; name users"
ADMIN = "other machines can reach it, and nobody is asked for a token; set admin.token_env"


@pytest.mark.parametrize(
    ("text", "environ", "flags", "problem"),
    [
        ("listen: 0.0.0.0:1", {}, {}, f"f.yaml:2: listen: {PROXY}"),
        ("listen: '[::]:1'", {}, {}, f"f.yaml:2: listen: {PROXY}"),
        ("listen: proxy.internal:1", {}, {}, f"f.yaml:2: listen: {PROXY}"),
        ("", {"ONCEPROXY_LISTEN": "10.0.0.1:1"}, {}, f"ONCEPROXY_LISTEN: {PROXY}"),
        ("", {}, {"listen": "0.0.0.0:1"}, f"--listen: {PROXY}"),
        ("admin:\n  listen: 0.0.0.0:1", {}, {}, f"f.yaml:3: admin.listen: {ADMIN}"),
        ("", {"ONCEPROXY_ADMIN_LISTEN": "0.0.0.0:1"}, {}, f"ONCEPROXY_ADMIN_LISTEN: {ADMIN}"),
        # The one does not stand for the other.
        ("listen: 0.0.0.0:1\nadmin: {token_env: A}", {"A": TOKEN}, {}, f"f.yaml:2: listen: {PROXY}"),
        (
            "admin: {listen: '0.0.0.0:1'}\nusers: [{name: a, password_env: A}]",
            {"A": "x"},
            {},
            f"f.yaml:2: admin.listen: {ADMIN}",
        ),
        ("listen: 0.0.0.0:1\ninsecure_listen: false", {}, {}, f"f.yaml:2: listen: {PROXY}"),
        ("listen: 0.0.0.0:1", {"ONCEPROXY_INSECURE_LISTEN": "false"}, {}, f"f.yaml:2: listen: {PROXY}"),
    ],
)
def test_no_listener_is_open_to_strangers_by_mistake(
    text: str, environ: dict[str, str], flags: dict[str, str | None], problem: str
) -> None:
    [found] = wrong_in(text, environ, flags)

    assert found.startswith(problem)
    assert "--insecure-listen, ONCEPROXY_INSECURE_LISTEN=true" in found


BOTH = "listen: 0.0.0.0:1\nadmin: {listen: '0.0.0.0:2'}\n"


@pytest.mark.parametrize(
    ("text", "environ", "flags"),
    [
        (BOTH + "insecure_listen: true", {}, {}),
        (BOTH, {"ONCEPROXY_INSECURE_LISTEN": "true"}, {}),
        (BOTH, {"ONCEPROXY_INSECURE_LISTEN": "1"}, {}),
        (BOTH, {}, {"insecure_listen": "true"}),
        (
            "listen: 0.0.0.0:1\nusers: [{name: a, password_env: A}]\n"
            "admin: {listen: '0.0.0.0:2', token_env: T}",
            {"A": "x", "T": TOKEN},
            {},
        ),
        ("listen: localhost:1\nadmin: {listen: '[::1]:2'}", {}, {}),
    ],
)
def test_one_that_is_meant_is_allowed(
    text: str, environ: dict[str, str], flags: dict[str, str | None]
) -> None:
    FILE.write_text(f"version: 1\n{text}\n")

    assert isinstance(load(FILE, environ=environ, flags=flags, serving=True), Settings)


def test_only_true_and_false_allow_it() -> None:
    with pytest.raises(ConfigError, match="ONCEPROXY_INSECURE_LISTEN: is 'yes'; it must be true or false"):
        settings_of("", {"ONCEPROXY_INSECURE_LISTEN": "yes"})
