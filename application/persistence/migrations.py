"""Schema versions: numbered migrations that bring the tables to what this release needs.

They are applied once, in order, and in one transaction under a lock, by `ome db init` or by a
start whose role has the rights; each is idempotent. The functions, which check the version of
their callers, are made with the last of them.
"""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier

from application.persistence.connection import DatabaseUnusable, connect
from application.persistence.locks import key
from application.persistence.schemas import schema_of

log = logging.getLogger(__name__)

# The tables of the first release have no version stored: they count as version 1.
SCHEMA_VERSION: Final = 4

VERSIONS_TABLE: Final = "ome_schema_versions"
_LOCK_SECONDS: Final = 2  # who reads or writes waits behind us for no longer than this
_PAUSE_SECONDS: Final = 1.0
_SILENT_SECONDS: Final = 10  # of a stopped process, after which its transaction is ended
HELP_ROLES: Final = 'see "Roles and schemas" in docs/operations.md'
_SHOWN: Final = 3  # of what is missing
_HELP_UPGRADES: Final = 'see "Upgrades" in docs/operations.md'


class SchemaOutdated(Exception):
    """The database belongs to another release than this process; nothing was changed."""


class SchemaUnusable(DatabaseUnusable):
    """This role can't serve the market of this schema; the message names what is missing."""


class Part(NamedTuple):
    """The objects of one recorder in the database: its tables, and the functions that write them.

    The statements of a version make what is missing, and bring what earlier ones have made up to
    date; those of the newest make the functions, too. They may be executed again.
    """

    schema: str
    tables: Sequence[str]
    migrations: Mapping[int, Sequence[Composed]]  # by the version that they lead to

    def statements(self, since: int = 0) -> list[Composed]:
        """Return what leads from a version to the newest."""
        versions = range(since + 1, SCHEMA_VERSION + 1)
        return [each for version in versions for each in self.migrations.get(version, ())]

    def functions(self) -> list[str]:
        """Return the functions that the statements make, as PostgreSQL's regprocedure has them."""
        texts = [statement.as_string() for statement in self.statements()]
        return [
            f"{name}({', '.join(_type(each) for each in _PARAMETER.findall(parameters))})"
            for name, parameters in _FUNCTION.findall("\n".join(texts))
        ]


_QUOTED: Final = r'"(?:[^"]|"")+"'
_FUNCTION: Final = re.compile(
    rf"CREATE OR REPLACE FUNCTION\s+((?:{_QUOTED}|[\w.])+)\(((?:{_QUOTED}|[^\")])*)\)"
)
_PARAMETER: Final = re.compile(rf"(?:{_QUOTED}|[^\",])+")


def _type(parameter: str) -> str:
    """Return the type of a parameter, which may have a name."""
    return parameter.strip().split(" ", 1)[-1]


def version_in(connection: psycopg.Connection[Any], schema: str) -> int:
    """Return the version of a market's tables; 0 where there are none."""
    if _exists(connection, schema, VERSIONS_TABLE):
        statement = SQL("SELECT max(version) AS version FROM {}")
        [row] = connection.execute(statement.format(Identifier(schema, VERSIONS_TABLE)))
        if row["version"] is not None:
            return int(row["version"])
    return int(_exists(connection, schema, "orders_events"))


def check_version(version: int) -> None:
    """Raise SchemaUnusable where a newer release has upgraded the database."""
    if version > SCHEMA_VERSION:
        raise SchemaUnusable(
            f"the database has schema version {version}, this release knows up to"
            f" {SCHEMA_VERSION}: start the release that upgraded it, or a newer one;"
            f" {_HELP_UPGRADES}"
        )


def migrate(
    env: Mapping[str, str], parts: Sequence[Part], missing: Sequence[str] = ()
) -> list[int]:
    """Bring the tables to SCHEMA_VERSION; return the versions that were applied.

    ``missing``: of the versions that were applied before, what is not there, and is made again.
    Raise SchemaUnusable where the role lacks a right, or the database is a newer release's.
    """
    with connect(env) as connection:
        while True:
            try:
                return _migrate(connection, env, parts, repair=bool(missing))
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
                log.warning("the upgrade waits for a lock", extra={"error": str(error).strip()})
                time.sleep(_PAUSE_SECONDS)
            except psycopg.errors.InsufficientPrivilege as error:
                reason = _not_allowed(connection, schema_of(env), missing, error)
                raise SchemaUnusable(reason) from error


def _migrate(
    connection: psycopg.Connection[Any],
    env: Mapping[str, str],
    parts: Sequence[Part],
    *,
    repair: bool,
) -> list[int]:
    schema = schema_of(env)
    with connection.transaction():
        connection.execute(
            SQL(
                "SET LOCAL lock_timeout = '{}s'; SET LOCAL statement_timeout = 0;"
                " SET LOCAL idle_in_transaction_session_timeout = '{}s'"
            ).format(SQL(str(_LOCK_SECONDS)), SQL(str(_SILENT_SECONDS)))
        )
        work = key(env, "create tables")
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [work])
        version = version_in(connection, schema)
        check_version(version)
        new = list(range(version + 1, SCHEMA_VERSION + 1))
        if new or repair:
            _apply(connection, schema, parts, 0 if repair else version)
            for applied in new:
                statement = SQL("INSERT INTO {} (version) VALUES (%s)")
                versions = Identifier(schema, VERSIONS_TABLE)
                connection.execute(statement.format(versions), [applied])
    for applied in new:
        log.info("schema version applied", extra={"version": applied, "schema": schema})
    return new


def _apply(
    connection: psycopg.Connection[Any], schema: str, parts: Sequence[Part], since: int
) -> None:
    create_schemas(connection, [schema, *(part.schema for part in parts)])
    connection.execute(
        SQL(
            "CREATE TABLE IF NOT EXISTS {} (version integer PRIMARY KEY,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        ).format(Identifier(schema, VERSIONS_TABLE))
    )
    for part in parts:
        for statement in part.statements(since):
            execute(connection, statement)


def create_schemas(connection: psycopg.Connection[Any], schemas: Sequence[str]) -> None:
    """Make the schemas that are missing: IF NOT EXISTS would need a right all the same."""
    for schema in dict.fromkeys(schemas):
        if not connection.execute(
            "SELECT FROM pg_namespace WHERE nspname = %s", [schema]
        ).fetchall():
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))


def execute(connection: psycopg.Connection[Any], statement: Composable) -> None:
    """Execute a statement of a migration, which has no parameters."""
    connection.execute(statement.as_bytes(connection), prepare=False)


def _exists(connection: psycopg.Connection[Any], schema: str, table: str) -> bool:
    # From the catalog: to_regclass needs a right on the schema.
    statement = """SELECT FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = %s AND relname = %s"""
    return bool(connection.execute(statement, [schema, table]).fetchall())


def _not_allowed(
    connection: psycopg.Connection[Any], schema: str, missing: Sequence[str], error: psycopg.Error
) -> str:
    state = f'schema "{schema}" has no tables of the market'
    if missing and _exists(connection, schema, "orders_events"):
        state = f"the database lacks {shortened(missing)}"
    elif _exists(connection, schema, "orders_events"):
        state = f"the database has an older schema version than {SCHEMA_VERSION}"
    return (
        f'{state}, and the role "{connection.info.user}" may not make what is missing'
        f' ({error.diag.message_primary}): run "ome db init" as a role that may;'
        f" {HELP_ROLES}"
    )


def shortened(names: Sequence[str]) -> str:
    """Return the first few of the names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more


def make(connection: psycopg.Connection[Any], part: Part) -> None:
    """Make a part by itself, as for a view that is built beside the one that serves."""
    with connection.transaction():
        create_schemas(connection, [part.schema])
        for statement in part.statements():
            execute(connection, statement)


def of_library(statements: Sequence[Composed]) -> list[Composed]:
    """Return what the library makes its tables with, each so that it may be there already."""
    guarded = SQL("DO $make$ BEGIN {}; EXCEPTION WHEN duplicate_object THEN NULL; END $make$")
    return [
        guarded.format(statement) if "CREATE TYPE" in statement.as_string() else statement
        for statement in statements
    ]
