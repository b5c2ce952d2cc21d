"""A YAML file as plain values that remember their lines.

Plain words are read as YAML 1.2 does: ``true`` and ``false`` are booleans, but ``yes``, ``no``, ``on`` and
``off`` are text, and so are ``1:30`` and ``2026-01-01``. The library's own rules (YAML 1.1) would make
booleans, 90 and a date of them, and the error would speak of a value that nobody wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

KeyPath = tuple[str | int, ...]

MAX_BYTES = 1 << 20  # a configuration of a mebibyte is a mistake
MAX_DEPTH = 20
MAX_VALUES = 10_000  # aliases can make few lines stand for very many values

_TAG = "tag:yaml.org,2002:"
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}
# Line ends to the parser and to nobody else: what an editor shows as part of a comment would be a setting.
_HIDDEN_END = re.compile("[\x85\u2028\u2029]")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}\Z")
_NULL_OR_BOOL = {
    "bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    "null": re.compile(r"(?:~|null|Null|NULL|)\Z"),
}

# What the parser says where people most often trip, and what to do about it.
_HINTS = (
    ("expected alphabetic or numeric character", 'quote text that starts with * or &, as in "*.x.com"'),
    ("'\\t'", "indent with spaces, not tabs"),
    ("could not find expected ':'", "write key: value, with a space after the colon"),
    (
        "mapping values are not allowed here",
        "check the indentation, and quote text that holds a colon and a space",
    ),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("expected a single document", "one file holds one configuration; remove the --- line"),
    ("cannot start any token", "quote text that starts with %, @ or `"),
)


class DocumentError(Exception):
    """A file can't be read as a YAML mapping; the text begins with the file and the line."""


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a file, and the line of each by its path. An empty ``name``: there is no file.

    ``repeated`` has the keys that are there twice with their lines, in the order of the file.
    """

    name: str
    values: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    repeated: list[tuple[KeyPath, int]] = field(default_factory=list)

    def line(self, key: KeyPath) -> int:
        """Return the line of a key, or of the nearest key around it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def read_document(path: Path) -> Document:
    """Read a file.

    Raises:
        DocumentError: it can't be read, or is no YAML mapping.
    """
    text = _read_text(path)
    if (hidden := _HIDDEN_END.search(text)) is not None:
        line = text.count("\n", 0, hidden.start()) + 1
        code = f"U+{ord(hidden[0]):04X}"
        raise DocumentError(f"{path}:{line}: holds {code}, a line end that editors do not show; remove it")
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise DocumentError(f"{path}:{line}: is not valid YAML: {_in_plain_form(error)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(f"{path}:{line}: is not valid YAML: it holds a control character") from None
    if node is None:
        raise DocumentError(f"{path}:1: is empty; write at least `version: 1`")
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        raise DocumentError(f"{path}:{line}: must be a mapping: lines of the form `key: value`")
    reader = _Reader(str(path))
    values = reader.read(node, ())
    return Document(str(path), values, reader.lines, reader.repeated)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise DocumentError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise DocumentError(f"{path}: is a directory; name the file in it") from None
    except OSError as error:
        raise DocumentError(f"{path}: can't be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise DocumentError(f"{path}: is larger than {MAX_BYTES >> 20} MiB; is it the right file?")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(f"{path}:{line}: is not UTF-8; save it in that encoding") from None


def _in_plain_form(error: yaml.MarkedYAMLError) -> str:
    # The parser quotes names of aliases and tags, which may be a password that YAML takes for one.
    said = ", ".join(part for part in (error.context, error.problem) if part)
    said = re.sub(r"'[^'<]{4,}'", "(a name)", said)
    hint = next((advice for sign, advice in _HINTS if sign in said), "")
    return f"{said} ({hint})" if hint else said


class _Loader(yaml.SafeLoader):
    """Composes nodes to a bounded depth, with plain words as in YAML 1.2."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 -- the library's own name and form

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, unless it lies too deep: the library would recurse until the stack is full."""
        if self._depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, f"it nests deeper than {MAX_DEPTH} levels", mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


_Loader.add_implicit_resolver(f"{_TAG}bool", _NULL_OR_BOOL["bool"], list("tTfF"))
_Loader.add_implicit_resolver(f"{_TAG}null", _NULL_OR_BOOL["null"], ["~", "n", "N", ""])
_Loader.add_implicit_resolver(f"{_TAG}int", _INTEGER, list("-+0123456789"))


class _Reader:
    """Turns nodes into values, and notes lines and repeated keys."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self.lines: dict[KeyPath, int] = {}
        self.repeated: list[tuple[KeyPath, int]] = []

    def read(self, node: yaml.Node, key: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(key, line)
        self._count += 1
        # An alias may lead back to what it is in: without a bound that never ends.
        if len(key) > MAX_DEPTH or self._count > MAX_VALUES:
            self._refuse(line, "an alias (*) leads into itself, or stands for too much; write it out")
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.read(item, (*key, at)) for at, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and kind == "str":
            return node.value
        if isinstance(node, yaml.ScalarNode) and kind == "int" and _INTEGER.match(node.value):
            return int(node.value)
        if kind in _NULL_OR_BOOL and _NULL_OR_BOOL[kind].match(node.value):
            return _WORDS[node.value.lower()]
        return self._refuse(line, "tags (!…) have no meaning here; write the value alone")

    def _mapping(self, node: yaml.MappingNode, key: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name_node, item in node.value:
            line = name_node.start_mark.line + 1
            if not isinstance(name_node, yaml.ScalarNode):
                self._refuse(line, "a key must be plain text")
            name = name_node.value
            if name in values:
                self.repeated.append(((*key, name), line))
                continue
            self.lines[(*key, name)] = line
            values[name] = self.read(item, (*key, name))
        return values

    def _refuse(self, line: int, why: str) -> NoReturn:
        raise DocumentError(f"{self._name}:{line}: {why}")
