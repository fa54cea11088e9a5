"""The facts in a book's events: the result of an order's turn, and of the orders that it met.

Amounts are in units. ``shown`` is the quantity that depth counts: all of a plain order, the slice
of an iceberg, nothing of a stop that waits.
"""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.errors import CancelReason, RejectReason
from domain.values import Side, Turn


@dataclass(slots=True)
class Fill:
    """One trade, at the maker's price. Trades are numbered 1, 2, 3, ... per asset.

    ``refill``: the next slice of the maker, an iceberg, which is now at the back of its level.
    """

    trade_id: int
    maker_order_id: UUID
    maker_user_id: str
    price: int
    quantity: int
    maker_remaining: int
    refill: int = 0


@dataclass(slots=True)
class Prevented:
    """A trade with an order of the same user that was prevented, and what became of that order.

    Cancelled, or lowered to ``quantity`` in all, of which ``remaining`` is yet to trade.
    """

    order_id: UUID
    price: int
    quantity: int
    remaining: int
    shown: int
    previous_shown: int
    is_cancelled: bool


@dataclass(slots=True)
class Departure:
    """An order that left without trading. ``shown`` is what its level loses with it.

    ``price`` is None where it waited to be a market order.
    """

    order_id: UUID
    user_id: str
    side: Side
    price: int | None
    remaining: int
    shown: int
    reason: CancelReason


@dataclass(slots=True)
class Left(Departure):
    """A departure whose order left in an earlier event; ``request_id``: of who asked for it."""

    request_id: UUID | None = None


@dataclass(slots=True)
class Queued:
    """The rest of an order that trades on in a later event, when its turn comes.

    ``limit`` is the worst price that a market order takes, once it has begun; by amount of money
    it has the ``quote_quantity`` that it was placed with.
    """

    remaining: int
    turn: Turn
    limit: int | None = None
    quote_quantity: int | None = None


@dataclass(slots=True)
class Execution:
    """The result of an order when its trigger, or its turn, came.

    ``quantity`` is its total, after prevention has ``lowered`` it; ``rested`` is what of it is now
    in the book. ``reason`` says why the rest is not, ``rejection`` which rule forbade all of it,
    and ``limit`` what that rule allows.
    """

    order_id: UUID
    user_id: str
    side: Side
    price: int | None
    quantity: int
    fills: tuple[Fill, ...]
    prevented: tuple[Prevented, ...]
    rested: int
    shown: int
    lowered: int
    reason: CancelReason | None
    rejection: RejectReason | None = None
    limit: int | None = None
    turn: Turn = Turn.TRIGGERED
    queued: Queued | None = None


class Arrival(Protocol):
    """The facts that executions share with the events of orders that arrive."""

    @property
    def order_id(self) -> UUID: ...
    @property
    def user_id(self) -> str: ...
    @property
    def side(self) -> Side: ...
    @property
    def price(self) -> int | None: ...
    @property
    def quantity(self) -> int | None: ...
    @property
    def fills(self) -> tuple[Fill, ...]: ...
    @property
    def prevented(self) -> tuple[Prevented, ...]: ...
    @property
    def rested(self) -> int: ...
    @property
    def shown(self) -> int: ...
    @property
    def lowered(self) -> int: ...
    @property
    def reason(self) -> CancelReason | None: ...
    @property
    def queued(self) -> Queued | None: ...
