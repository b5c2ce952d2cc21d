"""`${NAME}` in texts, filled in from the environment. `$${` stands for `${` itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onceproxy.config.document import KeyPath

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class References:
    """Fills references in, and remembers where, and what went wrong.

    ``filled`` are the keys whose values came from the environment, ``wrong`` the errors by key.
    """

    environ: Mapping[str, str]
    filled: set[KeyPath] = field(default_factory=set)
    wrong: dict[KeyPath, str] = field(default_factory=dict)

    def fill(self, value: Any, key: KeyPath = ()) -> Any:
        """Return a copy of ``value`` with all references in its texts replaced, once."""
        if isinstance(value, dict):
            return {name: self.fill(item, (*key, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*key, at)) for at, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        return _REFERENCE.sub(lambda match: self._replacement(match, key), value)

    def _replacement(self, match: re.Match[str], key: KeyPath) -> str:
        name = match[1]
        if name is None:
            return "${"
        self.filled.add(key)
        if not match[2] or not _NAME.fullmatch(name):
            self.wrong[key] = (
                "after ${ must come the name of an environment variable and }, as in ${NAME}; "
                "write $${ for the text itself"
            )
        elif name not in self.environ:
            self.wrong[key] = (
                f"the environment has no {name}; set it, or write $${{{name}}} for the text itself"
            )
        return self.environ.get(name, "")
