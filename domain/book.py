"""The limit order book: a pure price-time structure, no event sourcing in it.

Looking (``match``, ``walk``) and changing (``rest``, ``fill``, ``remove``, ``reduce``) are
apart, so that whoever decides can look first, record the facts, and change the book by
applying them. Prices and quantities are integers; the book gives them no meaning.

Each side is a ladder of price levels, of which each knows the next worse one; each level is
a queue of orders, of which each knows the one ahead and the one behind. So looking follows
the priority, and an order leaves from wherever it stands; neither searches. Only a level that
appears or disappears away from the best must find its place among the others.
"""

from collections.abc import Callable, Iterator, Mapping
from operator import neg, pos
from typing import Final, Self
from uuid import UUID

from domain.ranks import Ranks
from domain.values import Side

_BUY: Final = Side.BUY  # a name of its own: on Python 3.11, Side.BUY takes 0.1 us to look up


class _Place:
    """Where an order stands in the book, which alone looks after it."""

    __slots__ = ("ahead", "behind", "level")

    ahead: Self | None
    behind: Self | None
    level: "_Level"


class RestingOrder(_Place):
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


# A resting order, and how much of it an arriving one would trade with.
Match = tuple[RestingOrder, int]


class _Level:
    """The queue of orders at one price, the earliest at the front."""

    __slots__ = ("back", "front", "rank", "worse")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.front: RestingOrder | None = None
        self.back: RestingOrder | None = None
        self.worse: _Level | None = None

    def append(self, order: RestingOrder) -> None:
        last = self.back
        order.level = self
        order.ahead = last
        order.behind = None
        if last is None:
            self.front = order
        else:
            last.behind = order
        self.back = order

    def remove(self, order: RestingOrder) -> None:
        ahead, behind = order.ahead, order.behind
        if ahead is None:
            self.front = behind
        else:
            ahead.behind = behind
        if behind is None:
            self.back = ahead
        else:
            behind.ahead = ahead


class _Ladder:
    """One side of the book: its levels by price, and linked from the best on. None is empty.

    Ranks are prices turned so that a higher rank is always the better price (asks are
    negated): one code serves both sides. ``turn`` makes either of the other.
    """

    __slots__ = ("_ranks", "best", "levels", "turn")

    def __init__(self, turn: Callable[[int], int]) -> None:
        self.turn = turn
        self.levels: dict[int, _Level] = {}
        self.best: _Level | None = None
        self._ranks = Ranks()

    def add(self, price: int) -> _Level:
        """A new level, for an order to stand at."""
        rank = self.turn(price)
        level = self.levels[price] = _Level(rank)
        above = self._ranks.add(rank)
        if above is None:
            level.worse = self.best
            self.best = level
        else:
            better = self.levels[self.turn(above)]
            level.worse = better.worse
            better.worse = level
        return level

    def remove(self, level: _Level) -> None:
        """Takes away a level that the last order has left."""
        del self.levels[self.turn(level.rank)]
        above = self._ranks.remove(level.rank)
        if above is None:
            self.best = level.worse
        else:
            self.levels[self.turn(above)].worse = level.worse


class _ById(Mapping[UUID, RestingOrder]):
    """Orders by their ids, kept by the ids' integers: a UUID hashes and compares in Python."""

    __slots__ = ("_orders",)

    def __init__(self, orders: dict[int, RestingOrder]) -> None:
        self._orders = orders

    def __getitem__(self, order_id: UUID) -> RestingOrder:
        return self._orders[order_id.int]

    def __iter__(self) -> Iterator[UUID]:
        return (order.order_id for order in self._orders.values())

    def __len__(self) -> int:
        return len(self._orders)


class Book:
    """The resting orders of one asset, in strict price-time priority."""

    def __init__(self) -> None:
        self._orders: dict[int, RestingOrder] = {}
        self._bids = _Ladder(pos)
        self._asks = _Ladder(neg)
        self.orders: Mapping[UUID, RestingOrder] = _ById(self._orders)

    def walk(self, side: Side) -> Iterator[RestingOrder]:
        """The resting orders of a side in priority order. Don't change the book meanwhile."""
        level = self._ladder(side).best
        while level is not None:
            order = level.front
            while order is not None:
                yield order
                order = order.behind
            level = level.worse

    def match(self, side: Side, limit: int, quantity: int) -> list[Match]:
        """What an order arriving on ``side`` would trade with, first to last; changes nothing."""
        matches: list[Match] = []
        ladder = self._asks if side is _BUY else self._bids
        worst = ladder.turn(limit)
        level = ladder.best
        while level is not None and level.rank >= worst:
            maker = level.front
            while maker is not None:
                if maker.remaining >= quantity:
                    matches.append((maker, quantity))
                    return matches
                matches.append((maker, maker.remaining))
                quantity -= maker.remaining
                maker = maker.behind
            level = level.worse
        return matches

    def rest(self, order: RestingOrder) -> None:
        """Puts an order at the back of the queue at its price."""
        self._orders[order.order_id.int] = order
        ladder = self._bids if order.side is _BUY else self._asks
        level = ladder.levels.get(order.price) or ladder.add(order.price)
        level.append(order)

    def fill(self, order_id: UUID, quantity: int) -> None:
        """Takes a traded quantity off an order, which keeps its place until nothing is left."""
        order = self._orders[order_id.int]
        order.remaining -= quantity
        if order.remaining == 0:
            self.remove(order_id)

    def remove(self, order_id: UUID) -> None:
        """Takes an order out of the book, wherever it stands."""
        order = self._orders.pop(order_id.int)
        level = order.level
        level.remove(order)
        if level.front is None:
            self._ladder(order.side).remove(level)

    def reduce(self, order_id: UUID, quantity: int) -> None:
        """Gives an order a smaller total quantity; it keeps its place."""
        order = self._orders[order_id.int]
        order.remaining -= order.quantity - quantity
        order.quantity = quantity

    def _ladder(self, side: Side) -> _Ladder:
        return self._bids if side is _BUY else self._asks
