"""The limit order book: a pure price-time structure, no event sourcing in it.

Looking (``walk``, ``levels``) and changing (``rest``, ``fill``, ``remove``, ``amend``) are
apart, so that whoever decides can look first. Prices and quantities are integers; the book
gives them no meaning.
"""

from collections.abc import Iterator, Mapping
from operator import neg, pos
from typing import Any, Final
from uuid import UUID

from domain.ladder import Ladder, Place
from domain.values import Conditions, Side

_BUY: Final = Side.BUY  # a name of its own: on Python 3.11, Side.BUY takes 0.1 us to look up


class RestingOrder(Place):
    """An order in the book: ``remaining`` of ``quantity`` is still to be traded.

    ``hidden`` is what of that an iceberg does not show. ``conditions``: what it asks for beyond
    price and quantity. A stop that waits stands elsewhere: see stops.py; ``price`` is None
    where it will be a market order.
    """

    __slots__ = (
        "conditions",
        "hidden",
        "order_id",
        "price",
        "quantity",
        "remaining",
        "side",
        "user_id",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - these are what an order in a book is
        self,
        order_id: UUID,
        user_id: str,
        side: Side,
        price: int | None,
        quantity: int,
        remaining: int,
        conditions: Conditions | None = None,
        hidden: int = 0,
    ) -> None:
        self.order_id = order_id
        self.user_id = user_id
        self.side = side
        self.price = price
        self.quantity = quantity
        self.remaining = remaining
        self.conditions = conditions
        self.hidden = hidden

    @property
    def filled(self) -> int:
        return self.quantity - self.remaining

    @property
    def shown(self) -> int:
        return self.remaining - self.hidden

    def slice_of(self, remaining: int) -> int:
        """Return what it shows of a quantity that begins a new slice."""
        return shown_of(remaining, self.conditions)


def shown_of(remaining: int, conditions: Conditions | None) -> int:
    """Return the quantity that an order shows when it comes to rest."""
    if conditions is None or conditions.display_quantity is None:
        return remaining
    return min(remaining, conditions.display_quantity)


class OrdersById(Mapping[UUID, RestingOrder]):
    """Orders by their ids, kept by the ids' integers: a UUID hashes and compares in Python."""

    __slots__ = ("_orders",)

    def __init__(self, orders: dict[int, RestingOrder]) -> None:
        self._orders = orders

    def __getitem__(self, order_id: UUID) -> RestingOrder:
        return self._orders[order_id.int]

    def __contains__(self, order_id: object) -> bool:
        return isinstance(order_id, UUID) and order_id.int in self._orders

    def get(self, order_id: UUID, default: Any = None) -> Any:
        """As the base class has it, which catches an exception for each that isn't there."""
        return self._orders.get(order_id.int, default)

    def __iter__(self) -> Iterator[UUID]:
        return (order.order_id for order in self._orders.values())

    def __len__(self) -> int:
        return len(self._orders)


class Book:
    """The resting orders of one asset, in strict price-time priority."""

    def __init__(self) -> None:
        self._orders: dict[int, RestingOrder] = {}
        self._bids: Ladder[RestingOrder] = Ladder(pos)
        self._asks: Ladder[RestingOrder] = Ladder(neg)
        self.orders: Mapping[UUID, RestingOrder] = OrdersById(self._orders)

    def ladder(self, side: Side) -> Ladder[RestingOrder]:
        return self._bids if side is _BUY else self._asks

    def opposite(self, side: Side) -> Ladder[RestingOrder]:
        """Return the side that an order of this side trades with."""
        return self._asks if side is _BUY else self._bids

    def would_take(self, side: Side, price: int) -> bool:
        """Test if an order at this limit price would trade."""
        if side is _BUY:
            best = self._asks.best
            return best is not None and best.price <= price
        best = self._bids.best
        return best is not None and best.price >= price

    def walk(self, side: Side) -> Iterator[RestingOrder]:
        """The resting orders of a side in priority order. Don't change the book meanwhile."""
        return iter(self.ladder(side))

    def rest(self, order: RestingOrder) -> None:
        """Put an order at the back of the queue at its price, which it has."""
        self._orders[order.order_id.int] = order
        ladder = self._bids if order.side is _BUY else self._asks
        ladder.append(order.price, order)  # type: ignore[arg-type]

    def fill(self, order_id: UUID, quantity: int) -> RestingOrder:
        """Take a traded quantity off an order, which keeps its place while anything is shown.

        Returns the order, which has left where nothing of it remains.
        The next slice of an iceberg goes to the back of the queue, as a new order would
        (CME Globex, "display quantity").
        """
        order = self._orders[order_id.int]
        order.remaining -= quantity
        if order.remaining == 0:
            self.remove(order_id)
        elif order.remaining == order.hidden:
            order.hidden -= order.slice_of(order.hidden)
            self.ladder(order.side).requeue(order)
        return order

    def remove(self, order_id: UUID) -> RestingOrder | None:
        """Take an order out of the book, wherever it is; None: it is not there."""
        order = self._orders.pop(order_id.int, None)
        if order is not None:
            ladder = self._bids if order.side is _BUY else self._asks
            ladder.remove(order)
        return order

    def amend(self, order_id: UUID, quantity: int, conditions: Conditions | None) -> None:
        """Give an order another total quantity, and conditions; it keeps its place.

        It shows what it did, cut where that is now too much.
        """
        order = self._orders[order_id.int]
        shown = order.shown
        order.remaining -= order.quantity - quantity
        order.quantity = quantity
        order.conditions = conditions
        order.hidden = order.remaining - min(shown, order.slice_of(order.remaining))
