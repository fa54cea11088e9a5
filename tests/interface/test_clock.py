"""The clock asks once for what is due, and goes on whatever fails."""

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from eventsourcing.persistence import OperationalError

from application.orders import Orders
from interface import clock
from interface.clock import Clock
from tests.domain.support import START
from tests.integration.service import eventually


class Store:
    """Stands for both applications: what is due in it, and what was asked of it."""

    def __init__(self) -> None:
        self.recorder = self
        self.due: dict[str, datetime] = {}
        self.asked: list[list[str]] = []
        self.looks = 0
        self.faults: list[Exception] = []
        self.jumped = 0.0
        self.measured = 0

    def due_assets(self, _now: datetime) -> dict[str, datetime]:
        self.looks += 1
        if self.faults:
            raise self.faults.pop()
        return dict(self.due)

    def ask_all(self, requests: Sequence[Any]) -> None:
        self.asked.append([request.collect_events()[0].asset for request in requests])

    def events_of(self, _ids: object) -> list[str]:
        return ["the default limits are on record"]

    def ask_time(self, _recorder: object) -> float:
        self.measured += 1
        return time.time() + self.jumped

    def close(self) -> None:
        pass

    def wait_for_measurements(self, count: int) -> None:
        upto = self.measured + count
        eventually(lambda: self.measured >= upto, 30)

    def wait_for_looks(self, count: int) -> None:
        upto = self.looks + count
        eventually(lambda: self.looks >= upto, 10)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Of a clock that runs, and whose first attempt to begin has failed."""
    store = Store()
    away: list[Exception] = [OperationalError("PostgreSQL is away")]

    def build(_env: object, application: type) -> Store:
        if application is Orders and away:
            raise away.pop()
        return store

    monkeypatch.setattr(clock, "build_alone", build)
    monkeypatch.setattr(clock, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(clock, "_AFTER_FAULT_SECONDS", 0.01)
    stopping = threading.Event()
    running = Clock({}, stopping, lambda: True, store.ask_time)
    running.start()
    yield store
    stopping.set()
    running.join(10)
    assert not running.is_alive()


def test_all_that_is_due_is_asked_for_at_once_and_once(store: Store) -> None:
    store.due = {"BTC-USD": START, "ETH-USD": START}
    eventually(lambda: bool(store.asked), 10)
    store.wait_for_looks(5)
    assert store.asked == [["BTC-USD", "ETH-USD"]]


def test_what_becomes_due_later_is_asked_for_as_well(store: Store) -> None:
    store.due = {"BTC-USD": START}
    eventually(lambda: bool(store.asked), 10)
    store.due = {"BTC-USD": START + timedelta(seconds=1)}
    eventually(lambda: len(store.asked) == 2, 10)
    assert store.asked == [["BTC-USD"], ["BTC-USD"]]


def test_a_clock_outlives_whatever_fails(store: Store) -> None:
    store.faults = [OperationalError("PostgreSQL is away"), ValueError("anything")]
    eventually(lambda: not store.faults, 10)
    store.due = {"BTC-USD": START}
    eventually(lambda: bool(store.asked), 10)
    assert store.asked == [["BTC-USD"]]


def test_a_clock_asks_for_nothing_while_the_databases_clock_has_jumped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "MEASURE_SECONDS", 0.0)
    store.wait_for_measurements(2)
    store.jumped = 3 * 3600
    store.wait_for_measurements(2)
    looks = store.looks
    store.due = {"BTC-USD": START}
    store.wait_for_measurements(5)
    assert (store.looks, store.asked) == (looks, [])
    store.jumped = 0
    eventually(lambda: bool(store.asked), 30)
    assert store.asked == [["BTC-USD"]]
