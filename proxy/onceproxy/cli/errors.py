"""What a command says, and exits with, when it can't do its work: the one place for all commands.

2 says that a person has to change something in the configuration; 1 that it failed, and may go well later,
which is how a supervisor knows whether to try again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from onceproxy.config.load import ConfigError
from onceproxy.ingress.authority import AuthorityError
from onceproxy.ingress.listener import SlowParser
from onceproxy.listening import PortTaken
from onceproxy.store.errors import StoreError
from onceproxy.upstream.tls import BadTlsFile
from onceproxy.workers.process import WorkerFailed

EXIT_FAILED = 1
EXIT_USAGE = 2


@contextmanager
def startup_errors() -> Iterator[None]:
    """Turn what stops a start into plain lines on stderr and an exit code."""
    try:
        yield
    except ConfigError as error:
        # As they are: editors and CI take FILE:LINE from the start of a line.
        stop(*error.problems, code=EXIT_USAGE)
    except BadTlsFile as error:
        stop(str(error), code=EXIT_USAGE)
    except (AuthorityError, PortTaken, SlowParser, StoreError) as error:
        stop(f"onceproxy: {error}", code=EXIT_FAILED)
    except WorkerFailed as error:
        stop(*([] if error.said_why else [f"onceproxy: {error}"]), code=error.code)


def stop(*lines: str, code: int) -> NoReturn:
    """Say on stderr what is wrong, and exit."""
    for line in lines:
        click.echo(line, err=True)
    sys.exit(code)
