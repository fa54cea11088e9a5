"""The limit order book: a pure price-time structure, no event sourcing in it.

Looking (``match``, ``walk``) and changing (``rest``, ``fill``, ``remove``, ``reduce``) are
apart, so that whoever decides can look first, record the facts, and change the book by
applying them. Prices and quantities are integers; the book gives them no meaning.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from domain.values import Side


class RestingOrder:
    """An order in the book: ``remaining`` of ``quantity`` is still to be traded."""

    __slots__ = ("order_id", "price", "quantity", "remaining", "side", "user_id")

    def __init__(  # noqa: PLR0913, PLR0917 - these are what an order in a book is
        self, order_id: UUID, user_id: str, side: Side, price: int, quantity: int, remaining: int
    ) -> None:
        self.order_id = order_id
        self.user_id = user_id
        self.side = side
        self.price = price
        self.quantity = quantity
        self.remaining = remaining

    @property
    def filled(self) -> int:
        return self.quantity - self.remaining


class Match(NamedTuple):
    """A quantity of a resting order that an arriving one would trade with."""

    maker: RestingOrder
    quantity: int


class _Ladder:
    """One side of the book: a queue of orders at each price, the best price last.

    Ranks are prices turned so that a higher rank is always the better price (asks are
    negated): one code serves both sides, and both ends that change most, the best prices,
    are the cheap end of the sorted list.
    """

    __slots__ = ("queues", "ranks", "sign")

    def __init__(self, side: Side) -> None:
        self.sign = 1 if side is Side.BUY else -1
        self.ranks: list[int] = []
        # OrderedDict, not dict: taking from the front of a dict again and again scans
        # over the holes left by those taken before.
        self.queues: dict[int, OrderedDict[UUID, RestingOrder]] = {}

    def add(self, order: RestingOrder) -> None:
        rank = self.sign * order.price
        queue = self.queues.get(rank)
        if queue is None:
            queue = self.queues[rank] = OrderedDict()
            insort(self.ranks, rank)
        queue[order.order_id] = order

    def remove(self, order: RestingOrder) -> None:
        rank = self.sign * order.price
        queue = self.queues[rank]
        del queue[order.order_id]
        if not queue:
            del self.queues[rank]
            del self.ranks[bisect_left(self.ranks, rank)]

    def walk(self, limit: int | None = None) -> Iterator[RestingOrder]:
        """Orders in priority order: best price first, earliest first, down to ``limit``."""
        for rank in reversed(self.ranks):
            if limit is not None and rank < self.sign * limit:
                return
            yield from self.queues[rank].values()


class Book:
    """The resting orders of one asset, in strict price-time priority."""

    def __init__(self) -> None:
        self.orders: dict[UUID, RestingOrder] = {}
        self._ladders = {side: _Ladder(side) for side in Side}

    def walk(self, side: Side) -> Iterator[RestingOrder]:
        """The resting orders of a side in priority order. Don't change the book meanwhile."""
        return self._ladders[side].walk()

    def match(self, side: Side, limit: int, quantity: int) -> list[Match]:
        """What an order arriving on ``side`` would trade with, first to last; changes nothing."""
        matches = []
        for maker in self._ladders[side.opposite].walk(limit):
            taken = min(maker.remaining, quantity)
            matches.append(Match(maker, taken))
            quantity -= taken
            if quantity == 0:
                break
        return matches

    def rest(self, order: RestingOrder) -> None:
        """Puts an order at the back of the queue at its price."""
        self.orders[order.order_id] = order
        self._ladders[order.side].add(order)

    def fill(self, order_id: UUID, quantity: int) -> None:
        """Takes a traded quantity off an order, which keeps its place until nothing is left."""
        order = self.orders[order_id]
        order.remaining -= quantity
        if order.remaining == 0:
            self.remove(order_id)

    def remove(self, order_id: UUID) -> None:
        """Takes an order out of the book, wherever it stands."""
        order = self.orders.pop(order_id)
        self._ladders[order.side].remove(order)

    def reduce(self, order_id: UUID, quantity: int) -> None:
        """Gives an order a smaller total quantity; it keeps its place."""
        order = self.orders[order_id]
        order.remaining -= order.quantity - quantity
        order.quantity = quantity
