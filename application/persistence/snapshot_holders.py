"""Sessions that have held a snapshot for a long time, so that dead rows pile up in every table."""

import logging
import time
from typing import Any, Final

import psycopg

log = logging.getLogger(__name__)

_HELD_SECONDS: Final = 300.0
_AGAIN_SECONDS: Final = 60.0
# Of this database: what is read in another holds back nothing here. A role without the rights
# of pg_read_all_stats sees its own sessions only.
_HOLDERS: Final = """SELECT pid::text AS session, application_name AS application,
        usename AS "user", extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
    FROM pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL
    AND backend_type <> 'autovacuum worker'
    AND xact_start < clock_timestamp() - make_interval(secs => %(held)s)
    UNION ALL
    SELECT 'prepared transaction ' || gid, '', owner,
        extract(epoch FROM clock_timestamp() - prepared)::float8
    FROM pg_prepared_xacts WHERE database = current_database()
    AND prepared < clock_timestamp() - make_interval(secs => %(held)s)
    ORDER BY seconds DESC LIMIT 1"""


class SnapshotHolders:
    """A log of the session that has held a snapshot longest, if for too long, once a minute."""

    def __init__(self, held_seconds: float = _HELD_SECONDS) -> None:
        self._held_seconds = held_seconds
        self._due = 0.0

    def look(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _AGAIN_SECONDS
        for holder in connection.execute(_HOLDERS, {"held": self._held_seconds}).fetchall():
            log.warning(
                "a transaction has held a snapshot for long, dead rows can't be removed",
                extra={**holder, "seconds": round(holder["seconds"])},
            )
