"""Which of many things count: by their names, or by JSONPaths."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from onceproxy.config.fields import Many, Section
from onceproxy.config.texts import check_name
from onceproxy.config.treatment import JsonPath

Name = Annotated[str, AfterValidator(check_name)]


class Names(Section):
    """Which names count: all but ``exclude``, or only ``include``."""

    include: Many[Name] | None = Field(None, description="Only these.")
    exclude: Many[Name] | None = Field(None, description="All but these.")


class Paths(Section):
    """Which members of a JSON body count: all but ``exclude``, or only ``include``."""

    include: Many[JsonPath] | None = Field(None, description="Only these JSONPaths.")
    exclude: Many[JsonPath] | None = Field(None, description="All but these JSONPaths.")
