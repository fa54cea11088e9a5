"""Schema versions are applied once, in order, and whoever does not fit is refused."""

import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from application.persistence import migrations
from application.persistence.connection import connect
from application.persistence.migrations import SCHEMA_VERSION, SchemaUnusable
from system import build, create_tables, parts_of
from tests.integration.conftest import Venue, patient
from tests.integration.service import eventually

ALL = list(range(1, SCHEMA_VERSION + 1))


@pytest.fixture
def connection(library_env: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    with connect(library_env) as opened:
        yield opened


def versions(connection: psycopg.Connection[Any]) -> list[int]:
    rows = connection.execute("SELECT version FROM ome_schema_versions ORDER BY version")
    return [row["version"] for row in rows]


def test_an_empty_database_gets_each_version_once(library_env, connection, caplog):
    caplog.set_level(logging.INFO, "application")
    assert create_tables(library_env) == ALL
    assert versions(connection) == ALL
    applied = [each.version for each in caplog.records if "version applied" in each.message]
    assert applied == ALL
    assert create_tables(library_env) == []


def test_many_that_start_at_the_same_moment_apply_each_version_once(library_env, connection):
    applied: list[list[int]] = []
    starts = [
        threading.Thread(target=lambda: applied.append(create_tables(patient(library_env))))
        for _ in range(4)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join(60)
    assert sorted(applied) == [[], [], [], ALL]
    assert versions(connection) == ALL


def test_a_start_where_nothing_is_missing_waits_for_no_lock(library_env, connection):
    create_tables(library_env)
    connection.execute(
        "BEGIN; LOCK TABLE orders_events, orders_tracking, order_view.orders, book_view.levels,"
        " ome_schema_versions IN ROW EXCLUSIVE MODE;"
        " SELECT pg_advisory_xact_lock(hashtext('create tables'))"
    )
    assert create_tables(library_env) == []
    connection.execute("ROLLBACK")


def test_a_database_of_a_newer_release_is_refused_and_not_changed(library_env, connection):
    create_tables(library_env)
    newer = SCHEMA_VERSION + 1
    connection.execute("INSERT INTO ome_schema_versions (version) VALUES (%s)", [newer])
    sentence = f"the database has schema version {newer}, this release knows up to {SCHEMA_VERSION}"
    with pytest.raises(SchemaUnusable, match=sentence):
        create_tables(library_env)
    assert versions(connection) == [*ALL, newer]


def test_a_table_that_is_missing_is_made_again(library_env, connection):
    create_tables(library_env)
    with closing(build(patient(library_env))) as market:
        venue = Venue(market, library_env)
        venue.trade_a_little()
        connection.execute("DROP SCHEMA trade_view CASCADE")
        assert create_tables(library_env) == []
        venue.settle()
        assert venue.difference() is None


def test_a_change_that_has_to_wait_is_tried_again_and_lets_others_pass(
    library_env, connection, caplog, monkeypatch
):
    monkeypatch.setattr(migrations, "_LOCK_SECONDS", 1)
    create_tables(library_env)
    connection.execute("DELETE FROM ome_schema_versions")
    with connect(library_env) as other:
        # What the upgrade needs for itself alone.
        other.execute("BEGIN; LOCK TABLE orders_events IN ROW EXCLUSIVE MODE")
        connection.execute("DROP FUNCTION orders_events_record(text[], bigint[], bigint[], json)")
        connection.execute(
            "CREATE FUNCTION orders_events_record(text[], bigint[], bigint[], json)"
            " RETURNS void LANGUAGE plpgsql AS 'BEGIN END'"
        )
        start = threading.Thread(target=create_tables, args=[library_env])
        start.start()
        eventually(lambda: "the upgrade waits for a lock" in caplog.text, 60)
        assert start.is_alive()
        assert versions(connection) == []
        other.execute("ROLLBACK")
        start.join(60)
    assert versions(connection) == ALL[1:]


def test_a_failure_in_the_middle_leaves_nothing_behind(library_env, connection, monkeypatch):
    """As kill -9 does: all of it is one transaction."""

    class Killed(Exception):
        pass

    done: list[Any] = []

    def fail(to: psycopg.Connection[Any], statement: Any) -> None:
        if len(done) == 40:
            raise Killed
        done.append(statement)
        to.execute(statement.as_bytes(to), prepare=False)

    monkeypatch.setattr(migrations, "execute", fail)
    with pytest.raises(Killed):
        create_tables(library_env)
    monkeypatch.undo()
    tables = "SELECT FROM pg_class WHERE relname IN ('orders_events', 'ome_schema_versions')"
    assert connection.execute(tables).fetchall() == []
    assert create_tables(library_env) == ALL


def checking(connection: psycopg.Connection[Any], version: int) -> dict[str, str]:
    """The definitions of the functions that want callers of a version, by their signatures."""
    found = connection.execute(
        "SELECT oid::regprocedure::text AS name, pg_get_functiondef(oid) AS text FROM pg_proc"
        " WHERE strpos(prosrc, %s) > 0",
        [_wanted(version)],
    )
    return {row["name"]: row["text"] for row in found}


def _wanted(version: int) -> str:
    return f"IF version IS DISTINCT FROM {version} THEN"


def test_a_database_of_the_version_before_gets_the_functions_of_this_one(library_env, connection):
    create_tables(library_env)
    functions = checking(connection, SCHEMA_VERSION)
    before = SCHEMA_VERSION - 1
    for text in functions.values():
        connection.execute(text.replace(_wanted(SCHEMA_VERSION), _wanted(before)))
    connection.execute("DELETE FROM ome_schema_versions WHERE version = %s", [SCHEMA_VERSION])
    assert checking(connection, before).keys() == functions.keys()
    assert create_tables(library_env) == [SCHEMA_VERSION]
    assert checking(connection, SCHEMA_VERSION) == functions
    assert checking(connection, before) == {}


FUNCTIONS = """SELECT p.oid::regprocedure::text AS name FROM pg_proc p
    JOIN pg_namespace n ON n.oid = pronamespace
    WHERE nspname <> 'information_schema' AND nspname !~ '^pg_' ORDER BY 1"""
TRIGGERS = """SELECT tgrelid::regclass::text AS name FROM pg_trigger
    WHERE tgname = 'ome_log_lock' ORDER BY 1"""


def functions(connection: psycopg.Connection[Any]) -> list[str]:
    """Return all that there are, and the tables whose trigger calls one."""
    return [row["name"] for each in (FUNCTIONS, TRIGGERS) for row in connection.execute(each)]


def test_one_function_that_is_missing_is_made_again(library_env, connection):
    create_tables(library_env)
    made = functions(connection)
    # The first release had one of the same name, which is there to refuse it.
    connection.execute("DROP FUNCTION orders_events_pass_over(integer, text[], bigint[], bigint[])")
    assert create_tables(library_env) == []
    assert functions(connection) == made


@pytest.mark.parametrize("schema", ["public", 'The "first", and (so far) only market'])
def test_functions_that_are_missing_are_made_again_and_logged(
    library_env, connection, caplog, schema
):
    env = {**library_env, "DATABASE_SCHEMA": schema}
    create_tables(env)
    made = functions(connection)
    wanted = {each for part in parts_of(env) for each in part.functions()}
    for name in wanted:
        connection.execute(f"DROP FUNCTION {name} CASCADE".encode())
    caplog.clear()
    assert create_tables(env) == []
    assert functions(connection) == made
    [warning] = [each for each in caplog.records if each.levelname == "WARNING"]
    assert warning.what.endswith(f" and {len(wanted) - 3} more")
