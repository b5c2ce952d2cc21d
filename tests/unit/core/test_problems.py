"""Every problem is documented, and the document says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from onceproxy.core.problems import URN, Problem, ProblemType
from onceproxy.core.receipts import RequestId

DOCS = Path(__file__).parents[3] / "docs" / "problems.md"


def test_docs_list_each_problem_with_its_status() -> None:
    documented = set(re.findall(r"^### `([a-z-]+)` · (\d+)$", DOCS.read_text(), re.MULTILINE))
    assert documented == {(kind.slug, str(kind.status)) for kind in ProblemType}


def test_the_document_has_the_members_of_rfc_9457() -> None:
    problem = Problem(
        ProblemType.KEY_REUSED, "words", RequestId(b"\0" * 32), route="default", attempt=2, extra=(("a", 1),)
    )
    assert problem.document() == {
        "type": URN + "key-reused",
        "title": "The key was used for another request",
        "status": 422,
        "detail": "words",
        "request_id": "oid_" + "a" * 52,
        "route": "default",
        "attempt": 2,
        "a": 1,
    }
