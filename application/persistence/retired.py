"""The functions of earlier releases, replaced by ones that refuse whoever calls them.

A process of the first release makes its functions with CREATE OR REPLACE when it starts, and calls
them by name. A function with the same name and arguments and another result can't be replaced,
so such a process is refused when it starts; and one that still runs is refused when it calls.
"""

from typing import Final

from psycopg.sql import SQL, Composed, Identifier, Literal

from application.persistence.guards import GUARD, STAMP_PARAMETERS, VERSION_PARAMETER
from application.persistence.position import ADVANCE_PARAMETERS

# The error has a class that the first release takes for a database that can't be reached: its
# HTTP interface answers 503, and its followers wait, with the sentence in the log.
_RETIRE: Final = """DO $do$
    DECLARE
        known oid := to_regprocedure({signature});
    BEGIN
        IF (SELECT prorettype <> 'boolean'::regtype FROM pg_proc WHERE oid = known) THEN
            LOCK TABLE {table} IN EXCLUSIVE MODE; -- whoever has called it, has finished
            DROP FUNCTION {function}({types});
            known := NULL;
        END IF;
        IF known IS NULL THEN
            CREATE FUNCTION {function}({types}) RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'this database was upgraded to a newer schema version; this process'
                    ' is of an older release: stop it and start the new one'
                    USING ERRCODE = '57OM1';
            END $$;
        END IF;
    END $do$"""

_MOVES: Final = ("text[]", "bigint[]", "bigint[]")


def retired_log(schema: str, events: str) -> list[Composed]:
    """The recording functions of a log."""
    table = Identifier(schema, events)
    return [
        _retire(table, Identifier(schema, f"{events}_{name}"), (*_MOVES, *more))
        for name, more in (("begin", ()), ("record", ("json",)), ("pass_over", ()))
    ]


# Processes of later releases give their version, and know this answer to it.
_OUTDATE: Final = """CREATE OR REPLACE FUNCTION {function}({parameters})
    RETURNS {result} LANGUAGE plpgsql AS $$ BEGIN {guard} END $$"""
_RECORDED: Final = f"{VERSION_PARAMETER}, {ADVANCE_PARAMETERS}, {STAMP_PARAMETERS}"


def outdated_log(schema: str, events: str) -> list[Composed]:
    """The functions of version 3 that recorded few events, as JSON, and many by COPY."""
    return [
        _outdate(Identifier(schema, f"{events}_begin"), _RECORDED, "void"),
        outdated_record(Identifier(schema, f"{events}_record")),
    ]


def outdated_record(function: Identifier, more: str = "") -> Composed:
    """A function of version 3 that recorded few events; ``more`` are its other parameters."""
    return _outdate(function, f"{_RECORDED}, events json{more}", "SETOF bigint")


def outdated_write(schema: str, tables: int) -> Composed:
    """The function of version 3 that wrote a batch of so many kinds of rows into a view."""
    parameters = [VERSION_PARAMETER, *ADVANCE_PARAMETERS.split(", "), *["json"] * tables]
    return _outdate(Identifier(schema, "write"), ", ".join(parameters), "void")


def _outdate(function: Identifier, parameters: str, result: str) -> Composed:
    return SQL(_OUTDATE).format(
        function=function, parameters=SQL(parameters), result=SQL(result), guard=SQL(GUARD)
    )


def retired_write(schema: str, tracking: str, tables: int) -> Composed:
    """The function of a view that wrote a batch of so many kinds of rows."""
    types = (*_MOVES, *["json"] * tables)
    return _retire(Identifier(schema, tracking), Identifier(schema, "write"), types)


def retired_advance(schema: str, tracking: str) -> Composed:
    """The function that moved a publisher's position."""
    function = Identifier(schema, f"{tracking}_advance")
    return _retire(Identifier(schema, tracking), function, (*_MOVES, "jsonb", "jsonb", "text"))


def _retire(table: Identifier, function: Identifier, types: tuple[str, ...]) -> Composed:
    joined = ", ".join(types)
    return SQL(_RETIRE).format(
        signature=Literal(f"{function.as_string()}({joined})"),
        table=table,
        function=function,
        types=SQL(joined),
    )
