"""Checks at the start: databases that can't serve the market, and those that need a warning."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import psycopg

from application.persistence.connection import DatabaseUnusable, connect

_OLDEST: Final = 140_000  # the server version that has idle_session_timeout
_ROUNDS: Final = 3

_FACTS: Final = """SELECT pg_is_in_recovery() AS is_standby,
    current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('server_version') AS version"""
# Connections that this role may have, those of other processes included.
_CAPACITY: Final = """SELECT least(
        current_setting('max_connections')::int - CASE WHEN rolsuper THEN 0 ELSE
            current_setting('superuser_reserved_connections')::int
            + coalesce(current_setting('reserved_connections', true)::int, 0) END,
        nullif(rolconnlimit, -1), nullif(datconnlimit, -1)
    ) AS capacity
    FROM pg_roles, pg_database WHERE rolname = session_user AND datname = current_database()"""


class Findings(NamedTuple):
    """Warnings for the operator, and the highest number of connections."""

    warnings: list[str]
    capacity: int


def check(env: Mapping[str, str]) -> Findings:
    """Look at a database that can serve the market.

    Raise DatabaseUnusable when it can't serve it, and psycopg's errors when it does not answer.
    """
    with connect(env) as connection:
        if connection.info.server_version < _OLDEST:
            [row] = connection.execute(_FACTS)
            raise DatabaseUnusable(f"it is PostgreSQL {row['version']}: 14 or later is needed")
        with connect(env) as other:
            _check_pooling(connection, other)
        [facts] = connection.execute(_FACTS)
        [room] = connection.execute(_CAPACITY)
    if facts["is_standby"]:
        raise DatabaseUnusable(
            "it is a standby, which takes no orders: name the primary, or several hosts with"
            " target_session_attrs=read-write"
        )
    if facts["encoding"] != "UTF8":
        raise DatabaseUnusable(
            f"its encoding is {facts['encoding']}, which can't hold every name and text:"
            " create one with ENCODING 'UTF8' TEMPLATE template0"
        )
    return Findings(list(_warnings(facts)), room["capacity"])


def _warnings(facts: Mapping[str, Any]) -> Iterator[str]:
    for setting in ("fsync", "full_page_writes"):
        if facts[setting] == "off":
            yield (
                f"{setting} is off in the database: a crash of its machine may lose"
                " acknowledged orders, or all data"
            )


def _check_pooling(one: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> None:
    """Raise DatabaseUnusable where a pooler gives sessions away between transactions.

    Then two connections share a server process, or one changes it: what a session sets,
    listens to and locks would be another's.
    """
    pid = _pid(one)
    for _ in range(_ROUNDS):
        if _pid(other) == pid:
            break
        with other.transaction():
            if _pid(other) == pid or _pid(one) != pid:
                break
    else:
        return
    raise DatabaseUnusable(
        "a connection pooler in front of it shares sessions between clients (pool_mode"
        " transaction or statement): use pool_mode = session, or connect to PostgreSQL itself"
    )


def _pid(connection: psycopg.Connection[Any]) -> int:
    # A transaction of its own each time, which is when a pooler changes sessions.
    [row] = connection.execute("SELECT pg_backend_pid() AS pid")
    pid: int = row["pid"]
    return pid
