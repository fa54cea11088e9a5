"""A follower's position in its leader's log, moved by compare-and-set."""

from dataclasses import dataclass
from typing import Any

from eventsourcing.persistence import IntegrityError, Tracking
from psycopg import Cursor
from psycopg.sql import SQL, Identifier


@dataclass(frozen=True)
class Advance(Tracking):
    """Moves a position to ``notification_id`` if it still stands at ``since`` (None: nowhere).

    The library's own check accepts any larger position, so of two followers that overlap
    both would pass, and one event would be applied twice.
    """

    since: int | None


class PositionMoved(IntegrityError):
    """Somebody else has followed meanwhile: read the position again, and decide again."""


def advance(cursor: Cursor[Any], schema: str, table: str, move: Advance) -> None:
    """Moves the position within the cursor's transaction.

    Raises PositionMoved.
    """
    if move.since is None:
        statement = SQL(
            "INSERT INTO {} (application_name, notification_id)"
            " VALUES (%(name)s, %(to)s) ON CONFLICT DO NOTHING"
        )
    else:
        statement = SQL(
            "UPDATE {} SET notification_id = %(to)s"
            " WHERE application_name = %(name)s AND notification_id = %(since)s"
        )
    values = {"name": move.application_name, "to": move.notification_id, "since": move.since}
    cursor.execute(statement.format(Identifier(schema, table)), values)
    if cursor.rowcount != 1:
        msg = f"{table}: the position in {move.application_name} is not {move.since} any more"
        raise PositionMoved(msg)
