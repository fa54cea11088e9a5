"""The rights that serve a market whose tables are there: no ownership, and no CREATE."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier

from application.persistence.connection import connect
from application.persistence.migrations import (
    HELP_ROLES,
    SCHEMA_VERSION,
    VERSIONS_TABLE,
    Part,
    SchemaUnusable,
    check_version,
    migrate,
    shortened,
    version_in,
)
from application.persistence.schemas import schema_of

log = logging.getLogger(__name__)

_ALL: Final = "SELECT,INSERT,UPDATE,DELETE"
_LOG: Final = "SELECT,INSERT"  # events are never changed

# Tables as (schema, name), with the rights that are needed; {functions} and sequences belong to
# them. Everybody may read the catalog.
_LACKING: Final = """WITH wanted AS (
        SELECT w.*, c.oid FROM unnest(%(schemas)s::text[], %(names)s::text[], %(rights)s::text[])
            AS w (schema, name, rights)
        LEFT JOIN pg_namespace n ON nspname = w.schema
        LEFT JOIN pg_class c ON relnamespace = n.oid AND relname = w.name
    ), needed AS (
        SELECT 1 AS place, format('USAGE on schema %%I', nspname) AS what
        FROM pg_namespace n
        WHERE nspname = ANY(%(schemas)s) AND NOT has_schema_privilege(%(role)s, n.oid, 'USAGE')
        UNION
        SELECT 2, format('%%s on %%I.%%I', string_agg(each, ', '), schema, name)
        FROM wanted, regexp_split_to_table(rights, ',') AS each
        WHERE oid IS NOT NULL AND NOT has_table_privilege(%(role)s, oid, each) GROUP BY schema, name
        UNION
        SELECT 3, format('USAGE on sequence %%I.%%I', schema, s.relname)
        FROM wanted w JOIN pg_depend d ON refobjid = w.oid AND d.deptype IN ('a', 'i')
        JOIN pg_class s ON s.oid = d.objid
        WHERE CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(%(role)s, s.oid, 'USAGE') END
        UNION
        SELECT 4, format('EXECUTE on function %%I.%%I', nspname, proname)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
        WHERE nspname = ANY(%(schemas)s) AND NOT has_function_privilege(%(role)s, p.oid, 'EXECUTE')
        AND (nspname <> %(market)s OR EXISTS (
            SELECT FROM wanted w WHERE w.schema = nspname AND starts_with(proname, w.name)))
    )
    SELECT 0 AS place, format('%%I.%%I', schema, name) AS what FROM wanted WHERE oid IS NULL
    UNION ALL SELECT * FROM needed ORDER BY place, what"""


def open_market(env: Mapping[str, str], parts: Sequence[Part]) -> list[int]:
    """Make sure that tables and functions are of this release, and that the role may use them.

    Make the tables that are missing if the role may do so; return the schema versions that were
    applied. If all are there, lock nothing and change nothing.
    Raise SchemaUnusable, in one sentence, where the market can't be served.
    """
    schema = schema_of(env)
    with connect(env) as connection:
        missing, lacking = _look(connection, schema, parts)
        if not missing and lacking:
            raise SchemaUnusable(_lacks(connection, lacking))
        _check_row_security(connection, schema, parts)
        version = 0 if missing else version_in(connection, schema)
        check_version(version)
        if version == SCHEMA_VERSION:
            missing = _missing_functions(connection, parts)
            if not missing:
                return []
    applied = migrate(env, parts, missing)
    if missing and not applied:
        log.warning("made again what the database lacked", extra={"what": shortened(missing)})
    with connect(env) as connection:
        missing, lacking = _look(connection, schema, parts)
        if lacking:
            raise SchemaUnusable(_lacks(connection, lacking))
    return applied


def grant(env: Mapping[str, str], parts: Sequence[Part], role: str) -> None:
    """Give a role the rights that it takes to serve the market, and no others.

    Raise SchemaUnusable where there is no such role, or it is not ours to give them.
    """
    market = schema_of(env)
    with connect(env) as connection, connection.transaction():
        try:
            _, lacking = _look(connection, market, parts, role)
            for what in lacking:
                connection.execute(SQL("GRANT {} TO {}").format(SQL(what), Identifier(role)))
        except (
            psycopg.errors.UndefinedObject,
            psycopg.errors.InsufficientPrivilege,
        ) as error:
            raise SchemaUnusable(
                f'the role "{role}" can\'t be given what it needs:'
                f" {error.diag.message_primary}; {HELP_ROLES}"
            ) from error


def _look(
    connection: psycopg.Connection[Any],
    market: str,
    parts: Sequence[Part],
    role: str | None = None,
) -> tuple[list[str], list[str]]:
    """Return the tables that are missing, and the rights that the role lacks on the others."""
    wanted = [
        (market, VERSIONS_TABLE, "SELECT"),
        *(
            (part.schema, table, _LOG if table.endswith("_events") else _ALL)
            for part in parts
            for table in part.tables
        ),
    ]
    schemas, names, rights = zip(*wanted, strict=True)
    if role is None:
        [row] = connection.execute("SELECT current_user AS role")
        role = row["role"]
    given = {
        "schemas": list(schemas),
        "names": list(names),
        "rights": list(rights),
        "market": market,
        "role": role,
    }
    rows = connection.execute(_LACKING, given).fetchall()
    missing = [row["what"] for row in rows if not row["place"]]
    return missing, [row["what"] for row in rows if row["place"]]


def _check_row_security(
    connection: psycopg.Connection[Any], market: str, parts: Sequence[Part]
) -> None:
    """Refuse tables whose policies may hide rows: a log with rows missing looks complete."""
    schemas = sorted({market, *(part.schema for part in parts)})
    rows = connection.execute(
        "SELECT format('%%I.%%I', nspname, relname) AS name"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE relrowsecurity AND nspname = ANY(%s) AND row_security_active(c.oid) ORDER BY name",
        [schemas],
    )
    if names := [row["name"] for row in rows]:
        raise SchemaUnusable(
            f"row level security may hide rows of {shortened(names)} from the role"
            f' "{connection.info.user}": disable it there, or give the role BYPASSRLS; {HELP_ROLES}'
        )


def _missing_functions(connection: psycopg.Connection[Any], parts: Sequence[Part]) -> list[str]:
    """Return those that are not there, as after a restore of the tables alone.

    The role may use the schemas: it can't look into others.
    """
    statement = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regprocedure(name) IS NULL"
    functions = sorted({function for part in parts for function in part.functions()})
    return [f"function {row['name']}" for row in connection.execute(statement, [functions])]


def _lacks(connection: psycopg.Connection[Any], lacking: Sequence[str]) -> str:
    user = connection.info.user
    return (
        f'the role "{user}" lacks {shortened(lacking)}: run "ome db init --grant {user}" as the'
        f" owner of the tables; {HELP_ROLES}"
    )
