"""The orders that wait for a price. Nobody sees them; a trade triggers them.

A stop bought back waits for the price to rise, one that sells for it to fall, and those that
take profit the other way round (Kraken, "Stop loss and take profit orders"; Binance, "STOP_LOSS
and TAKE_PROFIT"). Each direction is a ladder by trigger, the nearest first; at one trigger the
earliest comes first.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from operator import neg, pos
from typing import Final
from uuid import UUID

from domain.book import OrdersById, RestingOrder
from domain.ladder import Ladder
from domain.values import Conditions, Side

_BUY: Final = Side.BUY


class Stops:
    """The waiting orders of one asset, which have conditions with a ``stop_price``."""

    def __init__(self) -> None:
        self._orders: dict[int, RestingOrder] = {}
        self._counts: Counter[str] = Counter()  # by user
        self._rising: Ladder[RestingOrder] = Ladder(neg)  # the lowest trigger first
        self._falling: Ladder[RestingOrder] = Ladder(pos)
        self.orders: Mapping[UUID, RestingOrder] = OrdersById(self._orders)

    def __iter__(self) -> Iterator[RestingOrder]:
        """In the order in which prices would trigger them: first rising, then falling."""
        yield from self._rising
        yield from self._falling

    def count_of(self, user_id: str) -> int:
        """Count the waiting orders of a user."""
        return self._counts[user_id]

    def wait(self, order: RestingOrder) -> None:
        """Put an order at the back of the queue at its trigger."""
        self._orders[order.order_id.int] = order
        self._counts[order.user_id] += 1
        self._ladder(order).append(_trigger(order), order)

    def remove(self, order_id: UUID) -> RestingOrder:
        order = self._orders.pop(order_id.int)
        self._ladder(order).remove(order)
        self._counts[order.user_id] -= 1
        if self._counts[order.user_id] == 0:
            del self._counts[order.user_id]
        return order

    def amend(
        self, order_id: UUID, price: int | None, quantity: int, conditions: Conditions
    ) -> None:
        """Change an order that keeps its place, and its trigger."""
        order = self._orders[order_id.int]
        order.price = price
        order.quantity = order.remaining = quantity
        order.conditions = conditions

    def reached_by(self, price: int) -> list[RestingOrder]:
        """Those that a trade at this price triggers, in their order; they go on waiting."""
        return [*_up_to(self._rising, -price), *_up_to(self._falling, price)]

    def _ladder(self, order: RestingOrder) -> Ladder[RestingOrder]:
        return self._rising if is_rising(order.side, order.conditions) else self._falling


def is_rising(side: Side, conditions: Conditions | None) -> bool:
    """Test if it waits for the price to rise to its trigger."""
    return (side is _BUY) != (conditions is not None and conditions.take_profit)


def is_through(side: Side, conditions: Conditions, price: int | None) -> bool:
    """Test if a last trade at ``price`` is at the trigger, or past it."""
    stop_price = conditions.stop_price
    if price is None or stop_price is None:
        return False
    return price >= stop_price if is_rising(side, conditions) else price <= stop_price


def _trigger(order: RestingOrder) -> int:
    return order.conditions.stop_price  # type: ignore[union-attr, return-value]  # see Stops


def _up_to(ladder: Ladder[RestingOrder], worst: int) -> Iterator[RestingOrder]:
    level = ladder.best
    while level is not None and level.rank >= worst:
        order = level.front
        while order is not None:
            yield order
            order = order.behind
        level = level.worse
