"""The writes of the raw pipeline: transactions in as few round trips as they take."""

from collections.abc import Sequence

import psycopg

from benchmarks.raw_rows import copy


class PositionMoved(Exception):
    """Somebody else follows here."""


def move(table: str, leader: str, since: int, to: int) -> str:
    """The compare-and-set of a position; it has to be the last of the statements it is with."""
    return (
        f"UPDATE {table} SET notification_id = {to}"
        f" WHERE application_name = '{leader}' AND notification_id = {since}"
    )


def begin(cursor: psycopg.Cursor, *statements: str) -> None:
    """Execute statements, the last of which is a move; raises PositionMoved."""
    cursor.execute("; ".join(statements))
    while cursor.nextset():
        pass
    if cursor.rowcount != 1:
        raise PositionMoved(statements[-1])


def start(cursor: psycopg.Cursor, table: str, leader: str) -> None:
    """Take the first position; raises UniqueViolation where the database is not fresh."""
    cursor.execute(f"INSERT INTO {table} VALUES ('{leader}', 0)")
    # Without statistics the planner takes the whole table rather than a thousand keys.
    cursor.execute(
        "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
    )


def append(cursor: psycopg.Cursor, table: str, rows: Sequence[bytes], *before: str) -> int:
    """Commit events, after the statements ``before``; return the position of the last one."""
    lock = f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE"
    if before:
        begin(cursor, lock, *before)
    else:
        cursor.execute(lock)
    copy(cursor, f"{table} (originator_id, originator_version, topic, state)", rows)
    cursor.execute(f"SELECT lastval(); COMMIT; NOTIFY {table}")
    last: int = cursor.fetchone()[0]  # type: ignore[index]
    return last
