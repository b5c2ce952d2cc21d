"""Texts of upstreams without what has the name of a secret, JSON laid out to be read.

It goes by tokens and not by documents: what is cut off in the middle, or no JSON after all, hides as much.
Numbers stay as they were written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from onceproxy.core.masking import MASK, is_secret_name, masked_text

_STRING = r'"(?:[^"\\]|\\.)*(?:"|\\?$)'
_TOKEN = re.compile(rf"{_STRING}|[{{}}\[\],:]|[^\s{{}}\[\],:\"]+", re.DOTALL)
_DEEPEST = 40  # steps of indentation
_HIDDEN = json.dumps(MASK)
_MEMBER = re.compile(rf'("(?:[^"\\\n]|\\.){{1,200}}")(\s*:\s*)({_STRING}|[^\s,}}\]"]+)', re.DOTALL)
# A member of JSON that is a text in JSON.
_QUOTED = re.compile(r'\\"([^"\\\n]{1,200})\\"(\s*:\s*)(?:\\"[^"\\]*(?:\\"|$)|[^\s,}\]"\\]+)')
_PAIR = re.compile(r"(?<![\w.\[\]%-])([\w.\[\]%-]{1,200})=([^&\s;,\"'<>]+)")


def hidden_in_json(text: str) -> str:
    """Return a text that looks like JSON with a line for each member, and no secrets."""
    if not _is_json(text):
        # Where strings begin and end is open to doubt: what looks like a member anywhere is taken for one.
        text = _MEMBER.sub(_hide_member, text)
    return "".join(_laid_out(text))


def hidden_in_text(text: str) -> str:
    """Return a text without secrets: members of JSON and pairs of forms anywhere in it, and tokens."""

    def pair(found: re.Match[str]) -> str:
        return f"{found[1]}={MASK}" if is_secret_name(found[1]) else found[0]

    def quoted(found: re.Match[str]) -> str:
        return f'\\"{found[1]}\\"{found[2]}\\"{MASK}\\"' if is_secret_name(found[1]) else found[0]

    return masked_text(_PAIR.sub(pair, _QUOTED.sub(quoted, _MEMBER.sub(_hide_member, text))))


def _hide_member(found: re.Match[str]) -> str:
    return found[1] + found[2] + _HIDDEN if _names_secret(found[1]) else found[0]


def _is_json(text: str) -> bool:
    try:
        json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return False
    return True


def _laid_out(text: str) -> Iterator[str]:
    depth = 0
    tokens = [found[0] for found in _TOKEN.finditer(text)]
    at = 0
    while at < len(tokens):
        one, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
        at += 1
        if one in "{[" and after and after in "}]":
            yield one + after
            at += 1
        elif one in "{[":
            depth += 1
            yield one + _break(depth)
        elif one in "}]":
            depth = max(0, depth - 1)
            yield _break(depth) + one
        elif one == ",":
            yield one + _break(depth)
        elif one == ":":
            yield ": "
        elif after == ":" and one.startswith('"') and _names_secret(one):
            yield f"{masked_text(one)}: {_HIDDEN}"
            at = _after_value(tokens, at + 1)
        else:
            yield hidden_in_text(one)


def _after_value(tokens: list[str], at: int) -> int:
    """Return where the tokens go on after the value that begins at ``at``."""
    depth = 0
    while at < len(tokens):
        if tokens[at] in "{[":
            depth += 1
        elif tokens[at] in "}]":
            depth -= 1
        if depth < 0 or (depth == 0 and tokens[at] == ","):
            return at  # there was no value
        at += 1
        if depth == 0:
            return at
    return at


def _names_secret(quoted: str) -> bool:
    try:
        name = json.loads(quoted)
    except ValueError:
        name = quoted  # of something that is no JSON
    return is_secret_name(str(name))


def _break(depth: int) -> str:
    return "\n" + "  " * min(depth, _DEEPEST)
