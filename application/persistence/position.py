"""A follower's position in its leader's log, moved by compare-and-set."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eventsourcing.persistence import IntegrityError, Tracking
from psycopg import Connection
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


def advance(
    connection: Connection[Any], schema: str, table: str, move: Advance
) -> Callable[[], None]:
    """Sends the move of a position, within the connection's transaction.

    What it returns is to be called once the answer is there (in a pipeline, after a sync),
    and raises PositionMoved.
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
    cursor = connection.execute(statement.format(Identifier(schema, table)), values)

    def check() -> None:
        if cursor.rowcount != 1:
            name = move.application_name
            raise PositionMoved(f"{table}: the position in {name} is not {move.since} any more")

    return check
