"""What the service logs and how: JSON for machines, or lines for the person before an embedded one."""

from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

__all__ = ["configure", "logging_settings"]


def _drop_starts(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    # The line at the end of a request says all that the one at its start does.
    if event.get("event") == "request_started":
        raise structlog.DropEvent
    return event


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configure() -> None:
    """Send structlog's events through the standard library, where every other line goes as well."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            _drop_starts,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logging_settings(*, lines: bool, level: str) -> dict[str, Any]:
    """Django's LOGGING: everything of at least `level` on standard error, as lines or as JSON."""
    renderer = (
        structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
        if lines
        else structlog.processors.JSONRenderer()
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
        "foreign_pre_chain": _SHARED,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": formatter},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["console"], "level": level},
    }
