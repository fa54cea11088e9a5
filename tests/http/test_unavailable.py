"""PostgreSQL away, or lost in the middle: 503 in time, and no word that is not true."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from application.persistence.connection import connect, long_read
from application.persistence.log_connection import LogConnection
from application.persistence.unit_of_work import CommitUnknown
from domain.order import Order
from interface.database_url import database_env
from interface.postgres import EmbeddedPostgres
from system import build, create_tables
from tests.clusters import put_cluster
from tests.http.support import Service, Stopwatch, order, serving, shown, wait_for

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

ANY_ORDER = "/orders/550e8400-e29b-41d4-a716-446655440000"


@pytest.fixture
def postgres(short_dir: Path) -> Iterator[EmbeddedPostgres]:
    """A server of its own, to be stopped and started."""
    put_cluster(short_dir)
    with EmbeddedPostgres(short_dir, durable=False) as postgres:
        yield postgres


@pytest.fixture
def fragile(postgres: EmbeddedPostgres) -> Iterator[Service]:
    env = database_env(postgres.url)
    create_tables(env)
    with closing(build({**env, "POSTGRES_MAX_OVERFLOW": "15"})) as market:
        for application in market:  # however long PostgreSQL takes for the first connection
            application.recorder.datastore.pool.open(wait=True, timeout=60)
        with serving(market, env) as service:
            yield service


def test_while_postgresql_is_away_every_route_says_so_within_two_seconds(
    fragile: Service, postgres: EmbeddedPostgres, stopwatch: Stopwatch
) -> None:
    client = fragile.client
    placed = client.post("/orders", json=order())
    path = placed.headers["Location"]
    fragile.follow()
    for target in ("/orders", f"{path}/events", "/books/BTC-USD", "/trades"):
        assert client.get(target, headers=shown(placed)).status_code == 200  # nobody waits then
    postgres.stop()
    for method, target, body in (
        ("POST", "/orders", order()),
        ("POST", "/orders", order(clientOrderId="c-1")),
        ("POST", "/orders/batch", {"orders": [order()]}),
        ("PATCH", path, {"price": 1}),
        ("DELETE", path, None),
        ("DELETE", "/orders?userId=user123", None),
        ("PUT", "/instruments/BTC-USD", {}),
        ("PUT", "/users/user123", {"suspended": True}),
        ("GET", path, None),
        ("GET", f"{path}/events", None),
        ("GET", "/orders", None),
        ("GET", "/trades", None),
        ("GET", "/books/BTC-USD", None),
        ("GET", "/books/BTC-USD?level=3", None),
        ("GET", "/books/BTC-USD?version=1", None),
        ("GET", "/instruments", None),
        ("GET", "/instruments/BTC-USD", None),
        ("GET", "/ready", None),
    ):
        for headers in ({}, {**shown(placed), "Prefer": "wait=5"}):
            stopwatch.start()
            answered = client.open(target, method=method, json=body, headers=headers)
            assert stopwatch.seconds < 2
            assert answered.status_code == 503
            assert answered.content_type == "application/problem+json"
            assert answered.headers["Retry-After"] == "1"
            assert "Database unavailable" in answered.json["detail"]
    assert client.get("/health").status_code == 200
    assert client.post("/orders", json={}).status_code == 400
    postgres.start()
    stopwatch.start()
    while client.post("/orders", json=order()).status_code != 201:
        # The pool looks again soon, however long it was away.
        assert stopwatch.seconds < 4
        time.sleep(0.1)
    assert client.get(path).json["status"] == "OPEN"


def test_connections_that_were_cut_are_replaced(fragile: Service) -> None:
    client = fragile.client
    client.post("/orders", json=order())
    with psycopg.connect(
        dbname=fragile.env["POSTGRES_DBNAME"],
        host=fragile.env["POSTGRES_HOST"],
        user=fragile.env["POSTGRES_USER"],
        autocommit=True,
    ) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    statuses = []
    for _ in range(20):
        statuses.append(client.post("/orders", json=order()).status_code)
        time.sleep(0.05)
    assert set(statuses) <= {201, 503}
    wait_for(lambda: client.post("/orders", json=order()).status_code == 201)


def test_a_log_that_another_has_locked_is_told_as_that(
    fragile: Service, caplog: pytest.LogCaptureFixture
) -> None:
    sentence = "Waiting for the lock of the log of Orders took longer than 1 s"
    with connect(fragile.env) as other:
        other.execute("BEGIN; SELECT orders_events_lock()")
        answered = fragile.client.post("/orders", json=order())
        assert answered.status_code == 503
        assert answered.headers["Retry-After"] == "1"
        assert answered.json["detail"] == f"{sentence}; nothing was changed"
        other.execute("ROLLBACK")
    assert sentence in caplog.text
    assert fragile.client.post("/orders", json=order()).status_code == 201


def test_more_long_reads_than_may_run_at_once_are_told_as_that(
    fragile: Service, caplog: pytest.LogCaptureFixture
) -> None:
    fragile.client.post("/orders", json=order())
    fragile.follow()
    datastore = fragile.market.orders.recorder.datastore
    long = ("/orders", "/books/BTC-USD?level=3", "/books/BTC-USD?version=1")
    with ExitStack() as places:
        for _ in range(datastore.pool.max_size - 3):
            places.enter_context(long_read(datastore))
        for path in long:
            answered = fragile.client.get(path)
            assert answered.status_code == 503
            assert answered.headers["Retry-After"] == "1"
            assert answered.json["detail"] == "Too many long reads run at once, so try again"
        assert fragile.client.get("/books/BTC-USD").status_code == 200
    assert "Database unavailable" not in caplog.text
    assert {fragile.client.get(path).status_code for path in long} == {200}


def test_a_commit_whose_outcome_is_unknown_is_told_as_that(
    stalled: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(*_: object) -> None:
        raise CommitUnknown("server closed the connection unexpectedly")

    monkeypatch.setattr(LogConnection, "record", lose)
    for answered in (
        stalled.client.post("/orders", json=order(clientOrderId="c-1")),
        stalled.client.post("/orders/batch", json={"orders": [order()]}),
    ):
        assert answered.status_code == 503
        assert answered.headers["Retry-After"] == "1"
        assert "The outcome is unknown" in answered.json["detail"]
        assert "clientOrderId" in answered.json["detail"]


def test_asking_again_after_an_unknown_outcome_places_once(
    stalled: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = LogConnection.record

    async def commit_and_lose(self: LogConnection, *args: Any) -> None:
        await commit(self, *args)
        raise CommitUnknown("server closed the connection unexpectedly")

    fields = order(clientOrderId="c-1")
    monkeypatch.setattr(LogConnection, "record", commit_and_lose)
    assert stalled.client.post("/orders", json=fields).status_code == 503
    monkeypatch.setattr(LogConnection, "record", commit)
    assert stalled.client.post("/orders", json=fields).status_code == 200
    assert stalled.count_events() == 1


def test_a_command_that_is_committed_is_never_told_to_have_failed(
    stalled: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise CommitUnknown("no connection")

    monkeypatch.setattr(stalled.market.matching.recorder, "max_tracking_id", away)
    monkeypatch.setattr(stalled.market.matching, "pending", lambda *_, **__: [])
    placed = stalled.client.post("/orders", json=order(), headers={"Prefer": "wait=5"})
    assert placed.status_code == 201
    assert placed.json["status"] == "PENDING"


def test_a_fault_of_ours_is_a_problem_too_and_tells_nothing_of_the_inside(
    stalled: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(Order, "place", fail)
    answered = stalled.client.post("/orders", json=order())
    assert answered.status_code == 500
    assert answered.content_type == "application/problem+json"
    assert "secret" not in answered.text
    [record] = [record for record in caplog.records if record.name == "interface.http.problems"]
    assert record.getMessage() == "request failed"
    assert record.exc_info is not None
