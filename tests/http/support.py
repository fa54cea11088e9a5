"""Words for tests of the HTTP API."""

import json
import threading
import time
import uuid
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from typing import Any, Final, Self

from application.orders import Orders
from application.persistence.database_clock import DatabaseClock
from interface.http import create_app
from interface.http.limits import Limits
from interface.http.worker import Worker
from interface.listening import Bell
from system import Market
from tests.loops import call, running_loop

# Flask's test client and its response. What their JSON is, each test says.
Client = Any
Response = Any

# A machine that tests keep busy stands still for seconds: as long as may be, and as a rule nobody
# waits for more than a moment. A test of a limit says it itself.
WAIT = {"Prefer": "wait=30"}
_PATIENT: Final = Limits(max_lag_seconds=3600, read_wait_seconds=30)


class ClockAt(DatabaseClock):
    """It is whatever time a test says."""

    def __init__(self, time: Callable[[], datetime]) -> None:
        super().__init__(lambda: time().timestamp(), 1)
        self._time = time

    def now(self) -> datetime:
        return self._time()

    def fault(self) -> None:
        return None


class Service:
    """A market and its HTTP API."""

    def __init__(self, market: Market, env: dict[str, str], loop: AbstractEventLoop) -> None:
        self.market = market
        self.env = env
        self.loop = loop
        self.worker = Worker(market, Bell(env, market), DatabaseClock.of(market.orders), 16)
        self.client = self.client_with()

    def client_with(self, **limits: Any) -> Client:
        """A client of an application with limits of its own, perhaps at a ``clock``'s time."""
        time = limits.pop("clock", None)
        clock = self._clock() if time is None else ClockAt(time)
        return self.client_by(clock, **limits)

    def _clock(self) -> DatabaseClock:
        """A clock that knows the time: on a busy machine some round trips are too long for it."""
        clock = DatabaseClock.of(self.market.orders)
        while clock.fault() is not None:
            clock.measure()
        return clock

    def client_by(self, clock: DatabaseClock, **limits: Any) -> Client:
        """A client of an application that has its time from this clock."""
        given = {name: limits.pop(name) for name in Limits._fields if name in limits}
        worker = copy(self.worker)
        worker.clock = clock
        app = create_app(worker, self.loop, _PATIENT._replace(**given), **limits)
        return app.test_client()

    def another_client(self) -> Client:
        """A client for another thread."""
        return self.client.application.test_client()

    def match(self) -> None:
        """Has matching decide what waits; nobody else has heard of it then."""
        while self.market.matching.process_batch(Orders.name):
            pass

    def follow(self) -> None:
        """Has every follower take what waits, until nothing does."""
        while any(follower.process_batch(*follower.readers) for follower in self.market):
            pass

    def count_events(self) -> int:
        return self.market.orders.recorder.max_notification_id() or 0

    def until_recorded(self, events: int) -> None:
        """Waits until so many events are in the log of orders."""
        wait_for(lambda: self.count_events() == events)

    def until_wait(self, requests: int) -> None:
        """Waits until so many requests wait for the market."""
        wait_for(lambda: len(self.worker.bell._waiting) == requests)


@contextmanager
def serving(market: Market, env: dict[str, str]) -> Iterator[Service]:
    """The API of a market, on a loop that runs in a thread."""
    with running_loop() as loop:
        service = Service(market, env, loop)
        loop.call_soon_threadsafe(service.worker.start, loop)
        try:
            yield service
        finally:
            call(loop, service.worker.stop())


class Stopwatch:
    """How long this process was at something: while the machine stands still no time passes."""

    _TICK: Final = 0.02

    def __init__(self) -> None:
        self._ticks = 0
        self._started = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stopwatch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def start(self) -> None:
        """Begins anew."""
        self._started = self._ticks

    @property
    def seconds(self) -> float:
        return (self._ticks - self._started) * self._TICK

    def _run(self) -> None:
        while not self._ending.wait(self._TICK):
            self._ticks += 1


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def new_asset() -> str:
    return f"T-{uuid.uuid4().hex[:12]}"


def order(**fields: Any) -> dict[str, Any]:
    """A good order; a field that is None is left out."""
    fields = {
        "userId": "user123",
        "asset": "BTC-USD",
        "type": "BUY",
        "price": 100,
        "quantity": 1,
        **fields,
    }
    return {name: value for name, value in fields.items() if value is not None}


def shown(response: Response) -> dict[str, str]:
    """The headers of a read that shows all that a write caused."""
    return {"Position": response.headers["Position"]}


def exact(response: Response) -> Any:
    """The JSON of a response; its numbers as the texts they are written as."""
    return json.loads(response.data, parse_int=str, parse_float=str)


class Trading:
    """An asset that nobody else trades. Each answer comes once the market has had its say."""

    def __init__(self, service: Service, client: Client = None) -> None:
        self.client: Client = client or service.client
        self.asset = new_asset()
        self._position: dict[str, str] = {}

    def buy(self, price: object, quantity: object = 1, **fields: Any) -> dict[str, Any]:
        return self.place(type="BUY", price=price, quantity=quantity, **fields)

    def sell(self, price: object, quantity: object = 1, **fields: Any) -> dict[str, Any]:
        return self.place(type="SELL", price=price, quantity=quantity, **fields)

    def place(self, **fields: Any) -> dict[str, Any]:
        """The order as its own command left it."""
        return self.ask("POST", "/orders", order(**{"asset": self.asset, **fields}), 201)

    def cancel(self, order: dict[str, Any], status: int = 200) -> dict[str, Any]:
        return self.ask("DELETE", path(order), None, status)

    def amend(self, order: dict[str, Any], status: int = 200, **changes: Any) -> dict[str, Any]:
        return self.ask("PATCH", path(order), changes, status)

    def rule(self, **rules: Any) -> dict[str, Any]:
        return self.ask("PUT", f"/instruments/{self.asset}", rules, 200)

    def ask(self, method: str, path: str, body: object, status: int) -> dict[str, Any]:
        answer = self.client.open(path, method=method, json=body, headers=WAIT)
        assert answer.status_code == status, answer.text
        assert answer.headers["Preference-Applied"] == "wait"
        self._position = shown(answer)
        json: dict[str, Any] = answer.json
        return json

    def now(self, order: dict[str, Any]) -> dict[str, Any]:
        """The order as all that was asked has left it."""
        return self.read(path(order))

    def trail(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.read(f"{path(order)}/events")["events"]
        return events

    def trades(self) -> list[tuple[Any, ...]]:
        """Price and quantity of each, the first first."""
        trades = self.read(f"/trades?asset={self.asset}")["trades"]
        return [(trade["price"], trade["quantity"]) for trade in reversed(trades)]

    def book(self) -> dict[str, Any]:
        return self.read(f"/books/{self.asset}")

    def queue(self, side: str) -> list[tuple[str, Any, Any]]:
        """Of each order on a side: its id, its price, and what it shows."""
        orders = self.read(f"/books/{self.asset}?level=3")[side]
        return [(each["orderId"], each["price"], each["quantity"]) for each in orders]

    def read(self, path: str) -> dict[str, Any]:
        """What there is to see once it shows all that was asked."""
        read = self.client.get(path, headers=self._position)
        assert read.status_code == 200, read.text
        json: dict[str, Any] = read.json
        return json


def path(order: dict[str, Any]) -> str:
    return f"/orders/{order['orderId']}"


def only(events: list[dict[str, Any]], type_: str) -> dict[str, Any]:
    """The one event of this type.

    Which place it has is left open: a request may be recorded before what was decided earlier.
    """
    [event] = [each for each in events if each["type"] == type_]
    return event


def outcome(order: dict[str, Any]) -> tuple[Any, ...]:
    """What became of an order: its status, what has traded, and the reason."""
    return order["status"], order["filledQuantity"], order["reason"]
