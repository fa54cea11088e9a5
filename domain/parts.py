"""The bound of one event of a book: how many parts it holds at most.

Parts are trades, prevented trades, orders whose turn came, and departures. The rest is left
for later events, so that no command holds the engine for long, and no event is too large to
be sent.
"""

from collections.abc import Collection, Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


class Parts:
    """The number of parts that an event may still take; None: any number."""

    __slots__ = ("left", "most")

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.left = most

    @property
    def allow_a_turn(self) -> bool:
        """Test if an order can have its turn: that takes one part, and one for a trade."""
        return self.left is None or self.left > 1

    @property
    def for_trades(self) -> int | None:
        """Return the number of trades that an order may have whose turn it is."""
        return None if self.left is None else self.left - 1

    @property
    def is_whole(self) -> bool:
        """Test if nothing is taken yet."""
        return self.left == self.most

    def take(self, count: int) -> None:
        if self.left is not None:
            self.left -= count

    def split(self, some: Sequence[T]) -> tuple[tuple[T, ...], Sequence[T]]:
        """Those that fit into the event, which takes them, and those that do not."""
        count = len(some) if self.left is None else min(self.left, len(some))
        self.take(count)
        return tuple(some[:count]), some[count:]

    def first_of(self, some: Collection[T]) -> tuple[T, ...]:
        """The first ones, as many as fit into the event, which takes them."""
        count = len(some) if self.left is None else min(self.left, len(some))
        self.take(count)
        return tuple(islice(some, count))
