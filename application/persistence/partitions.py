"""Positions by partition: what a follower has that takes its leader's log in parts.

A follower has either one position in its leader's log (a row named after the leader), or one
for each of n partitions of it (rows "Orders#0", "Orders#1", ...): everything for the partition's
assets is done up to there. The smallest is how far it has come as a whole.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from application.persistence.connection import living_connection
from application.persistence.position import Advance, PositionMoved

_MARK: Final = "#"

# How far a follower has come as a whole; {tracking} is its table, {leader} whom it follows, or a
# part of that.
FLOOR: Final = """SELECT min(notification_id) FROM {tracking}
    WHERE split_part(application_name, '#', 1) = split_part({leader}, '#', 1)"""


_MOVES: Final = """UPDATE {} SET notification_id = upto
    FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS move (name, since, upto)
    WHERE application_name = name AND notification_id = since"""


def partition_of(key: str, partitions: int) -> int:
    """Where whatever concerns an asset goes."""
    return zlib.crc32(key.encode()) % partitions


def part(leader: str, partition: int) -> str:
    """The name under which a follower's position in a partition is kept."""
    return f"{leader}{_MARK}{partition}"


class Reach:
    """How far a follower has come, perhaps in each partition by itself."""

    def __init__(self, leader: str, rows: Mapping[str, int]) -> None:
        """``rows``: notification ids by the names under which they are kept."""
        count = sum(name.startswith(leader + _MARK) for name in rows)
        parts = [rows[part(leader, number)] for number in range(count)]
        self.is_by_partition = bool(parts)
        self.positions: list[int] = parts or [rows.get(leader, 0)]

    def covers(self, position: int, asset: str) -> bool:
        """Whether what stands at ``position``, and concerns the asset, is done."""
        return position <= self.positions[partition_of(asset, len(self.positions))]

    @classmethod
    def read(cls, recorder: Any, leader: str) -> "Reach":
        with living_connection(recorder.datastore) as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            return cls(leader, _rows(cursor, _table(recorder), leader))


def split(recorder: Any, leader: str, partitions: int) -> Reach:
    """Has a follower go on by partition from where it is, if it does not do so already.

    Raises PositionMoved where it is at another number of partitions.
    """
    table = _table(recorder)
    with living_connection(recorder.datastore) as connection, connection.transaction():
        cursor = connection.cursor(row_factory=tuple_row)
        # Who follows, and whoever else is about to do this, waits or has been before.
        cursor.execute(SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(table))
        reach = Reach(leader, _rows(cursor, table, leader))
        if not reach.is_by_partition:
            [position] = reach.positions
            _replace(
                cursor, table, leader, {part(leader, each): position for each in range(partitions)}
            )
            return Reach(leader, {part(leader, each): position for each in range(partitions)})
    if len(reach.positions) != partitions:
        raise PositionMoved(
            f"{leader} is followed in {len(reach.positions)} partitions, not {partitions}"
        )
    return reach


def merge(recorder: Any, leader: str) -> None:
    """Has a follower go on with one position. Raises PositionMoved where its parts differ."""
    table = _table(recorder)
    with living_connection(recorder.datastore) as connection, connection.transaction():
        cursor = connection.cursor(row_factory=tuple_row)
        cursor.execute(SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(table))
        reach = Reach(leader, _rows(cursor, table, leader))
        if len(set(reach.positions)) != 1:
            raise PositionMoved(f"{leader} is still being followed by partition")
        _replace(cursor, table, leader, {leader: reach.positions[0]})


def pass_over(recorder: Any, moves: Sequence[Advance]) -> None:
    """Moves a follower on, over what is nothing to it, in all of its parts or none.

    The commit does not wait for the disk: what is lost is passed over again. Raises
    PositionMoved.
    """
    arguments = list(map(list, zip(*(move.arguments for move in moves), strict=True)))
    with living_connection(recorder.datastore) as connection, connection.transaction():
        connection.execute("SET LOCAL synchronous_commit TO off")
        moved = connection.execute(SQL(_MOVES).format(_table(recorder)), arguments).rowcount
        if moved != len(moves):
            raise PositionMoved(
                f"{len(moves) - moved} of {len(moves)} parts are not there any more"
            )


def _table(recorder: Any) -> Identifier:
    return Identifier(recorder.datastore.schema, recorder.tracking_table_name)


def _rows(cursor: Any, table: Identifier, leader: str) -> dict[str, int]:
    statement = SQL(
        "SELECT application_name, notification_id FROM {}"
        " WHERE application_name = %(leader)s OR starts_with(application_name, %(parts)s)"
    ).format(table)
    cursor.execute(statement, {"leader": leader, "parts": leader + _MARK})
    return dict(cursor.fetchall())


def _replace(cursor: Any, table: Identifier, leader: str, rows: Mapping[str, int]) -> None:
    cursor.execute(
        SQL(
            "DELETE FROM {} WHERE application_name = %s OR starts_with(application_name, %s)"
        ).format(table),
        [leader, leader + _MARK],
    )
    cursor.executemany(SQL("INSERT INTO {} VALUES (%s, %s)").format(table), list(rows.items()))
