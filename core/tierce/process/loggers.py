"""The standard library's logging, in the form of our logs, for what plugins want to say."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tierce.spec import Event

#: The code of the lines; the events of a plugin have codes of its own.
CODE = "log"


class EventHandler(logging.Handler):
    """Makes an event of each record, for the log only.

    Args:
        subject: What the events are about.
        log: Writes one line; called from whatever thread logs.
    """

    def __init__(self, subject: str, log: Callable[[Event], None]) -> None:
        super().__init__()
        self._subject = subject
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record."""
        fields = {"logger": record.name}
        if record.exc_info:
            fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        self._log(Event(CODE, record.getMessage(), self._subject, _severity(record), fields))


def plugin_logger(
    name: str, subject: str, log: Callable[[Event], None]
) -> logging.LoggerAdapter[logging.Logger]:
    """Return a logger that writes to this process's log and says who it is.

    Args:
        name: The logger's name.
        subject: What it speaks for: "service/diary".
        log: Writes one line.
    """
    logger = logging.getLogger(f"tierce.{name}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [EventHandler(subject, log)]
    return logging.LoggerAdapter(logger)


def _severity(record: logging.LogRecord) -> str:
    if record.levelno >= logging.ERROR:
        return "error"
    return "warning" if record.levelno >= logging.WARNING else "info"
