"""Logs: one line for each event that matters, `key=value`, on standard error."""

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
    """Render the records of the standard library's loggers, `extra` included."""
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
    # Code that needs a connection logs why there is none.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
