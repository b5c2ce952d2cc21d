"""Secrets that the configuration names the place of: an environment variable, or a file.

No error repeats what was written there: people write the secret itself where its place is meant.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

MAX_BYTES = 1 << 20  # of a file of secrets
OTHERS_MAY_WRITE = "others may write to that file, and so let themselves in; `chmod o-w` it"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_variable(text: str) -> str:
    """Return the name of an environment variable.

    Raises:
        ValueError: it is none.
    """
    if not _VARIABLE.fullmatch(text):
        raise ValueError("it must be the name of an environment variable, not the secret itself")
    return text


def given_secret(variable: str | None, file: Path | None, environ: Mapping[str, str]) -> str | None:
    """Return the secret that is in a variable or, in one line, in a file; None where neither is named.

    Raises:
        ValueError: it is not there.
    """
    if variable is not None:
        if not environ.get(variable):
            raise ValueError(
                "the environment has no variable of that name, or it is empty; set it to the secret"
            )
        return environ[variable]
    if file is None:
        return None
    lines = read_private(file).splitlines()
    if len(lines) != 1 or not lines[0]:
        raise ValueError("that file must hold the secret in one line, and nothing else")
    return lines[0]


def read_private(file: Path) -> str:
    """Return the text of a file that only its owner decides on.

    Raises:
        ValueError: it can't be read, or others may write to it.
    """
    try:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            data = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except OSError as error:
        raise ValueError(f"that file can't be read: {error.strerror}") from None
    if found.st_mode & stat.S_IWOTH:
        raise ValueError(OTHERS_MAY_WRITE)
    if len(data) > MAX_BYTES:
        raise ValueError(f"that file is larger than {MAX_BYTES >> 20} MiB; is it the right one?")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("that file is not UTF-8; save it in that encoding") from None
