"""Text of others for a terminal, which does as control characters say: it hides lines, and shows others."""

from __future__ import annotations


def visible(text: str, keep: str = "") -> str:
    r"""Return ``text`` with all that does not print as an escape (``\x1b``), but for characters in ``keep``.

    The C1 controls (U+0080 to U+009F) are among them: a byte 0x9b of a header is one, read as Latin-1.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
