"""Commits to one log come in the order of their ids, beside maintenance and earlier releases."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresProcessRecorder
from psycopg.sql import SQL, Identifier, Literal

from application.orders import Placement
from application.persistence.connection import connect
from application.persistence.guards import LockTimeout
from application.persistence.migrations import SCHEMA_VERSION, SchemaOutdated
from application.persistence.position import Advance, Move
from application.persistence.recorder import EventRecorder
from domain.values import Side, Terms
from interface.database_url import database_env
from interface.postgres import EmbeddedPostgres
from system import build, create_tables
from tests.clusters import put_cluster
from tests.integration.conftest import Venue, patient
from tests.integration.service import eventually

LEVELS = ["read committed", "repeatable read", "serializable"]
MANY = 120  # events: more than go in one statement
UPGRADED = "this database was upgraded to"
MOVE = Advance.of("Matching", [Move("Matching", None, 1)])
TERMS = Terms("user", "BTC-USD", Side.BUY, 100, 5)


def events(count: int) -> list[StoredEvent]:
    return [StoredEvent(uuid4(), 1, "test.event", b"{}") for _ in range(count)]


def one_by_one(recorder: EventRecorder) -> Sequence[int]:
    return recorder.insert_events(events(3))


def by_copy(recorder: EventRecorder) -> Sequence[int]:
    return recorder.insert_events(events(MANY))


def by_the_library(recorder: EventRecorder) -> Sequence[int]:
    ids: Sequence[int] | None = PostgresProcessRecorder.insert_events(recorder, events(5))
    assert ids is not None
    return ids


def by_hand(recorder: EventRecorder) -> Sequence[int]:
    """As an operator may, or a program of somebody else."""
    with connect_like(recorder) as connection:
        rows = connection.execute(
            "INSERT INTO orders_events SELECT gen_random_uuid(), 1, 'test.event', '{}'"
            " FROM generate_series(1, 5) RETURNING notification_id"
        ).fetchall()
    return [row["notification_id"] for row in rows]


@contextmanager
def connect_like(recorder: EventRecorder) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with recorder.datastore.get_connection() as connection:
        yield connection


def preset_setting(connection: psycopg.Connection[Any], name: str, value: str) -> None:
    """For all who connect to the database from now on."""
    connection.execute(
        SQL("ALTER DATABASE {} SET {} = {}").format(
            Identifier(connection.info.dbname), Identifier(name), Literal(value)
        )
    )


@pytest.fixture
def preset(
    request: pytest.FixtureRequest, market_template: str, library_env: dict[str, str]
) -> dict[str, str]:
    """The environment of a database whose transactions have another isolation level."""
    with connect(library_env) as connection:
        preset_setting(connection, "default_transaction_isolation", request.param)
    return patient(library_env)


@pytest.mark.parametrize("preset", LEVELS, indirect=True)
def test_no_event_appears_behind_a_reader_whatever_isolation_level_is_preset(
    preset: dict[str, str],
) -> None:
    ends = threading.Event()

    def read() -> list[int]:
        seen: list[int] = []
        with closing(build(preset)) as market:
            while True:
                is_last = ends.is_set()
                new = market.orders.recorder.select_notification_ids(seen[-1] if seen else 0, 5_000)
                seen += new
                if is_last:
                    return seen

    def write(way: Any) -> list[Sequence[int]]:
        with closing(build(preset)) as market:
            return [way(market.orders.recorder) for _ in range(60)]

    ways = [one_by_one, one_by_one, by_copy, by_the_library, by_hand]
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read)
        try:
            recorded = [ids for written in pool.map(write, ways) for ids in written]
        finally:
            ends.set()
        seen = reading.result(60)

    recorded.sort(key=lambda ids: ids[0])
    assert seen == [place for ids in recorded for place in ids]


@pytest.mark.parametrize("preset", LEVELS, indirect=True)
def test_followers_move_their_positions_whatever_isolation_level_is_preset(
    preset: dict[str, str],
) -> None:
    with closing(build(preset)) as market:
        venue = Venue(market, preset)
        venue.trade_a_little()
        assert venue.difference() is None


@pytest.mark.parametrize(
    "record",
    [
        lambda market: len(market.orders.recorder.insert_events(events(1))) == 1,
        lambda market: market.orders.recorder.insert_events([], tracking=MOVE) == [],
        lambda market: market.order_view.process_batch("Orders") == 1,
    ],
    ids=["few", "nothing", "rows"],
)
@pytest.mark.parametrize("preset", LEVELS[1:], indirect=True)
def test_a_session_that_has_lost_its_isolation_level_is_set_right_and_the_call_repeated(
    preset: dict[str, str], record: Any
) -> None:
    with closing(build({**preset, "POSTGRES_MAX_OVERFLOW": "0"})) as market:  # one connection
        Venue(market, preset).buy(100, 1)
        with connect_like(market.orders.recorder) as own:
            own.execute("RESET default_transaction_isolation")  # as DISCARD ALL does
            with pytest.raises(psycopg.Error, match="must be READ COMMITTED") as refused:
                own.execute(
                    f"SELECT orders_events_pass_over({SCHEMA_VERSION}, NULL, NULL, NULL)".encode()
                )
            assert refused.value.sqlstate == "OM003"
        assert record(market)
        with connect_like(market.orders.recorder) as own:
            [row] = own.execute("SHOW default_transaction_isolation")
            assert row == {"default_transaction_isolation": "read committed"}


def tables(venue: Venue) -> list[str]:
    with venue.connect() as connection:
        rows = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
    return [row["name"] for row in rows]


def test_a_lock_as_vacuum_takes_it_on_every_table_keeps_nobody_waiting(venue: Venue) -> None:
    venue.trade_a_little()
    with venue.connect() as maintenance, closing(build(venue.env)) as impatient:
        maintenance.execute("BEGIN")
        for table in tables(venue):
            maintenance.execute(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE".encode())
        venue.market = impatient  # its lock timeout is the one of the service
        venue.trade_a_little()
        impatient.orders.recorder.insert_events(events(MANY))
        maintenance.execute("ROLLBACK")


def test_maintenance_goes_through_beside_a_loaded_log(venue: Venue) -> None:
    statements = [
        "VACUUM orders_events",
        "VACUUM matching_tracking",
        "ANALYZE orders_events",
        "CREATE INDEX CONCURRENTLY of_test ON orders_events (topic)",
        "REINDEX INDEX CONCURRENTLY orders_events_notification_id_idx",
        "DROP INDEX CONCURRENTLY of_test",
        "VACUUM order_view.orders",
    ]
    ends = threading.Event()

    def place() -> int:
        count = 0
        while not ends.is_set():
            venue.buy(100, 1)
            venue.settle()
            count += 1
        return count

    with ThreadPoolExecutor() as pool:
        placing = pool.submit(place)
        try:
            with venue.connect() as connection:
                for statement in statements:
                    connection.execute(statement.encode())
        finally:
            ends.set()
        assert placing.result(60) > 0
    assert venue.difference() is None


def test_whoever_waits_too_long_for_a_log_is_told_so(venue: Venue) -> None:
    venue.execute("DELETE FROM ome_schema_versions")  # the time for a lock is in the functions
    create_tables({**venue.env, "POSTGRES_LOCK_TIMEOUT": "1"})
    with venue.connect() as other, closing(build(venue.env)) as impatient:
        other.execute("BEGIN; SELECT orders_events_lock()")
        sentence = "Waiting for the lock of the log of Orders took longer than 1 s"
        for count in (1, MANY):
            with pytest.raises(LockTimeout, match=sentence):
                impatient.orders.recorder.insert_events(events(count))
        other.execute("ROLLBACK")
        assert len(impatient.orders.recorder.insert_events(events(1))) == 1


def test_whoever_waits_too_long_for_a_position_is_told_so(venue: Venue) -> None:
    venue.execute("DELETE FROM ome_schema_versions")  # the time for a lock is in the functions
    create_tables({**venue.env, "POSTGRES_LOCK_TIMEOUT": "1"})
    with venue.connect() as other, closing(build(venue.env)) as impatient:
        other.execute("BEGIN; SELECT orders_tracking_move('{Matching}', '{NULL}', '{1}')")
        for recorded in ([], events(1)):
            with pytest.raises(LockTimeout, match="took longer than 1 s"):
                impatient.orders.recorder.insert_events(recorded, tracking=MOVE)
        other.execute("ROLLBACK")
        impatient.orders.recorder.insert_events([], tracking=MOVE)
        assert impatient.orders.recorder.max_tracking_id("Matching") == 1


@pytest.mark.parametrize(
    "call",
    [
        "orders_events_record(NULL, NULL, NULL, '[]')",
        "orders_events_begin(NULL, NULL, NULL)",
        "matching_events_pass_over('{Orders}', '{0}', '{1}')",
        "order_view.write('{Orders}', '{0}', '{1}', NULL, NULL, NULL)",
        "book_view.write('{Matching}', '{0}', '{1}'" + 8 * ", NULL" + ")",
        "trade_view.write('{Matching}', '{0}', '{1}', NULL)",
    ],
)
def test_a_running_process_of_the_first_release_is_refused(venue: Venue, call: str) -> None:
    """As if its database could not be reached: it changes nothing, and goes on asking."""
    with venue.connect() as old, pytest.raises(psycopg.OperationalError, match=UPGRADED):
        old.execute(f"SELECT {call}".encode())


FIRST = {
    "orders_events_begin(names text[], since bigint[], upto bigint[])": "void",
    "orders_events_record(names text[], since bigint[], upto bigint[], events json)": (
        "SETOF bigint"
    ),
    "trade_view.write(names text[], since bigint[], upto bigint[], json)": "void",
}


@pytest.mark.parametrize("function", FIRST)
def test_a_starting_process_of_the_first_release_is_refused(venue: Venue, function: str) -> None:
    create = f"CREATE OR REPLACE FUNCTION {function} RETURNS {FIRST[function]} LANGUAGE plpgsql AS"
    with (
        venue.connect() as old,
        pytest.raises(psycopg.errors.InvalidFunctionDefinition, match="return type"),
    ):
        old.execute(f"{create} 'BEGIN END'".encode())


def test_functions_of_the_first_release_are_replaced_by_ones_that_refuse(venue: Venue) -> None:
    with venue.connect() as old:
        for function, result in FIRST.items():
            name, _, rest = function.partition("(")
            arguments = rest.replace("names ", "").replace("since ", "").replace("upto ", "")
            old.execute(f"DROP FUNCTION {name}({arguments.replace('events ', '')}".encode())
            create = f"CREATE FUNCTION {function} RETURNS {result} LANGUAGE plpgsql AS"
            old.execute(f"{create} 'BEGIN END'".encode())
        old.execute("DELETE FROM ome_schema_versions")
        create_tables(patient(venue.env))
        with pytest.raises(psycopg.OperationalError, match=UPGRADED):
            old.execute("SELECT orders_events_begin(NULL, NULL, NULL)")
    venue.trade_a_little()


@pytest.mark.parametrize(
    "function", ["orders_events_record", "matching_events_record", "matching_user_assets_record"]
)
def test_functions_of_version_3_refuse_the_processes_that_still_call_them(
    venue: Venue, function: str
) -> None:
    rows = ", NULL::text[], NULL, NULL, NULL" if "user_assets" in function else ""
    with venue.connect() as old, pytest.raises(psycopg.Error, match=UPGRADED) as refused:
        old.execute(
            f"SELECT {function}(3, NULL, NULL, NULL, NULL, NULL, '[]'::json{rows})".encode()
        )
    assert refused.value.sqlstate == "OM001"
    assert venue.market.matching.recorder.max_notification_id() is None


@pytest.mark.parametrize(
    "record",
    [
        lambda market: market.orders.recorder.insert_events(events(1)),
        lambda market: market.orders.recorder.insert_events(events(MANY)),
        lambda market: market.orders.recorder.insert_events([], tracking=MOVE),
        lambda market: market.order_view.process_batch("Orders"),
    ],
    ids=["few", "many", "nothing", "rows"],
)
def test_a_process_of_another_schema_version_is_refused(
    venue: Venue, record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue.buy(100, 1)
    ours, older = f"({SCHEMA_VERSION}, ", "(1, "
    statements = venue.market.orders.recorder._statements
    for name, text in statements.items():
        monkeypatch.setitem(statements, name, text.replace(ours, older))
    view = venue.market.order_view.recorder
    monkeypatch.setattr(view, "_write", view._write.replace(ours, older))
    refusal = f"upgraded to schema version {SCHEMA_VERSION};.*older release"
    with pytest.raises(SchemaOutdated, match=refusal):
        record(venue.market)


@pytest.mark.parametrize("way", [one_by_one, by_copy, by_the_library, by_hand])
def test_events_are_committed_synchronously_whatever_is_preset(
    market_template: str, library_env: dict[str, str], way: Any
) -> None:
    with connect(library_env) as connection:
        preset_setting(connection, "synchronous_commit", "off")
        # Deferred: it is called at the commit.
        connection.execute(
            """CREATE TABLE commits (setting text);
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO commits VALUES (current_setting('synchronous_commit')); RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER note AFTER INSERT ON orders_events
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()"""
        )
        with closing(build(patient(library_env))) as market:
            # Whatever a session sets when it connects, it is not relied on.
            with connect_like(market.orders.recorder) as own:
                own.execute("SET synchronous_commit = off")
            ids = way(market.orders.recorder)
        rows = connection.execute("SELECT setting FROM commits").fetchall()
    assert [row["setting"] for row in rows] == ["on"] * len(ids)


def test_acknowledged_orders_survive_a_crash_of_a_database_that_does_not_flush_by_itself(
    short_dir: Path,
) -> None:
    """What is only in the buffers of PostgreSQL is lost with its processes."""
    put_cluster(short_dir)
    with EmbeddedPostgres(short_dir, durable=False) as postgres:
        env = database_env(postgres.url)
        create_tables(patient(env))
        with connect(env) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_commit = off")
            connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            connection.execute("ALTER SYSTEM SET wal_writer_flush_after = 0")
            connection.execute("SELECT pg_reload_conf()")
        told: list[UUID] = []
        for _ in range(3):
            with closing(build(patient(env))) as market:
                venue = Venue(market, env)
                told += [venue.buy(100, 1) for _ in range(30)]
                venue.settle()
                told.append(market.orders.place(Placement(uuid4(), TERMS), venue.tick()).order.id)
                kill_all(short_dir)
            postgres.stop()
            postgres.start()
        with closing(build(patient(env))) as market:
            Venue(market, env).settle()
            assert [market.orders.get(order_id).id for order_id in told] == told
            assert Venue(market, env).difference() is None


def kill_all(directory: Path) -> None:
    """Kill -9 of the postmaster and its children together."""
    postmasters = [
        process
        for process in psutil.Process().children(recursive=True)
        if process.name() == "postgres"
        and any(str(directory) in each for each in process.cmdline())
    ]
    processes = [each for main in postmasters for each in (main, *main.children(recursive=True))]
    assert processes
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not any(_is_alive(process) for process in processes), 60)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
