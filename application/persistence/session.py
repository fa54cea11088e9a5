"""Session settings: each connection sets what the market relies on, after it has connected.

A database or a role may preset nearly anything (ALTER DATABASE ... SET, ALTER ROLE ... SET),
and a read from an old snapshot or a commit that does not wait for the disk would lose orders
without an error. Startup options could do the same, but connection poolers refuse them.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import BaseConnection
from psycopg.sql import SQL, Composed, Identifier, Literal

from application.persistence.arrays import Array, ArrayDumper

# Server versions: from which SET can be granted, and a transaction's time limited.
_HAS_PARAMETER_PRIVILEGES: Final = 150_000
_HAS_TRANSACTION_TIMEOUT: Final = 170_000

_ATTEMPTS: Final = 10
# The first limits the rest of the batch, so it is the first to go.
_TIMEOUTS: Final = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
_SETTINGS: Final[Mapping[str, str]] = {
    # Each statement sees what was committed before it: the end of the log is read under its lock.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # An acknowledged order is on disk. Views and positions alone commit without that.
    "synchronous_commit": "on",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "timezone_abbreviations": "Default",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # These decide the meaning of literals, arrays and comparisons.
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "array_nulls": "on",
    "transform_null_equals": "off",
    # A policy that would hide rows is an error: a log with rows missing looks complete.
    "row_security": "off",
    # An error ends a statement, not the session.
    "exit_on_error": "off",
    "plpgsql.extra_errors": "none",
    "plpgsql.extra_warnings": "none",
    "check_function_bodies": "on",
    "client_min_messages": "warning",
    "plan_cache_mode": "auto",
    "jit": "off",  # no statement of ours runs long enough to be worth compiling
}
# Set where the server knows them, they differ, and the role may.
_WHERE_KNOWN: Final[Mapping[str, str]] = {
    "idle_session_timeout": "0",
    "session_replication_role": "origin",
    "restrict_nonsystem_relation_kind": "",
    "debug_parallel_query": "off",
    "force_parallel_mode": "off",  # its name before 16
}
_REST: Final = """SELECT pg_catalog.set_config(name, value, false) FROM (
        SELECT name, setting, context, CASE WHEN name LIKE 'enable\\_%'
            THEN boot_val ELSE {known}::json ->> name END AS value
        FROM pg_catalog.pg_settings
    ) AS known WHERE value IS NOT NULL AND value <> setting AND (context = 'user' OR {may})"""


def prepare(
    connection: psycopg.Connection[Any],
    schema: str = "public",
    *,
    statement_seconds: float = 0,
    idle_in_transaction_seconds: float = 0,
) -> None:
    """Put a new connection in autocommit, with the settings of ours, in one round trip.

    ``schema`` is the market's own. A time of 0 is no limit.
    """
    connection.autocommit = True
    settings = _of_session(connection, schema, statement_seconds, idle_in_transaction_seconds)
    for _ in range(_ATTEMPTS - 1):
        # The preset time for a statement may be over before the first of these has removed it.
        with suppress(psycopg.errors.QueryCanceled):
            connection.execute(settings)
            return
    connection.execute(settings)


async def prepare_async(
    connection: psycopg.AsyncConnection[Any], schema: str, *, statement_seconds: float = 0
) -> None:
    """Do the same on an event loop, for a connection that is in autocommit."""
    settings = _of_session(connection, schema, statement_seconds, 0)
    for _ in range(_ATTEMPTS - 1):
        with suppress(psycopg.errors.QueryCanceled):
            await connection.execute(settings)
            return
    await connection.execute(settings)


def _of_session(
    connection: BaseConnection[Any],
    schema: str,
    statement_seconds: float,
    idle_in_transaction_seconds: float,
) -> Composed:
    connection.adapters.register_dumper(Array, ArrayDumper)
    seconds = (statement_seconds, 0, idle_in_transaction_seconds)
    timeouts = {
        name: str(int(limit * 1000)) for name, limit in zip(_TIMEOUTS, seconds, strict=True)
    }
    if connection.info.server_version >= _HAS_TRANSACTION_TIMEOUT:
        # The batch is one transaction, and the preset limit on it ends the session.
        timeouts = {"transaction_timeout": "0", **timeouts}
    return SQL("; ").join(
        [
            *(_set(name, value) for name, value in timeouts.items()),
            SQL("SET ROLE NONE"),
            SQL("SET search_path = {}").format(Identifier(schema)),
            *(_set(name, value) for name, value in _SETTINGS.items()),
            _rest(connection.info.server_version),
        ]
    )


def _set(name: str, value: str) -> Composed:
    return SQL("SET {} = {}").format(SQL(name), Literal(value))


def _rest(server_version: int) -> Composed:
    may = "pg_catalog.current_setting('is_superuser')::boolean"
    if server_version >= _HAS_PARAMETER_PRIVILEGES:
        may = "pg_catalog.has_parameter_privilege(name, 'SET')"
    known = "{" + ", ".join(f'"{name}": "{value}"' for name, value in _WHERE_KNOWN.items()) + "}"
    return SQL(_REST).format(known=Literal(known), may=SQL(may))
