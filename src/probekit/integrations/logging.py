"""The standard library's logging: records become events, errors become problems.

```python
import logging
from probekit.integrations.logging import Handler

logging.getLogger("shop").addHandler(Handler(logging.WARNING))
```

``probekit.instrument_libraries("logging")`` does it for all loggers and adds no
handler, so that ``logging.basicConfig`` works as before.
"""

import logging
from threading import local

from probekit.model import SEVERITY_ERROR, SEVERITY_FATAL, SEVERITY_INFO, SEVERITY_WARN
from probekit.notice import notice
from probekit.passing import let_pass
from probekit.recording.events import record_error, record_event
from probekit.recording.registry import REGISTRY

EVENT_NAME = "log"
_SEVERITY_DEBUG = 5
_LEVELS = (
    (logging.CRITICAL, SEVERITY_FATAL),
    (logging.ERROR, SEVERITY_ERROR),
    (logging.WARNING, SEVERITY_WARN),
    (logging.INFO, SEVERITY_INFO),
)
_inside = local()


class Handler(logging.Handler):
    """Turns log records into events.

    A record at ``ERROR`` or above that carries an exception is counted as a problem
    as well. Records of the logger ``probekit`` are never taken, nor are records that
    are written while one is being taken.

    Example:
        >>> shop = logging.getLogger("shop.orders")
        >>> shop.addHandler(Handler())
        >>> shop.warning("stock of %s is low", "tea")

    """

    def __init__(self, level: "int | str" = logging.WARNING) -> None:
        """Take records from *level* on.

        Args:
            level: A level's number or name, as logging has them.

        """
        super().__init__(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record; never raises, never writes."""
        take(record)


def take(record: logging.LogRecord) -> None:
    """Record a log *record* as an event; never raises.

    Threads:
        Any; guarded against logging that happens on the way.

    """
    name = record.name
    if name == "probekit" or name.startswith("probekit."):
        return
    if getattr(_inside, "busy", False):
        return
    _inside.busy = True
    try:
        _taken(record)
    except Exception as error:
        notice("logging", f"a log record was not taken: {type(error).__name__}")
    finally:
        _inside.busy = False


def _taken(record: logging.LogRecord) -> None:
    record_event(
        REGISTRY,
        EVENT_NAME,
        {
            "log.logger": record.name,
            "log.level": record.levelname,
            "code.function.name": record.funcName,
            "code.file.path": record.pathname,
            "code.line.number": record.lineno,
            "thread.name": record.threadName,
        },
        severity=severity_of(record.levelno),
        body=_message(record),
    )
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and record.levelno >= logging.ERROR:
        record_error(REGISTRY, error, severity=severity_of(record.levelno))


def severity_of(level: int) -> int:
    """OpenTelemetry's severity number for a level of logging.

    Example:
        >>> severity_of(logging.WARNING), severity_of(25), severity_of(1)
        (13, 9, 5)

    """
    for least, severity in _LEVELS:
        if level >= least:
            return severity
    return _SEVERITY_DEBUG


def _message(record: logging.LogRecord) -> str:
    try:
        return str(record.getMessage())
    except Exception as error:  # arguments that do not fit, a broken __str__ of theirs
        let_pass(error)
        return record.msg if isinstance(record.msg, str) else ""
