"""What a person says of an unknown outcome: the fields of the form, checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from onceproxy.core.receipts import Source
from onceproxy.guard.ports import Resolution
from onceproxy.store.operator import entered_response

NOTE, NAME = 1000, 100  # characters
_VALUE = re.compile(r"[\x20-\x7e]*")  # a field value (RFC 9110 §5.5), and no more than a media type needs


class Verdict(StrEnum):
    """What a person saw at the upstream: each is a form of its own."""

    HAPPENED = "happened"
    DID_NOT_HAPPEN = "did-not-happen"


TITLES = {
    Verdict.HAPPENED: "It happened",
    Verdict.DID_NOT_HAPPEN: "It did not happen",
}
CONSEQUENCES = {
    Verdict.HAPPENED: "Waiting and later copies get the answer that you enter. Nothing is sent again.",
    Verdict.DID_NOT_HAPPEN: "The next copy will be sent. If it did happen after all, it is done twice.",
}


@dataclass(frozen=True, slots=True)
class Said:
    """The fields as they were filled in. ``attempt`` is the one that the person looked at."""

    attempt: str
    note: str = ""
    by: str = ""
    status: str = "200"
    type: str = "application/json"
    body: str = ""

    @classmethod
    def of(cls, form: Mapping[str, object]) -> Said:
        """Read them. Lines end as they do in files: forms are sent with CRLF."""

        def text(name: str, otherwise: str = "") -> str:
            value = form.get(name, otherwise)
            # Postgres has no text with a NUL.
            return value.replace("\r\n", "\n").replace("\0", "") if isinstance(value, str) else otherwise

        return cls(
            attempt=text("attempt"),
            note=text("note").strip(),
            by=" ".join(text("by").split())[:NAME],
            status=text("status", "200").strip(),
            type=text("type").strip(),
            body=text("body"),
        )

    def fields(self) -> Iterator[tuple[str, str]]:
        """Yield the fields with their names, to be sent along."""
        for field in fields(self):
            yield field.name, getattr(self, field.name)

    def wrong(self, verdict: Verdict) -> dict[str, str]:
        """Return what is to be corrected, by field; nothing where all is well."""
        wrong = {}
        if not self.note:
            wrong["note"] = "Say how you know: whoever reads the history later has to rely on it."
        elif len(self.note) > NOTE:
            wrong["note"] = f"A note has at most {NOTE} characters."
        if verdict is Verdict.HAPPENED:
            if not re.fullmatch("[2-5][0-9][0-9]", self.status, re.ASCII):
                wrong["status"] = "A status is a number from 200 to 599."
            if not _VALUE.fullmatch(self.type):
                wrong["type"] = "A Content-Type has only visible characters of ASCII."
        return wrong

    def resolution(self, verdict: Verdict) -> Resolution:
        """Return what the store is told. Nothing must be ``wrong``."""
        response = None
        if verdict is Verdict.HAPPENED:
            headers = ((b"Content-Type", self.type.encode("ascii")),) if self.type and self.body else ()
            body = self.body.encode("utf-8", "surrogatepass")
            response = entered_response(int(self.status), headers, body)
        note = f"{self.by or 'by page'}: {self.note}"
        return Resolution(verdict is Verdict.HAPPENED, Source.OPERATOR, note, response)
