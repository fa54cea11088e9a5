"""Positions by partition, for a follower that takes its leader's log in parts.

A follower has either one position in its leader's log (a row named after the leader), or one
for each of n partitions of it (rows "Orders#0", "Orders#1", ...): everything for the partition's
assets is done up to there. The smallest is its position in the whole log.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from application.persistence.connection import living_connection
from application.persistence.position import PositionMoved, lock_positions, position_names
from domain.values import ALL_ASSETS

_MARK: Final = "#"

_WHERE: Final = """FROM {positions}() WHERE split_part(name, '#', 1) = {leader}"""
# A follower's position in the whole log; {positions} returns its positions, {leader} its leader.
FLOOR: Final = f"SELECT min(reached) {_WHERE}"
# Its position in each partition, "120,117,123"; the smallest alone where there are more of
# them than fit into a NOTIFY, which has 8 000 bytes. A longer name has a larger number.
REACH: Final = f"""SELECT CASE WHEN count(*) > 380 THEN min(reached)::text ELSE string_agg(
    reached::text, ',' ORDER BY length(name), name) END {_WHERE}"""


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of an asset."""
    return zlib.crc32(key.encode()) % partitions


def concerns(asset: str, number: int, partitions: int) -> bool:
    """Test if an event of an asset, or of all assets, belongs to a partition."""
    return asset == ALL_ASSETS or partition_of(asset, partitions) == number


def part(leader: str, partition: int) -> str:
    """The name under which a follower's position in a partition is kept."""
    return f"{leader}{_MARK}{partition}"


class Published(NamedTuple):
    """Up to where a log is sent to partitions, and the last that each has got of that."""

    upto: int
    ends: Sequence[int]


NOTHING: Final = Published(0, ())


def covers(
    positions: Sequence[int], position: int, asset: str | None, published: Published = NOTHING
) -> bool:
    """Test if a follower with these positions has done all of an asset (None: of any).

    That is, all up to ``position``. A follower that has the last message published to a partition
    has all of it, up to where the whole log was published, though nothing moved its position there.
    """
    count = len(positions)
    if len(published.ends) != count or published.upto < position:
        published = NOTHING
    is_of_all = asset is None or asset == ALL_ASSETS
    numbers = range(count) if is_of_all else (partition_of(asset, count),)  # type: ignore[arg-type]
    return all(
        positions[number] >= position
        or (published is not NOTHING and positions[number] >= published.ends[number])
        for number in numbers
    )


class Reach(NamedTuple):
    """The position of a follower, perhaps one in each partition."""

    positions: Sequence[int]
    is_by_partition: bool

    def covers(self, position: int, asset: str) -> bool:
        """Test if the entry at ``position``, which concerns the asset, is done."""
        return covers(self.positions, position, asset)

    def of_asset(self, asset: str) -> int:
        """Return its position in the partition of an asset."""
        return self.positions[partition_of(asset, len(self.positions))]

    @classmethod
    def of(cls, leader: str, rows: Mapping[str, int]) -> Self:
        """``rows``: notification ids by the names under which they are kept."""
        count = sum(name.startswith(leader + _MARK) for name in rows)
        parts = [rows[part(leader, number)] for number in range(count)]
        return cls(parts or [rows.get(leader, 0)], bool(parts))

    @classmethod
    def read(cls, recorder: Any, leader: str) -> Self:
        with living_connection(recorder.datastore) as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            return cls.of(leader, _rows(cursor, recorder))


def split(recorder: Any, leader: str, partitions: int) -> Reach:
    """Split a follower's position into one for each partition, unless that is done already.

    Raises PositionMoved if it has another number of partitions.
    """
    with living_connection(recorder.datastore) as connection, connection.transaction():
        # Followers, and others that are about to do this, wait or have committed before.
        lock_positions(connection, recorder.datastore.schema, recorder.tracking_table_name)
        cursor = connection.cursor(row_factory=tuple_row)
        reach = Reach.of(leader, _rows(cursor, recorder))
        if not reach.is_by_partition:
            [position] = reach.positions
            rows = {part(leader, each): position for each in range(partitions)}
            _replace(cursor, recorder, leader, rows)
            return Reach.of(leader, rows)
    if len(reach.positions) != partitions:
        raise PositionMoved(
            f"{leader} is followed in {len(reach.positions)} partitions, not {partitions}"
        )
    return reach


def merge(recorder: Any, leader: str) -> None:
    """Merge a follower's positions into one. Raises PositionMoved where they differ."""
    with living_connection(recorder.datastore) as connection, connection.transaction():
        lock_positions(connection, recorder.datastore.schema, recorder.tracking_table_name)
        cursor = connection.cursor(row_factory=tuple_row)
        reach = Reach.of(leader, _rows(cursor, recorder))
        if len(set(reach.positions)) != 1:
            raise PositionMoved(f"{leader} is still being followed by partition")
        _replace(cursor, recorder, leader, {leader: reach.positions[0]})


def _rows(cursor: Any, recorder: Any) -> dict[str, int]:
    """The positions of a follower by their names."""
    names = position_names(recorder.datastore.schema, recorder.tracking_table_name)
    cursor.execute(SQL("SELECT name, reached FROM {positions}()").format(**names))
    return dict(cursor.fetchall())


def _replace(cursor: Any, recorder: Any, leader: str, rows: Mapping[str, int]) -> None:
    table = Identifier(recorder.datastore.schema, recorder.tracking_table_name)
    cursor.execute(
        SQL(
            "DELETE FROM {} WHERE application_name = %s OR starts_with(application_name, %s)"
        ).format(table),
        [leader, leader + _MARK],
    )
    cursor.executemany(SQL("INSERT INTO {} VALUES (%s, %s)").format(table), list(rows.items()))
