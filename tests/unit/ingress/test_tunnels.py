"""Which hosts a list of ``tls`` means."""

from __future__ import annotations

import pytest

from onceproxy.core.globs import tls_globs_fit


@pytest.mark.parametrize(
    ("host", "globs", "fits"),
    [
        ("pinned.example", ("pinned.example",), True),
        ("pinned.example.", ("pinned.example",), True),
        ("pinned.example", ("PINNED.example.",), True),
        ("a.b.pinned.example", ("*.pinned.example",), True),
        ("pinned.example", ("*.pinned.example",), False),
        ("unpinned.example", ("pinned.example", "other.example"), False),
        ("any.example", ("*",), True),
        ("any.example", (), False),
        ("::1", ("::1",), True),
    ],
)
def test_a_host_is_meant_by_a_list(host: str, globs: tuple[str, ...], fits: bool) -> None:
    assert tls_globs_fit(globs, host) is fits
