"""Queues of orders by price: each level knows the next worse one, each order its neighbours.

So looking follows the priority, and an order leaves from wherever it stands; neither searches.
Only a level that appears or disappears away from the best must find its place among the
others.
"""

from collections.abc import Callable, Iterator
from typing import Generic, Self, TypeVar

from domain.ranks import Ranks


class Place:
    """The place of an order, which its ladder alone maintains."""

    __slots__ = ("ahead", "behind", "level")

    ahead: Self | None
    behind: Self | None
    level: "Level[Self]"


Standing = TypeVar("Standing", bound=Place)


class Level(Generic[Standing]):
    """The queue of orders at one price, the earliest at the front; never empty."""

    __slots__ = ("back", "front", "price", "rank", "worse")

    back: Standing
    worse: "Level[Standing] | None"

    def __init__(self, price: int, rank: int) -> None:
        self.price = price
        self.rank = rank
        self.front: Standing | None = None


class Ladder(Generic[Standing]):
    """Levels by price, and linked from the best on. None is empty.

    Ranks are prices turned so that a higher rank is always the better price (asks are
    negated): one code serves both directions. ``turn`` makes either of the other.
    """

    __slots__ = ("_ranks", "best", "levels", "turn")

    def __init__(self, turn: Callable[[int], int]) -> None:
        self.turn = turn
        self.levels: dict[int, Level[Standing]] = {}
        self.best: Level[Standing] | None = None
        self._ranks = Ranks()

    def __iter__(self) -> Iterator[Standing]:
        """The orders in priority. Don't change the ladder meanwhile."""
        level = self.best
        while level is not None:
            order = level.front
            while order is not None:
                yield order
                order = order.behind
            level = level.worse

    def append(self, price: int, order: Standing) -> None:
        """Put an order at the back of the queue at a price."""
        level = self.levels.get(price)
        if level is None:
            order.level = level = self._add(price)
            order.ahead = order.behind = None
            level.front = level.back = order
            return
        last = level.back
        order.level = level
        order.ahead = last
        order.behind = None
        last.behind = level.back = order

    def remove(self, order: Standing) -> None:
        """Take an order away, wherever it is."""
        level, ahead, behind = order.level, order.ahead, order.behind
        if ahead is None:
            if behind is None:
                self._drop(level)
            else:
                behind.ahead = None
                level.front = behind
        elif behind is None:
            ahead.behind = None
            level.back = ahead
        else:
            ahead.behind = behind
            behind.ahead = ahead

    def requeue(self, order: Standing) -> None:
        """Put an order at the back of its queue."""
        if order.behind is not None:  # or it is there
            self.remove(order)
            self.append(order.level.price, order)

    def _add(self, price: int) -> Level[Standing]:
        rank = self.turn(price)
        level: Level[Standing] = Level(price, rank)
        self.levels[price] = level
        above = self._ranks.add(rank)
        if above is None:
            level.worse = self.best
            self.best = level
        else:
            better = self.levels[self.turn(above)]
            level.worse = better.worse
            better.worse = level
        return level

    def _drop(self, level: Level[Standing]) -> None:
        del self.levels[level.price]
        above = self._ranks.remove(level.rank)
        if above is None:
            self.best = level.worse
        else:
            self.levels[self.turn(above)].worse = level.worse
