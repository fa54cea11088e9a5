"""Clients that place and cancel orders all the time, and remember what they were told.

Each order has a user of its own, so that whatever became of a request can be looked up
afterwards, whether it was answered or not.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

import httpx
import psycopg
from psycopg.rows import dict_row

ASSETS = ("BTC-USD", "ETH-USD", "SOL-USD")
TERMINAL = ("FILLED", "CANCELLED", "REJECTED", "EXPIRED")
NO_ANSWER = 0
REFUSALS = (409,)  # a cancel of an order that is filled already

_PATIENCE_SECONDS = 0.05


@dataclass
class Told:
    """What a client was told about one order, by its user's name."""

    placed: dict[str, str] = field(default_factory=dict)  # -> orderId: 201, or 200 when asked again
    unknown: set[str] = field(default_factory=set)  # no answer, or one that says that much
    refused: set[str] = field(default_factory=set)  # told that nothing was changed
    cancelled: set[str] = field(default_factory=set)  # orderIds whose cancel was taken
    faults: list[str] = field(default_factory=list)  # answers that must never be given
    statuses: Counter[int] = field(default_factory=Counter)


class Load:
    """``clients`` threads, from __enter__ to __exit__."""

    def __init__(
        self,
        url: str,
        clients: int = 6,
        seed: int | None = None,
        assets: Sequence[str] = ASSETS,
    ) -> None:
        self._url = url
        self._assets = assets
        self._run = uuid4().hex[:8]
        self._seed = seed
        self._stopping = threading.Event()
        self.told = [Told() for _ in range(clients)]
        self._threads = [
            threading.Thread(target=self._trade, args=(number, told))
            for number, told in enumerate(self.told)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def acknowledged(self) -> int:
        return sum(len(told.placed) for told in self.told)

    def wait_for(self, count: int, seconds: float = 60) -> None:
        """Until so many more orders have been acknowledged."""
        goal = self.acknowledged + count
        deadline = time.monotonic() + seconds
        while self.acknowledged < goal:
            assert time.monotonic() < deadline, self.summary()
            time.sleep(0.02)

    def statuses(self) -> Counter[int]:
        """How often each status was answered; NO_ANSWER stands for none."""
        return sum((told.statuses for told in self.told), Counter[int]())

    def summary(self) -> str:
        unknown = sum(len(told.unknown) for told in self.told)
        return (
            f"{self.acknowledged} orders acknowledged, {unknown} unknown, {dict(self.statuses())}"
        )

    def _trade(self, number: int, told: Told) -> None:
        chance = random.Random(f"{self._seed}/{number}")
        turn = 0
        with httpx.Client(base_url=self._url, timeout=20, trust_env=False) as http:
            while not self._stopping.is_set():
                turn += 1
                name = f"u-{self._run}-{number}-{turn}"
                act = chance.random()
                if act < 0.35:
                    self._place(http, told, chance, name)
                elif act < 0.6:
                    self._place_until_told(http, told, chance, name)
                elif act < 0.75:
                    self._place_batch(http, told, chance, name)
                elif told.placed:
                    recent = list(told.placed.values())[-20:]
                    self._cancel(http, told, chance.choice(recent))

    def _place(self, http: httpx.Client, told: Told, chance: random.Random, name: str) -> None:
        answer = self._send(http, told, "POST", "/orders", self._order(chance, name))
        _note(told, name, answer)

    def _place_until_told(
        self, http: httpx.Client, told: Told, chance: random.Random, name: str
    ) -> None:
        """With a clientOrderId: asked again until there is a word that stands."""
        order = {**self._order(chance, name), "clientOrderId": name}
        while name not in told.placed and not told.faults:
            answer = self._send(http, told, "POST", "/orders", order)
            _note(told, name, answer)
            if self._stopping.is_set() and answer is None:
                return

    def _place_batch(
        self, http: httpx.Client, told: Told, chance: random.Random, name: str
    ) -> None:
        orders = [self._order(chance, f"{name}-{entry}") for entry in range(chance.randint(2, 8))]
        answer = self._send(http, told, "POST", "/orders/batch", {"orders": orders})
        if answer is None or answer.status_code != 200:
            for order in orders:
                _note(told, order["userId"], answer)
            return
        for order, result in zip(orders, answer.json()["results"], strict=True):
            if result["status"] == 201:
                told.placed[order["userId"]] = result["order"]["orderId"]
            else:
                told.faults.append(f"{order} -> {result}")

    def _cancel(self, http: httpx.Client, told: Told, order_id: str) -> None:
        answer = self._send(http, told, "DELETE", f"/orders/{order_id}", None)
        if answer is not None and answer.status_code in (200, 202):
            told.cancelled.add(order_id)
        elif answer is not None and answer.status_code not in (*REFUSALS, 503):
            told.faults.append(f"cancel of {order_id}: {answer.status_code} {answer.text}")

    def _order(self, chance: random.Random, name: str) -> dict[str, Any]:
        return {
            "userId": name,
            "asset": chance.choice(self._assets),
            "type": chance.choice(["BUY", "SELL"]),
            "price": chance.randint(98, 102),
            "quantity": chance.randint(1, 9),
        }

    def _send(
        self, http: httpx.Client, told: Told, method: str, path: str, body: Any
    ) -> httpx.Response | None:
        try:
            answer = http.request(method, path, json=body)
        except httpx.TransportError:
            told.statuses[NO_ANSWER] += 1
            time.sleep(_PATIENCE_SECONDS)
            return None
        told.statuses[answer.status_code] += 1
        if answer.status_code == 503:
            if "Retry-After" not in answer.headers:
                told.faults.append(f"503 without Retry-After: {answer.text}")
            time.sleep(_PATIENCE_SECONDS)  # and not the second it asks for: tests are impatient
        return answer


def _note(told: Told, name: str, answer: httpx.Response | None) -> None:
    """Remembers what an answer to placing an order says of it."""
    if answer is None:
        told.unknown.add(name)
    elif answer.status_code in (200, 201):
        told.placed[name] = answer.json()["orderId"]
    elif answer.status_code != 503:
        told.faults.append(f"{name}: {answer.status_code} {answer.text}")
    elif "unknown" in answer.text:
        told.unknown.add(name)
    else:
        told.refused.add(name)


def check(load: Load, database_url: str) -> None:
    """Compares what clients were told with what the order view shows in the end.

    Nothing acknowledged is lost, nothing is there twice, nothing is there that a client was
    told is not, and everything is decided.
    """
    rows = _orders(database_url)
    by_user: dict[str, list[str]] = {}
    for row in rows:
        by_user.setdefault(row["user_id"], []).append(str(row["order_id"]))
    status = {str(row["order_id"]): row["status"] for row in rows}
    assert "PENDING" not in status.values()
    for told in load.told:
        assert told.faults == []
        for name, order_id in told.placed.items():
            assert by_user.get(name) == [order_id], name
        for name in told.unknown - told.placed.keys():
            assert len(by_user.get(name, [])) <= 1, name
        for name in told.refused - told.unknown - told.placed.keys():
            assert name not in by_user, f"{name} was told that nothing was changed"
        for order_id in told.cancelled:
            assert status[order_id] in TERMINAL, order_id
    known = {name for told in load.told for name in (*told.placed, *told.unknown)}
    of_this_run = {name for name in by_user if name.startswith(f"u-{load._run}-")}
    assert of_this_run <= known


def unanswered(load: Load, database_url: str) -> list[str]:
    """Whose orders are stored though they were not told so."""
    stored = {row["user_id"] for row in _orders(database_url)}
    return [name for told in load.told for name in sorted(told.unknown & stored - set(told.placed))]


def _orders(database_url: str) -> list[dict[str, Any]]:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        return connection.execute(
            "SELECT order_id, user_id, status FROM order_view.orders"
        ).fetchall()
