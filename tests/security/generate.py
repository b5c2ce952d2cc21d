"""Write the corpus of hostile requests and answers anew: ``make corpus``.

Its classes are those of the bugs that are known of servers and proxies: two readers of the same bytes who do
not agree on where a request ends, what its target is, or what a line of it says.
"""

from __future__ import annotations

import shutil

from security.answers import ANSWERS, write_answers
from security.classes import answers, chunks, connections, fields, lengths, meanings, targets
from security.hostile import CORPUS, REQUESTS, Class, write


def classes() -> tuple[Class, ...]:
    """All classes, from the sources."""
    modules = (lengths, chunks, fields, targets, connections, meanings)
    return tuple(one for module in modules for one in module.CLASSES)


if __name__ == "__main__":
    shutil.rmtree(CORPUS, ignore_errors=True)
    write(classes(), REQUESTS)
    write_answers(answers.CLASSES, ANSWERS)
