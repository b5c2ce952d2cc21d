"""A password never shows: not in errors, not in what a repr or an exception carries along."""

from __future__ import annotations

import pytest

from onceproxy.config.load import ConfigError
from onceproxy.config.model import Settings
from unit.config.loading import problems_of, settings_of

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        (f"database: mysql://u:{SECRET}@h/n", {}),
        (f"database: postgres://u:x#{SECRET}@h/n", {}),
        (f"database: postgres://u:x/{SECRET}@h/n", {}),
        (f"database: postgres://u:x?{SECRET}@h/n", {}),
        (f"database: postgres://u:x@{SECRET}@h/n", {}),
        (f"database: 'postgres://u:{SECRET} @h/n'", {}),
        (f"database: {SECRET}", {}),
        (f"database: *{SECRET}", {}),
        (f"database: !{SECRET}!x y", {}),
        (f'database: "postgres://u:{SECRET}', {}),
        (f"database: postgres://u:{SECRET}: @h", {}),
        (f"database: [postgres://u:{SECRET}@h]", {}),
        (f"database:postgres://u:{SECRET}@h/n", {}),
        (f"{{database:postgres://u:{SECRET}@h/n: 1}}", {}),
        (f"'postgres://u:{SECRET}@h/n': 1", {}),
        (f"tls: {{'postgres://u:{SECRET}@h/n': 1}}", {}),
        (f"listen: postgres://u:{SECRET}@h/n", {}),
        ("database: x${PW}", {"PW": SECRET}),
        ("listen: ${PW}", {"PW": SECRET}),
        ("tls: ${PW}", {"PW": SECRET}),
        ("tls: {passthrough: ['${PW}:1']}", {"PW": SECRET}),
        ("tls: {upstream_ca: '${PW}'}", {"PW": SECRET}),
        ("limits: {header: '${PW}'}", {"PW": SECRET}),
        ("version: ${PW}", {"PW": SECRET}),
        (f"mounts: {{/a: 'https://u:{SECRET}@h'}}", {}),
        (f"mounts: {{/a: 'https://h/x?key={SECRET}'}}", {}),
        (f"mounts: {{'https://u:{SECRET}@h': /a}}", {}),
        (f"users: {SECRET}", {}),
        (f"users: [{SECRET}]", {}),
        (f"users: {{billing: {SECRET}}}", {}),
        (f"users: [{{name: a, password: {SECRET}}}]", {}),
        (f"users: [{{name: a, password_hash: {SECRET}}}]", {}),
        (f"users: [{{name: a, password_hash: [{SECRET}]}}]", {}),
        (f"users: [{{name: a, password_env: '{SECRET}!'}}]", {}),
        (f"users: [{{name: 'a:{SECRET}', password_env: A}}]", {}),
        (f"users: [{{name: a, password_file: ['{SECRET}']}}]", {}),
        (f"admin: {{token: {SECRET}}}", {}),
        (f"admin: {{token_env: '{SECRET}!'}}", {}),
        (f"admin: {{token_file: ['{SECRET}']}}", {}),
        ("", {"ONCEPROXY_DATABASE": SECRET}),
        ("", {"ONCEPROXY_DATABASE": f"mysql://u:{SECRET}@h"}),
        ("", {"ONCEPROXY_LISTEN": f"postgres://u:{SECRET}@h"}),
    ],
)
def test_no_secret_is_shown(text: str, environ: dict[str, str]) -> None:
    data = f"version: 1\n{text}\n" if not text.startswith("{") else f"{text}\n"

    problems = problems_of(data.encode(), environ)

    assert problems
    assert SECRET not in "\n".join(problems)


def test_the_exception_carries_no_secret_along() -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(f"database: mysql://u:{SECRET}@h/n\n")

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    with pytest.raises(ValueError) as direct:
        Settings(database=f"mysql://u:{SECRET}@h/n")
    assert SECRET not in str(direct.value)
