"""The core of the market in memory, on the library's single-threaded runner."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.system import SingleThreadedRunner, System

from application.matching import Matching
from application.orders import Orders, Placement, Receipt, Reply
from domain.order import Order
from domain.values import Side, Terms, TimeInForce

START = datetime(2024, 2, 9, 12, tzinfo=UTC)


@dataclass
class Core:
    """Orders and Matching, and short ways to use them; each command comes 1 s after the last."""

    orders: Orders
    matching: Matching
    now: datetime = field(default=START)

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def place(self, side: Side, price: int, quantity: int, **terms: Any) -> UUID:
        return self.receive(side, price, quantity, **terms).order.id

    def receive(self, side: Side, price: int, quantity: int, **terms: Any) -> Receipt:
        terms = {"user_id": "user", "asset": "BTC-USD", **terms}
        placed = Placement(uuid4(), Terms(side=side, price=price, quantity=quantity, **terms))
        return self.orders.place(placed, self.tick())

    def buy(self, price: int, quantity: int, **terms: Any) -> UUID:
        return self.place(Side.BUY, price, quantity, **terms)

    def sell(self, price: int, quantity: int, **terms: Any) -> UUID:
        return self.place(Side.SELL, price, quantity, **terms)

    def sell_at_once(self, price: int, quantity: int) -> UUID:
        return self.sell(price, quantity, time_in_force=TimeInForce.IOC)

    def reply(self, receipt: Receipt, request_id: UUID | None) -> Reply:
        """To a command that has been decided meanwhile; the receipt is from before."""
        return self.orders.reply_to(receipt.order, request_id, since=0, upto=10_000)

    def order(self, order_id: UUID) -> Order:
        return self.orders.get(order_id)

    def log_of_orders(self) -> list[str]:
        return [n.topic for n in self.orders.recorder.select_notifications(1, 10_000)]

    def log_of_matching(self) -> list[str]:
        return [n.topic for n in self.matching.recorder.select_notifications(1, 10_000)]


@pytest.fixture
def core() -> Iterator[Core]:
    with SingleThreadedRunner[UUID](System([[Orders, Matching, Orders]])) as runner:
        yield Core(runner.get(Orders), runner.get(Matching))
