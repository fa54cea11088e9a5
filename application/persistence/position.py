"""A follower's position in its leader's log, moved by compare-and-set."""

from dataclasses import dataclass
from typing import Any

from eventsourcing.persistence import IntegrityError, Tracking
from psycopg import Cursor
from psycopg.sql import SQL, Composed, Identifier, Literal


@dataclass(frozen=True)
class Advance(Tracking):
    """Moves a position to ``notification_id`` if it still stands at ``since`` (None: nowhere).

    The library's own check accepts any larger position, so of two followers that overlap
    both would pass, and one event would be applied twice.
    """

    since: int | None


class PositionMoved(IntegrityError):
    """Somebody else has followed meanwhile: read the position again, and decide again."""


def advance(schema: str, table: str, move: Advance) -> Composed:
    """The statement that moves a position, to be followed by ``check_advanced``."""
    statement = SQL(
        "INSERT INTO {table} VALUES ({name}, {to}) ON CONFLICT DO NOTHING"
        if move.since is None
        else "UPDATE {table} SET notification_id = {to}"
        " WHERE application_name = {name} AND notification_id = {since}"
    )
    return statement.format(
        table=Identifier(schema, table),
        name=Literal(move.application_name),
        since=Literal(move.since),
        to=Literal(move.notification_id),
    )


def check_advanced(cursor: Cursor[Any], move: Advance) -> None:
    """Raises PositionMoved where the last statement of the cursor did not move the position."""
    while cursor.nextset():
        pass
    if cursor.rowcount != 1:
        name = move.application_name
        raise PositionMoved(f"the position in {name} is not {move.since} any more")
