"""Which source wins, and what comes of a file that is right."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from onceproxy.config.load import ConfigError, load
from onceproxy.config.model import Address, Settings
from unit.config.loading import settings_of


def test_nothing_gives_the_defaults() -> None:
    settings = load(environ={})

    assert settings == Settings()
    assert str(settings.listen) == "127.0.0.1:8888"
    assert str(settings.admin.listen) == "127.0.0.1:8889"
    assert settings.database == "embedded"
    assert settings.data_dir == Path(platformdirs.user_data_dir("onceproxy"))
    assert settings.model_fields_set == set()


def test_workers_are_a_number_wherever_it_is_written() -> None:
    assert load(environ={}).workers == 1
    assert settings_of("workers: 2\n").workers == 2
    assert load(environ={"ONCEPROXY_WORKERS": "3"}).workers == 3
    assert load(environ={"ONCEPROXY_WORKERS": "3"}, flags={"workers": "64"}).workers == 64


@pytest.mark.parametrize("text", ["0", "65", "-1", "two", "1.5", ""])
def test_what_is_no_number_of_workers(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--workers: .*a whole number from 1 to 64"):
        load(environ={}, flags={"workers": text})


def test_a_file_sets_all() -> None:
    Path("ca.pem").touch()

    settings = settings_of(
        "listen: '[::1]:0'\ndatabase: postgresql://u:p@h1:1,h2:2/name?sslmode=require\ndata_dir: ~/once\n"
        "allow_unsafe_durability: true\n"
        "tls: {intercept: false, passthrough: ['*.x.com'], upstream_ca: ca.pem}\n"
        "mounts: {/a: https://x.com, /a/b: 'http://[::1]:3000/c/'}\n"
        "limits: {request_body: 1024, receipt_body: 0, header: 4KiB, head_timeout: 1ms, "
        "upstream_timeout: 24h}\n"
        "defaults: {ttl: 30d, wait: 0, reuse_idle: 0s}\nadmin: {listen: localhost:1}\n"
    )

    assert settings.listen == Address("::1", 0)
    assert settings.database == "postgresql://u:p@h1:1,h2:2/name?sslmode=require"
    assert settings.data_dir == Path("~/once").expanduser()
    assert settings.allow_unsafe_durability
    assert settings.tls.model_dump() == {
        "intercept": False,
        "passthrough": ("*.x.com",),
        "upstream_ca": Path("ca.pem"),
        "client_certificates": (),
        "ca": {"cert": None, "key": None, "password_env": None},
    }
    assert settings.mounts == {"/a": "https://x.com", "/a/b": "http://[::1]:3000/c/"}
    assert (settings.limits.request_body, settings.limits.receipt_body, settings.limits.header) == (
        1024,
        0,
        4096,
    )
    assert (settings.limits.head_timeout, settings.limits.upstream_timeout) == (0.001, 86_400.0)
    set_here = settings.defaults.model_dump(include=settings.defaults.model_fields_set)
    assert set_here == {"ttl": 2_592_000.0, "wait": 0.0, "reuse_idle": 0.0}
    assert settings.admin.listen == Address("localhost", 1)


def test_settings_do_not_change_and_do_not_show_the_database() -> None:
    settings = settings_of("database: postgres://u:hunter2@h/n\n")

    with pytest.raises(ValueError, match="frozen"):
        settings.listen = Address("::", 1)  # type: ignore[misc]
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)


def test_the_default_file_is_read_where_it_exists() -> None:
    Path("onceproxy.yaml").write_text("version: 1\nlisten: 127.0.0.1:1\n")
    Path("other.yaml").write_text("version: 1\nlisten: 127.0.0.1:2\n")
    Path("third.yaml").write_text("version: 1\nlisten: 127.0.0.1:3\n")

    assert load(environ={}).listen.port == 1
    assert load(environ={"ONCEPROXY_CONFIG": ""}).listen.port == 1
    assert load(environ={"ONCEPROXY_CONFIG": "other.yaml"}).listen.port == 2
    assert load(Path("third.yaml"), environ={"ONCEPROXY_CONFIG": "other.yaml"}).listen.port == 3


@pytest.mark.parametrize(
    ("variable", "flag", "values"),
    [
        ("ONCEPROXY_LISTEN", "listen", ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")),
        ("ONCEPROXY_DATABASE", "database", ("postgres://a", "postgres://b", "postgres://c")),
        ("ONCEPROXY_DATA_DIR", "data_dir", ("a", "b", "c")),
    ],
)
def test_a_flag_beats_the_environment_which_beats_the_file(
    variable: str, flag: str, values: tuple[str, str, str]
) -> None:
    in_file, in_environment, on_line = values
    text = f"{flag}: {in_file}\n"

    assert str(getattr(settings_of(text, {variable: ""}, {flag: None}), flag)) == in_file
    assert str(getattr(settings_of(text, {variable: in_environment}, {flag: None}), flag)) == in_environment
    assert str(getattr(settings_of(text, {variable: in_environment}, {flag: on_line}), flag)) == on_line


def test_the_admin_listener_comes_from_the_environment() -> None:
    environ = {"ONCEPROXY_ADMIN_LISTEN": "127.0.0.1:2"}

    assert load(environ=environ).admin.listen.port == 2
    assert settings_of("admin: {listen: 127.0.0.1:1}\n", environ).admin.listen.port == 2


def test_what_is_overridden_is_not_looked_at() -> None:
    settings = settings_of(
        "listen: ${NOT_SET}\ndatabase: wrong\n", {"ONCEPROXY_DATABASE": "embedded"}, {"listen": "[::1]:1"}
    )

    assert (str(settings.listen), settings.database) == ("[::1]:1", "embedded")


def test_references_are_filled_in_once_and_escaped_ones_stay() -> None:
    settings = settings_of(
        "data_dir: ${A}/${B}/$${A}/$C/$\nmounts: {/a: 'https://${HOST}/x'}\n",
        {"A": "one", "B": "${A}", "HOST": "x.com"},
    )

    assert str(settings.data_dir) == "one/${A}/${A}/$C/$"
    assert settings.mounts == {"/a": "https://x.com/x"}


def test_the_working_directory_is_what_relative_paths_are_relative_to() -> None:
    Path("sub").mkdir()
    Path("sub/f.yaml").write_text("version: 1\ndata_dir: data\n")

    assert load(Path("sub/f.yaml"), environ={}).data_dir == Path("data")
