"""Positions are rows that are inserted and deleted: a long reader slows nobody who moves one."""

from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, Tracking

from application.persistence.partitions import Reach, split
from application.persistence.position import Advance, Move, PositionMoved
from application.persistence.snapshot_holders import SnapshotHolders
from system import create_tables
from tests.integration.conftest import Venue, patient

MOVES = 3_000
_MOVE_ON = """DO $$ BEGIN
    FOR position IN {since} .. {upto} - 1 LOOP
        PERFORM matching_tracking_move('{{Orders}}', ARRAY[position], ARRAY[position + 1]);
        COMMIT;
    END LOOP;
END $$"""


def move_on(connection: psycopg.Connection[Any], since: int, upto: int) -> None:
    """So many transactions, each of which moves the position by one."""
    connection.execute(_MOVE_ON.format(since=since, upto=upto).encode())


def pages(connection: psycopg.Connection[Any], query: str) -> int:
    """The number of pages that a query looks at."""
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}"
    [row] = connection.execute(explain.encode()).fetchall()
    [found] = row["QUERY PLAN"]
    looked_at: int = found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"]
    return looked_at


def cost(connection: psycopg.Connection[Any], position: int) -> tuple[int, int]:
    """The pages that a look at the positions takes, and that a move takes."""
    with connection.transaction(force_rollback=True):
        look = pages(connection, "SELECT * FROM matching_tracking_positions()")
        move = pages(
            connection,
            f"SELECT matching_tracking_move('{{Orders}}', '{{{position}}}', '{{{position + 1}}}')",
        )
    return look, move


def test_a_snapshot_that_is_held_makes_no_move_and_no_look_more_expensive(venue: Venue) -> None:
    with venue.connect() as mover, venue.connect() as reader:
        mover.execute("SELECT matching_tracking_move('{Orders}', '{NULL}', '{1}')")
        move_on(mover, 1, 300)
        before = cost(mover, 300)
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM matching_tracking")
        move_on(mover, 300, MOVES)
        after = cost(mover, MOVES)
        reader.execute("ROLLBACK")
        [row] = mover.execute("SELECT count(*) FROM matching_tracking").fetchall()
    assert after[0] <= 1.5 * before[0]
    assert after[1] <= 1.5 * before[1]
    assert row["count"] <= 257
    assert venue.market.matching.recorder.max_tracking_id("Orders") == MOVES


def test_a_position_moves_only_from_where_it_is_and_only_forwards(venue: Venue) -> None:
    recorder = venue.market.matching.recorder

    def move(since: int | None, upto: int) -> int | None:
        recorder.insert_events([], tracking=Advance.of("Orders", [Move("Orders", since, upto)]))
        return recorder.max_tracking_id("Orders")

    assert move(None, 5) == 5
    assert move(5, 5) == 5
    assert move(5, 600) == 600
    for since, upto in ((None, 700), (5, 700), (600, 599), (601, 700)):
        with pytest.raises(PositionMoved):
            move(since, upto)
    assert move(600, 601) == 601


def test_the_library_s_own_way_to_keep_a_position_goes_forwards_only(venue: Venue) -> None:
    recorder = venue.market.matching.recorder
    recorder.insert_tracking(Tracking("Orders", 3))
    recorder.insert_tracking(Tracking("Orders", 7))
    for position in (5, 7):
        with pytest.raises(IntegrityError):
            recorder.insert_tracking(Tracking("Orders", position))
    assert recorder.max_tracking_id("Orders") == 7
    assert recorder.has_tracking_id("Orders", 7)


def test_positions_of_the_first_release_are_kept_in_its_table(venue: Venue) -> None:
    venue.trade_a_little()
    before = venue.market.matching.recorder.max_tracking_id("Orders")
    with venue.connect() as connection:
        connection.execute(
            """DELETE FROM matching_tracking WHERE application_name = 'Orders'
                AND notification_id <> (SELECT max(reached) FROM matching_tracking_positions());
            ALTER TABLE matching_tracking DROP CONSTRAINT matching_tracking_pkey,
                ADD PRIMARY KEY (application_name);
            DELETE FROM ome_schema_versions WHERE version > 1"""
        )
    create_tables(patient(venue.env))
    assert venue.market.matching.recorder.max_tracking_id("Orders") == before
    venue.trade_a_little()
    assert venue.difference() is None


def test_parts_have_positions_of_their_own_in_any_number(venue: Venue) -> None:
    recorder = venue.market.matching.recorder
    split(recorder, "Orders", 12)
    for position in range(1, 600):
        moves = [Move(f"Orders#{n}", (position - 1) * n, position * n) for n in (3, 11)]
        recorder.insert_events([], tracking=Advance.of("Orders", moves))
    expected = [0, 0, 0, 599 * 3, *[0] * 7, 599 * 11]
    assert Reach.read(recorder, "Orders") == Reach(expected, is_by_partition=True)


def test_a_session_that_holds_a_snapshot_for_long_is_named(
    venue: Venue, caplog: pytest.LogCaptureFixture
) -> None:
    with venue.connect() as reader, venue.connect() as idle, venue.connect() as asking:
        reader.execute("SET application_name = 'pg_dump'")
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM matching_tracking")
        idle.execute("BEGIN; SELECT FROM matching_tracking")  # it holds none between statements
        asking.execute("SELECT pg_sleep(0.2)")
        holders = SnapshotHolders(held_seconds=0.1)
        for _ in range(2):
            holders.look(asking)
        pid = reader.info.backend_pid
    [record] = [each for each in caplog.records if "held a snapshot" in each.message]
    told = vars(record)
    assert record.levelname == "WARNING"
    assert (told["session"], told["application"]) == (str(pid), "pg_dump")
    assert told["user"] == venue_user(venue)


def venue_user(venue: Venue) -> str:
    with venue.connect() as connection:
        return connection.info.user
