"""Logs: to stderr, for people on a terminal, as JSON lines otherwise."""

from __future__ import annotations

import logging
import sys
import traceback

import structlog

from onceproxy.core.masking import masked_text

MAX_CAUSES = 10  # of an exception that are told


def in_words(exc_info: structlog.typing.ExcInfo) -> str:
    """Return where an exception came from and what it says, as far as that can be no secret.

    Only the first line of what it says: Postgres quotes the row that it refuses in those that follow.
    """
    told: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None and len(told) < MAX_CAUSES:
        frames = "".join(traceback.format_tb(error.__traceback__))
        words = masked_text(str(error).partition("\n")[0])
        told.append(f"{frames}{type(error).__name__}: {words}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nbecause of\n".join(told)


def configure(level: int = logging.INFO) -> None:
    """Send our log and the libraries' to stderr from ``level`` on; libraries only from WARNING on."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    terminal = sys.stderr.isatty()
    last: list[structlog.typing.Processor]
    # Not the default, which on a terminal shows the values of local variables: bodies, headers, keys.
    exceptions = structlog.processors.ExceptionRenderer(in_words)
    if terminal:
        last = [exceptions, structlog.dev.ConsoleRenderer()]
    else:
        last = [exceptions, structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("onceproxy").setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
