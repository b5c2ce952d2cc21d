"""What is wrong with a value, in words that say what would be right, and without giving secrets away."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from pydantic_core import ErrorDetails

from onceproxy.config.document import KeyPath
from onceproxy.config.model import every_route_setting, every_setting, field_of, names_in, section_at

SHOWN = 60  # characters of a value or a key; who wrote more knows it from its start

# In the place of an error: a mapping's key itself, and which of several kinds of value was taken.
_OF_THE_VALIDATION = frozenset({"[key]", "[one]", "[many]", "[word]", "[members]"})

_MISSING = {
    "match": "write at least match: {host: ...}, or match: {path: /**} for all requests",
    "name": "receipts, logs and problems call the route by it",
    "url": "it is what the probe asks, as in https://api.example.com/orders?reference={json:$.reference}",
    "hook": "it is where messages are sent, as in https://alerts.example.com/onceproxy",
    "happened": "it is a JSONPath that selects something in the probe's answer if it happened: $.data[0]",
}

_RANGES = {
    "tries": "it must be a whole number from 1 to 10",
    "": "it must be a status, a whole number from 100 to 599",
}

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_./~-]+")
# A user name or password comes before an @, and any URL may have a secret in its path or query.
_MAYBE_SECRET = re.compile(r"@|//")


def location(error: ErrorDetails) -> KeyPath:
    """Return the key that an error of the validation is about."""
    return tuple(part for part in error["loc"] if part not in _OF_THE_VALIDATION)


def dotted(key: KeyPath) -> str:
    """Return a path as ``tls.passthrough[0]``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{_key(part)}"
    return text.removeprefix(".")


def what_is_wrong(error: ErrorDetails, *, may_show: bool = True) -> str:
    """Return what is wrong and what would be right; the value itself only if it can't be a secret."""
    key = location(error)
    if error["type"] == "extra_forbidden":
        return _unknown(key)
    if error["type"] == "missing":
        name = "hook" if key[0] == "hooks" and key[-1] == "url" else str(key[-1])
        return f"is missing; {_MISSING.get(name, 'it must be there')}"
    rule = _rule(error)
    if error["loc"][-1] == "[key]":
        return rule
    shown = _shown(error["input"]) if may_show and not _is_secret(key) else ""
    return f"is {shown}; {rule}" if shown else rule


def _rule(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return f"it must be {context['expected']}{_meant(error['input'], context['expected'])}"
    if kind in ("greater_than_equal", "less_than_equal", "int_type"):
        return _RANGES.get(str(location(error)[-1]), _RANGES[""])
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return "it must be a mapping: lines of the form `key: value` below it, indented"
    if kind == "tuple_type":
        return "it must be a list, as in [a, b]"
    if kind == "bool_type":
        return "it must be true or false"
    if kind == "string_type":
        return "it must be text; put it in quotes if YAML takes it for something else"
    return error["msg"][0].lower() + error["msg"][1:]


def _meant(value: Any, expected: str) -> str:
    """Return a hint at the word that was meant; empty if none is near."""
    near = difflib.get_close_matches(str(value).lower(), re.findall(r"'([^']+)'", expected), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _is_secret(key: KeyPath) -> bool:
    """Whether a setting, or one that it is in, is kept out of reprs, and so out of errors."""
    for end in range(1, len(key) + 1):
        section = section_at(key[: end - 1])
        field = field_of(section, str(key[end - 1])) if section is not None else None
        if field is not None and not field.repr:
            return True
    return False


def _shown(value: Any) -> str:
    """Return a value as it was written, or what it is; empty if it may be a secret."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return "" if _MAYBE_SECRET.search(value) else repr(_short(value))
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return ""


def _unknown(key: KeyPath) -> str:
    section = section_at(key[:-1])
    known = names_in(section) if section is not None else []
    name = str(key[-1])
    elsewhere = [dotted(path) for path in _everywhere(key) if path[-1] == name]
    close = elsewhere or [dotted((*key[:-1], near)) for near in difflib.get_close_matches(name, known, n=1)]
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"there is no such setting; {hint}Allowed here: {', '.join(known)}"


def _everywhere(key: KeyPath) -> Iterator[KeyPath]:
    """Yield all settings that may have been meant at ``key``: of a route, those of the same route."""
    if key[0] == "routes" and len(key) > 1:
        yield from ((*key[:2], *path) for path, _ in every_route_setting())
    else:
        yield from (path for path, _ in every_setting())


def _key(name: str) -> str:
    if _PLAIN_KEY.fullmatch(name) and "//" not in name:
        return _short(name)
    return "…" if _MAYBE_SECRET.search(name) else repr(_short(name))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
