"""PostgreSQL stands still, as a stopped process does: nobody waits for it, and nothing is lost."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import psutil
import pytest

from tests.http.support import Stopwatch, order, shown
from tests.integration.service import Service, ask, client, eventually, place, service

pytestmark = pytest.mark.timeout(300)

_FROZEN_SECONDS = 8  # so long that nobody who waits for the end is in time
_FREEZES = 5
_LIMIT_SECONDS = 5

Make = Callable[[], tuple[str, str, Any, dict[str, str]]]


@contextmanager
def frozen(running: Service) -> Iterator[None]:
    """The server and all its backends, those that come first as well."""
    [postmaster] = [p for p in running.named("postgres") if "-D" in p.cmdline()]
    postmaster.suspend()
    backends = postmaster.children(recursive=True)
    for backend in backends:
        backend.suspend()
    try:
        yield
    finally:
        for process in (*backends, postmaster):
            with suppress(psutil.NoSuchProcess):
                process.resume()


class Asked(NamedTuple):
    body: Any
    answer: httpx.Response
    seconds: float


class Asking(threading.Thread):
    """One client that asks again and again."""

    def __init__(self, running: Service, make: Make) -> None:
        super().__init__()
        self._running = running
        self._make = make
        self.ending = threading.Event()
        self.asked: list[Asked] = []

    def run(self) -> None:
        with client(self._running) as http, Stopwatch() as stopwatch:
            while not self.ending.is_set():
                method, path, body, headers = self._make()
                stopwatch.start()
                answer = http.request(method, path, json=body, headers=headers)
                self.asked.append(Asked(body, answer, stopwatch.seconds))


class Market:
    """Clients of every kind, at work on one service."""

    def __init__(self, running: Service) -> None:
        self._running = running
        with client(running) as http:
            path = place(http, order(asset="OTHER")).headers["Location"]
        paths = [path, f"{path}/events", "/orders", "/trades?limit=1", "/ready"]
        paths += ["/books/OTHER", "/books/OTHER?level=3"]
        makes = [new_order({})] * 10 + [new_order({"Prefer": "wait=30"})] * 4
        self._readers = [Asking(running, read(path)) for path in paths]
        self.clients = [*(Asking(running, make) for make in makes), *self._readers]

    @property
    def asked(self) -> list[Asked]:
        return [each for client in self.clients for each in client.asked]

    def start(self) -> None:
        for each in self.clients:
            each.start()
        self.goes_on()

    def stop(self) -> None:
        for each in self.clients:
            each.ending.set()
        for each in self.clients:
            each.join()

    def stop_reading(self) -> None:
        """Leave all connections to those that write."""
        for each in self._readers:
            each.ending.set()

    def goes_on(self) -> None:
        """Waits until every client that goes on has been given what it asks for."""
        clients = [each for each in self.clients if not each.ending.is_set()]
        done = [len(each.asked) for each in clients]

        def is_served() -> bool:
            return all(
                any(asked.answer.is_success for asked in each.asked[count:])
                for each, count in zip(clients, done, strict=True)
            )

        eventually(is_served, 60, self._running.output)


def new_order(headers: dict[str, str]) -> Make:
    return lambda: ("POST", "/orders", order(clientOrderId=uuid4().hex), headers)


def read(path: str) -> Make:
    return lambda: ("GET", path, None, {})


def is_unknown(asked: Asked) -> bool:
    return "The outcome is unknown" in asked.answer.text


def names_of_all_orders(http: httpx.Client) -> list[str]:
    query = "/orders?asset=BTC-USD&limit=1000"
    page = ask(http, "GET", query).json()
    names = [each["clientOrderId"] for each in page["orders"]]
    while page["nextCursor"] is not None:
        page = ask(http, "GET", f"{query}&cursor={page['nextCursor']}").json()
        names += [each["clientOrderId"] for each in page["orders"]]
    return names


def test_a_frozen_database_keeps_nobody_waiting_and_costs_nothing(short_dir):
    with service(short_dir, MAX_LAG_SECONDS="5", READ_WAIT_SECONDS="3") as running:
        market = Market(running)
        market.start()
        asked_meanwhile: list[Asked] = []
        for _ in range(_FREEZES):
            before = {id(each) for each in market.asked}
            with frozen(running):
                time.sleep(_FROZEN_SECONDS)
                asked_meanwhile += [each for each in market.asked if id(each) not in before]
            market.goes_on()
            if any(is_unknown(each) for each in market.asked):
                break
            market.stop_reading()  # reads had all connections, so that no commit was under way
        market.stop()
        assert {each.answer.status_code for each in market.asked} <= {200, 201, 503}
        refused = [each for each in market.asked if each.answer.status_code == 503]
        assert max(each.seconds for each in [*refused, *asked_meanwhile]) < _LIMIT_SECONDS
        assert any(is_unknown(each) for each in refused)
        with client(running) as http:
            # Whoever asks again finds the order placed once, whatever became of the first time.
            for each in refused:
                if each.body:
                    ask(http, "POST", "/orders", json=each.body).raise_for_status()
            last = place(http, order(asset="OTHER"))
            ask(http, "GET", last.headers["Location"], headers=shown(last)).raise_for_status()
            placed = [each.body["clientOrderId"] for each in market.asked if each.body]
            eventually(lambda: len(names_of_all_orders(http)) >= len(placed), 60)
            assert sorted(names_of_all_orders(http)) == sorted(placed)
        assert running.verify()["consistent"]
