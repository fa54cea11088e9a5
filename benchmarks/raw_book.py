"""Matching of the raw pipeline: plain lists and dictionaries, and what a decision leaves."""

from bisect import insort
from collections import deque
from datetime import datetime
from typing import NamedTuple

from benchmarks.raw_events import Fill, OrderFill, Placed


class Order:
    """One that is live; only its book changes it."""

    __slots__ = ("filled", "id", "notional", "placed", "position", "remaining", "text", "version")

    def __init__(self, position: int, order_id: bytes, text: str, placed: Placed) -> None:
        self.position = position
        self.id = order_id
        self.text = text
        self.placed = placed
        self.remaining = placed.quantity
        self.version = 1
        self.filled = 0
        self.notional = 0


class Change(NamedTuple):
    """An order as a decision left it, with its fills in that decision."""

    order: Order
    version: int
    status: str
    filled: int
    notional: int
    remaining: int
    fills: list[OrderFill]


class Decision(NamedTuple):
    """Of the book at its version; the changes are the taker's, then one for each fill."""

    version: int
    time: datetime
    fills: list[Fill]
    changes: list[Change]


class _Side:
    """The queues of one side; a higher rank is a better price."""

    __slots__ = ("queues", "ranks", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.ranks: list[int] = []
        self.queues: dict[int, deque[Order]] = {}


class Book:
    def __init__(self, time: datetime) -> None:
        self.version = 0
        self._time = time
        self._trades = 0
        bids, asks = _Side(1), _Side(-1)
        self._own_and_other = {"BUY": (bids, asks), "SELL": (asks, bids)}

    def place(self, order: Order) -> Decision:
        """Match an order; its rest stays."""
        placed = order.placed
        price, side = placed.price, placed.side
        own, other = self._own_and_other[side]
        fills: list[Fill] = []
        taken: list[OrderFill] = []
        makers: list[Change] = []
        ranks = other.ranks
        worst = other.sign * price
        remaining = order.remaining
        while remaining and ranks and ranks[-1] >= worst:
            queue = other.queues[ranks[-1]]
            maker = queue[0]
            quantity = min(remaining, maker.remaining)
            remaining -= quantity
            self._trades += 1
            at = maker.placed.price
            maker.version += 1
            maker.remaining -= quantity
            maker.filled += quantity
            maker.notional += at * quantity
            order.notional += at * quantity
            fills.append(
                Fill(self._trades, maker.text, maker.placed.user_id, at, quantity, maker.remaining)
            )
            taken.append(OrderFill(self._trades, at, quantity, "TAKER"))
            status = "PARTIALLY_FILLED" if maker.remaining else "FILLED"
            given = [OrderFill(self._trades, at, quantity, "MAKER")]
            makers.append(_change(maker, status, given))
            if not maker.remaining:
                queue.popleft()
                if not queue:
                    del other.queues[ranks.pop()]
        order.filled = order.remaining - remaining
        order.remaining = remaining
        order.version = 2
        if remaining:
            rank = own.sign * price
            resting = own.queues.get(rank)
            if resting is None:
                resting = own.queues[rank] = deque()
                insort(own.ranks, rank)
            resting.append(order)
        self.version += 1
        self._time = max(self._time, placed.timestamp)
        status = "OPEN" if not fills else "PARTIALLY_FILLED" if remaining else "FILLED"
        return Decision(self.version, self._time, fills, [_change(order, status, taken), *makers])


def _change(order: Order, status: str, fills: list[OrderFill]) -> Change:
    return Change(
        order, order.version, status, order.filled, order.notional, order.remaining, fills
    )
