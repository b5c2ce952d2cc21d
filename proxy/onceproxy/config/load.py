"""From a file, the environment and the command line to settings, or to a list of all that is wrong.

Order: flag, environment, file, default. What a stronger source sets is not looked at in a weaker one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from onceproxy.config.contradictions import contradictions
from onceproxy.config.document import Document, DocumentError, KeyPath, read_document
from onceproxy.config.encryption import BadKey, read_keys
from onceproxy.config.exposure import Unguarded, who_may_enter
from onceproxy.config.hooks import BadSecret, read_secrets
from onceproxy.config.model import Settings
from onceproxy.config.references import References
from onceproxy.config.wording import dotted, location, what_is_wrong

DEFAULT_FILE = Path("onceproxy.yaml")
FILE_VARIABLE = "ONCEPROXY_CONFIG"
VARIABLES: dict[str, tuple[str, ...]] = {
    "ONCEPROXY_LISTEN": ("listen",),
    "ONCEPROXY_INSECURE_LISTEN": ("insecure_listen",),
    "ONCEPROXY_DATABASE": ("database",),
    "ONCEPROXY_DATABASE_DIRECT": ("database_direct",),
    "ONCEPROXY_DATA_DIR": ("data_dir",),
    "ONCEPROXY_WORKERS": ("workers",),
    "ONCEPROXY_ADMIN_LISTEN": ("admin", "listen"),
}
MAX_PROBLEMS = 100  # a file with more is another file

_AFTER_THE_FILE = 1 << 30  # sorts what is wrong in the environment and in flags behind all lines


class ConfigError(Exception):
    """The configuration can't be used. ``problems`` has a line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(
    path: Path | None = None,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, str | None] | None = None,
    serving: bool = False,
) -> Settings:
    """Return the settings.

    Args:
        path: the file; None takes ``ONCEPROXY_CONFIG``, else ``./onceproxy.yaml`` where it exists.
        environ: the environment, for ``ONCEPROXY_…`` and for ``${NAME}`` in the file. An empty
            ``ONCEPROXY_…`` counts as unset.
        flags: values of the command line by the setting's name, such as ``listen``; None is not given.
        serving: they are for a proxy that is to run, so what keeps strangers out has to be there, too.

    Raises:
        ConfigError: with all that is wrong, each line naming where.
    """
    document = _read(path, environ)
    references = References(environ)
    values = references.fill(document.values)
    sources = _lay_over(values, environ, flags or {})
    found = _Problems(document, sources)
    if document.name and "version" not in values:
        found.add(("version",), "is missing; write `version: 1`")
    for key, line in document.repeated:
        found.add(key, f"is there twice, first in line {document.lines[key]}; keep one", line=line)
    wrong = {key: what for key, what in references.wrong.items() if key not in sources}
    for key, what in wrong.items():
        found.add(key, what)
    for key, what in contradictions(values):
        found.add(key, what)
    settings = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        for detail in error.errors():
            key = location(detail)
            if key not in wrong:  # the empty text in place of an unset variable is no second error
                shown = key not in references.filled or key in sources
                found.add(key, what_is_wrong(detail, may_show=shown))
    if settings is not None and _same_port(settings):
        found.add(
            ("admin", "listen"), "is the same as listen; it must have a port of its own, as in 127.0.0.1:8889"
        )
    if settings is not None and serving:
        try:
            who_may_enter(settings, environ)
        except Unguarded as error:
            for key, what in error.wrong:
                found.add(key, what)
        for at, key_or_fault in read_keys(settings.encryption, environ):
            if isinstance(key_or_fault, BadKey):
                found.add(("encryption", "keys", at, key_or_fault.place), str(key_or_fault))
        for at, secret_or_fault in read_secrets(settings.hooks, environ):
            if isinstance(secret_or_fault, BadSecret):
                found.add(("hooks", at, secret_or_fault.place), str(secret_or_fault))
    found.raise_any()
    assert settings is not None
    return settings


def file_of(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the file that ``load`` reads, or would if it were there."""
    return path or Path(environ.get(FILE_VARIABLE) or DEFAULT_FILE)


def _read(path: Path | None, environ: Mapping[str, str]) -> Document:
    named_by = ""
    if path is None and environ.get(FILE_VARIABLE):
        path, named_by = Path(environ[FILE_VARIABLE]), f"{FILE_VARIABLE}: "
    if path is None:
        if not os.path.exists(DEFAULT_FILE):  # unlike Path's, it never raises
            return Document("", {})
        path = DEFAULT_FILE
    try:
        return read_document(path)
    except DocumentError as error:
        # A fault in a file that was read stays FILE:LINE, which editors jump to.
        prefix = "" if os.path.isfile(path) else named_by
        raise ConfigError([f"{prefix}{error}"]) from None


def _lay_over(
    values: dict[str, Any], environ: Mapping[str, str], flags: Mapping[str, str | None]
) -> dict[KeyPath, str]:
    """Put the environment and the flags over the file's values; return who set which key."""
    sources: dict[KeyPath, str] = {}
    for variable, key in VARIABLES.items():
        if environ.get(variable):
            _put(values, key, environ[variable])
            sources[key] = variable
    for name, value in flags.items():
        if value is not None:
            _put(values, (name,), value)
            sources[(name,)] = f"--{name.replace('_', '-')}"
    return sources


def _put(values: dict[str, Any], key: tuple[str, ...], value: str) -> None:
    for name in key[:-1]:
        section = values.setdefault(name, {})
        if not isinstance(section, dict):
            return  # the file has something else there, which is told as such
        values = section
    values[key[-1]] = value


def _same_port(settings: Settings) -> bool:
    # The default is left alone: `onceproxy run` gives the admin listener a free port where none is set.
    return (
        "admin" in settings.model_fields_set
        and settings.listen.port != 0
        and settings.listen == settings.admin.listen
    )


class _Problems:
    """Gathers what is wrong, in the order of the file."""

    def __init__(self, document: Document, sources: Mapping[KeyPath, str]) -> None:
        self._document = document
        self._sources = sources
        self._found: list[tuple[int, str]] = []

    def add(self, key: KeyPath, what: str, *, line: int | None = None) -> None:
        if line is None and key in self._sources:
            self._found.append((_AFTER_THE_FILE, f"{self._sources[key]}: {what}"))
            return
        line = self._document.line(key) if line is None else line
        self._found.append((line, f"{self._document.name}:{line}: {dotted(key)}: {what}"))

    def raise_any(self) -> None:
        problems = [text for _, text in sorted(self._found, key=lambda found: found[0])]
        if len(problems) > MAX_PROBLEMS:
            further = len(problems) - MAX_PROBLEMS
            problems[MAX_PROBLEMS:] = [f"{self._document.name}: and {further} more of the kind"]
        if problems:
            raise ConfigError(problems)
