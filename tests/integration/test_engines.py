"""Several engines at once, and an engine's parts apart: one writer for each follower's work."""

import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from application.persistence.migrations import SCHEMA_VERSION, SchemaOutdated
from domain.errors import OrderClosed
from domain.values import OrderStatus, Side
from interface import engine as engines
from interface.engine import Engine
from system import FOLLOWERS, build
from tests.integration.conftest import Venue, at_work, has_followed_all, patient
from tests.integration.service import eventually

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

TAKEOVERS = 2
AT_WORK = 'event="at work"'


# Keys of turns have 32 bits; those of logs and positions, which transactions hold, have 64.
CUT_THE_LOCKS = """SELECT pg_terminate_backend(pid) FROM pg_locks
    JOIN pg_database d ON d.oid = database
    WHERE locktype = 'advisory' AND datname = current_database()
    AND classid::bigint IN (0, 4294967295) GROUP BY pid"""


class Part:
    """A process of the service, started apart."""

    def __init__(self, role: str, database_url: str, output: Path) -> None:
        self.role = role
        self._output = output
        with output.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "interface.cli", "run", "--role", role],
                env={**os.environ, "DATABASE_URL": database_url},
                stdout=log,
                stderr=log,
            )

    @property
    def said(self) -> str:
        return self._output.read_text()

    def followers_at_work(self) -> int:
        return self.said.count(AT_WORK)

    def wait_until_started(self) -> "Part":
        eventually(lambda: "engine started" in self.said, 60, lambda: self.said)
        return self

    def wait_until_at_work(self, followers: int) -> "Part":
        eventually(lambda: self.followers_at_work() == followers, 60, lambda: self.said)
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Parts:
    def __init__(self, database_url: str, directory: Path) -> None:
        self._database_url = database_url
        self._directory = directory
        self._started: list[Part] = []

    def start(self, role: str) -> Part:
        output = self._directory / f"{len(self._started)}-{role}.log"
        part = Part(role, self._database_url, output)
        self._started.append(part)
        return part

    def end(self) -> None:
        for part in self._started:
            part.kill()


@pytest.fixture
def parts(venue: Venue, database_url: str, tmp_path: Path) -> Iterator[Parts]:
    parts = Parts(database_url, tmp_path)
    yield parts
    parts.end()


class Trading(threading.Thread):
    """Places orders that meet, and cancels some, until it is told to stop."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(name="trading")
        self.placed: list[UUID] = []
        self._venue = Venue(build({**patient(venue.env), "POSTGRES_MAX_OVERFLOW": "2"}), venue.env)
        self._stopping = threading.Event()

    def run(self) -> None:
        chance = random.Random(5)
        with closing(self._venue.market):
            while not self._stopping.wait(0.002):
                side = chance.choice(list(Side))
                receipt = self._venue.place(side, chance.randint(99, 101), chance.randint(1, 5))
                self.placed.append(receipt.order.id)
                if chance.random() < 0.2:
                    try:
                        self._venue.cancel(chance.choice(self.placed[-10:]))
                    except OrderClosed:
                        continue

    def wait_for(self, orders: int) -> None:
        goal = len(self.placed) + orders
        eventually(lambda: len(self.placed) >= goal, 60)

    def stop(self) -> None:
        self._stopping.set()
        self.join()


@contextmanager
def trading(venue: Venue) -> Iterator[Trading]:
    thread = Trading(venue)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()


def check_all(venue: Venue, placed: Sequence[UUID]) -> None:
    """Every order is there once and decided, and all that is stored is what the rules say."""
    eventually(lambda: has_followed_all(venue.market), 60)
    assert venue.difference() is None
    stored = venue.market.orders.recorder.select_notifications(1, 100_000, topics=["order.placed"])
    assert sorted(each.originator_id for each in stored) == sorted(placed)
    with venue.connect() as connection:
        rows = connection.execute("SELECT order_id, status FROM order_view.orders").fetchall()
    assert {row["order_id"] for row in rows} == set(placed)
    assert OrderStatus.PENDING.value not in {row["status"] for row in rows}


def seconds_until_matched(venue: Venue) -> tuple[float, UUID]:
    """From now to the decision of an order that is placed now."""
    start = time.monotonic()
    receipt = venue.place(Side.BUY, 100, 1)
    matching = venue.market.matching.recorder
    eventually(lambda: (matching.max_tracking_id("Orders") or 0) >= receipt.position, 60)
    return time.monotonic() - start, receipt.order.id


def test_an_engine_that_stands_by_takes_over_when_the_other_is_killed(
    venue: Venue, parts: Parts
) -> None:
    everything = len(FOLLOWERS)
    at_work = parts.start("engine").wait_until_at_work(everything)
    took, placed = [], []
    with trading(venue) as trade:
        for _ in range(TAKEOVERS):
            standing_by = parts.start("engine").wait_until_started()
            trade.wait_for(50)
            assert (at_work.followers_at_work(), standing_by.followers_at_work()) == (everything, 0)
            at_work.kill()
            seconds, order_id = seconds_until_matched(venue)
            took.append(seconds)
            placed.append(order_id)
            at_work = standing_by.wait_until_at_work(everything)
        trade.wait_for(50)
    print(f"kill -9 to first new match: {', '.join(f'{seconds:.2f} s' for seconds in took)}")
    check_all(venue, [*trade.placed, *placed])


def test_engines_whose_locks_are_cut_change_places_and_do_nothing_twice(
    venue: Venue, caplog: pytest.LogCaptureFixture
) -> None:
    pair = [Engine(venue.env, batch_size=5) for _ in range(2)]
    with at_work(*pair):
        with trading(venue) as trade, venue.connect() as connection:
            for _ in range(4):
                trade.wait_for(60)
                eventually(lambda: connection.execute(CUT_THE_LOCKS).rowcount > 0, 60)
            trade.wait_for(60)
        check_all(venue, trade.placed)
    assert "Database unavailable" in caplog.text


@pytest.mark.parametrize(
    "names",
    [FOLLOWERS, *(pytest.param((name,), marks=pytest.mark.slow) for name in FOLLOWERS)],
    ids=str,
)
def test_followers_at_work_twice_do_nothing_twice(
    venue: Venue,
    names: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where the lock is of no use, positions that move by compare-and-set are enough."""
    monkeypatch.setattr(engines, "try_lock", lambda *_, **__: True)
    with caplog.at_level(logging.WARNING):
        pair = [Engine(venue.env, batch_size=5), Engine(venue.env, batch_size=5, names=names)]
        with at_work(*pair):  # neither fails
            with trading(venue) as trade:
                trade.wait_for(60)
                eventually(lambda: "conflict, deciding again" in caplog.text, 60)
                trade.wait_for(60)
            check_all(venue, trade.placed)
    contended = {r.follower for r in caplog.records if r.message == "conflict, deciding again"}  # type: ignore[attr-defined]
    assert contended
    assert contended <= set(names)


def test_an_engine_that_can_t_keep_watch_fails(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stand by for ever, and look alive."""

    def fail(*_: object, **__: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(engines, "try_lock", fail)
    engine = Engine(venue.env)
    with pytest.raises(ZeroDivisionError), at_work(engine):
        eventually(engine._stopping.is_set, 60)


@pytest.mark.parametrize(
    "killed",
    [
        "matching",
        pytest.param("orders", marks=pytest.mark.slow),
        pytest.param("views", marks=pytest.mark.slow),
    ],
)
def test_parts_of_the_engine_work_apart_and_each_may_be_killed(
    venue: Venue, parts: Parts, killed: str
) -> None:
    roles = {"matching": 1, "orders": 1, "views": 3}  # and how many followers each has
    running = {role: parts.start(role) for role in roles}
    for role, followers in roles.items():
        running[role].wait_until_at_work(followers)
    with trading(venue) as trade:
        trade.wait_for(40)
        running[killed].kill()
        trade.wait_for(40)
        running[killed] = parts.start(killed).wait_until_at_work(roles[killed])
        trade.wait_for(40)
    check_all(venue, trade.placed)
    for part in running.values():
        part.process.terminate()
        assert part.process.wait(60) == 0


def test_an_engine_whose_database_was_upgraded_meanwhile_ends_without_a_stack_trace(
    venue: Venue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(venue.env)
    engine.start()
    eventually(lambda: engine.is_at_work("Matching"), 60)
    with venue.connect() as connection:
        functions = connection.execute(
            "SELECT pg_get_functiondef(oid) AS text FROM pg_proc"
            " WHERE prosrc LIKE '%%' || %s || '%%'",
            [f"version IS DISTINCT FROM {SCHEMA_VERSION}"],
        ).fetchall()
        for function in functions:
            newer = function["text"].replace(f"FROM {SCHEMA_VERSION}", f"FROM {SCHEMA_VERSION + 1}")
            connection.execute(newer.encode(), prepare=False)
    statements = venue.market.orders.recorder._statements
    for name, text in statements.items():  # an API process of the newer release
        newer = text.replace(f"({SCHEMA_VERSION}, ", f"({SCHEMA_VERSION + 1}, ")
        monkeypatch.setitem(statements, name, newer)
    venue.buy(100, 1)
    with pytest.raises(SchemaOutdated):
        engine.join()
    assert [record.message for record in caplog.records if record.exc_info] == []
