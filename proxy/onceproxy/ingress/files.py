"""Files that are there whole or not at all, with their mode from the first byte on."""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE, PUBLIC = 0o600, 0o644  # modes of files


def write_if_stale(file: Path, data: bytes) -> None:
    """Write what all may read, unless it is there already."""
    if not file.exists() or file.read_bytes() != data:
        write(file, data, PUBLIC)


def write(file: Path, data: bytes, mode: int) -> None:
    """Write a file, in the place of one that may be there."""
    stage(file, data, mode)
    put_in_place(file)


def partial_of(file: Path) -> Path:
    """Return where a file is staged."""
    return file.with_name(f"{file.name}.partial")


def stage(file: Path, data: bytes, mode: int) -> None:
    """Write what will be ``file``, with its mode from the first byte."""
    partial = partial_of(file)
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(descriptor)


def put_in_place(file: Path) -> None:
    """Make what was staged the file, for good."""
    partial_of(file).replace(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
