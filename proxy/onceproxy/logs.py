"""Logs: to stderr, for people on a terminal, as JSON lines otherwise."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from contextlib import suppress
from typing import Any

import structlog

from onceproxy.core.masking import masked_text
from onceproxy.core.visible import visible
from onceproxy.terminal import has_colours

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


def renderers(*, terminal: bool, colours: bool = True) -> list[structlog.typing.Processor]:
    """Return what makes text of an event: a line of JSON, or one for people that a terminal only shows."""
    # Not the default, which on a terminal shows the values of local variables: bodies, headers, keys.
    exceptions = structlog.processors.ExceptionRenderer(in_words)
    if terminal:
        return [exceptions, _visible, structlog.dev.ConsoleRenderer(colors=colours)]
    return [exceptions, _as_json]


_UNWRITTEN = suppress(OSError, ValueError)  # a full disk, a pipe or file that was closed


class _Unfailing(structlog.WriteLogger):
    """Writes lines. One that can't be written is lost: no request may fail for its line in the log."""

    def msg(self, message: str) -> None:
        with _UNWRITTEN:
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


def _logger_of(level: int) -> type[structlog.typing.FilteringBoundLogger]:
    """Return structlog's logger, whose ``info``, by which each request is told, is made shorter.

    There the members of a line are handed on, and copied, four times.
    """
    filtering: Any = structlog.make_filtering_bound_logger(level)

    class Logger(filtering):  # type: ignore[misc]  # made when the level is known
        def info(self, event: str, *args: Any, **members: Any) -> Any:
            if args:
                return super().info(event, *args, **members)
            line: Any = {**self._context, **members} if self._context else members
            line["event"] = event
            try:
                for process in self._processors:
                    line = process(self._logger, "info", line)
            except structlog.DropEvent:
                return None
            return self._logger.info(line)

    logger: type[structlog.typing.FilteringBoundLogger] = Logger if level <= logging.INFO else filtering
    return logger


def configure(level: int = logging.INFO) -> None:
    """Send our log and the libraries' to stderr from ``level`` on; libraries only from WARNING on.

    Ours does not go through ``logging``: there is a line for each request, and it would cost several times as
    much.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render = renderers(terminal=sys.stderr.isatty(), colours=has_colours(sys.stderr))
    logger = _Unfailing(sys.stderr)
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=_logger_of(level),
        logger_factory=lambda *_: logger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("onceproxy").setLevel(level)


def _visible(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape what does not print, and leave out what there is not; all but text is shown by its ``repr``."""
    return {
        name: visible(value, keep="\n" if name == "exception" else "") if isinstance(value, str) else value
        for name, value in event.items()
        if value is not None
    }


def _as_json(_: object, __: str, event: structlog.typing.EventDict) -> str:
    return _ENCODER.encode(event)


_ENCODER = json.JSONEncoder(default=repr)  # made once: `json.dumps` would make one for each line
