"""Logs: one line for each thing that matters, `key=value`, on standard error."""

import logging
import sys

import structlog

_SHARED = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)


def configure_logs(level: str) -> None:
    """Renders what the standard library's loggers are given, `extra` included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.LogfmtRenderer(
                    key_order=["timestamp", "level", "event"], bool_as_flag=False
                ),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # One line a request at most; theirs say nothing that ours don't.
    for chatty in ("httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Why there is no connection is said where one is needed.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
