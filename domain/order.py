"""The Order aggregate: what was asked, and what became of it.

    PENDING -> OPEN -> PARTIALLY_FILLED -> FILLED, or CANCELLED, REJECTED, EXPIRED

Orders decide nothing: the book does. Every event after ``order.placed`` repeats what the
book decided at its version ``book_version``, at most one event per order and decision.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from domain.aggregate import Aggregate
from domain.errors import CancelReason, OrderClosed, Reason, RejectReason
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import Liquidity, OrderStatus, OrderType, Side, Terms, TimeInForce


@dataclass(slots=True)
class OrderFill:
    """An order's part in one trade."""

    trade_id: int
    price: int
    quantity: int
    liquidity: Liquidity


class Order(Aggregate):
    """One order, from its placing to its end."""

    TOPIC = "order"
    class_version = 1

    class Event(Aggregate.Event):
        """Anything that happens to an order."""

    class Created(Aggregate.Created):
        """The user placed the order."""

        TOPIC = "order.placed"
        class_version = 1

        user_id: str
        asset: str
        side: Side
        price: int
        quantity: int
        order_type: OrderType
        time_in_force: TimeInForce
        client_order_id: str | None

        def mutate(self, _: Any) -> Any:
            """What the library's does, without asking which fields ``__init__`` takes."""
            order = Order.__new__(Order)
            order.__base_init__(self.originator_id, self.originator_version, self.timestamp)
            order.__init__(  # type: ignore[misc]
                self.user_id,
                self.asset,
                self.side,
                self.price,
                self.quantity,
                self.order_type,
                self.time_in_force,
                self.client_order_id,
                self.timestamp,
            )
            return order

    class Decided(Event):
        """What the book decided; ``status`` is the one the order has then. Never alone."""

        TOPIC = "order.decided"
        class_version = 1

        user_id: str
        asset: str
        book_version: int
        status: OrderStatus

        def apply(self, aggregate: "Order") -> None:
            aggregate.book_version = self.book_version
            aggregate.status = self.status
            aggregate.updated_on = self.timestamp

    class Opened(Decided):
        """The order rests in the book, and nothing of it has traded."""

        TOPIC = "order.opened"
        class_version = 1

    class Filled(Decided):
        """The order traded, as taker or as maker, in part or to its end."""

        TOPIC = "order.filled"
        class_version = 1

        fills: tuple[OrderFill, ...]

        def apply(self, aggregate: "Order") -> None:
            super().apply(aggregate)
            aggregate.add(self.fills)

    class Expired(Decided):
        """The engine ended the order; ``fills`` is what it traded in that same moment."""

        TOPIC = "order.expired"
        class_version = 1

        fills: tuple[OrderFill, ...]
        reason: CancelReason

        def apply(self, aggregate: "Order") -> None:
            super().apply(aggregate)
            aggregate.add(self.fills)
            aggregate.reason = self.reason

    class Rejected(Decided):
        """A rule forbade the order: it never traded and never rested."""

        TOPIC = "order.rejected"
        class_version = 1

        reason: RejectReason

        def apply(self, aggregate: "Order") -> None:
            super().apply(aggregate)
            aggregate.reason = self.reason

    class Cancelled(Decided):
        """The order left the book as asked; what remained is left as it was."""

        TOPIC = "order.cancelled"
        class_version = 1

        request_id: UUID
        reason: CancelReason

        def apply(self, aggregate: "Order") -> None:
            super().apply(aggregate)
            aggregate.reason = self.reason

    class Replaced(Decided):
        """The order has a new price, a new total quantity, or both, and may have traded."""

        TOPIC = "order.replaced"
        class_version = 1

        request_id: UUID
        price: int
        quantity: int
        fills: tuple[OrderFill, ...]

        def apply(self, aggregate: "Order") -> None:
            super().apply(aggregate)
            aggregate.price = self.price
            aggregate.quantity = self.quantity
            aggregate.add(self.fills)

    class RequestRefused(Decided):
        """A request about the order was refused, and changed nothing."""

        TOPIC = "order.request_refused"
        class_version = 1

        request_id: UUID
        reason: RejectReason

        def apply(self, aggregate: "Order") -> None:
            aggregate.book_version = self.book_version

    def __init__(  # noqa: PLR0913, PLR0917 - these are the terms
        self,
        user_id: str,
        asset: str,
        side: Side,
        price: int,
        quantity: int,
        order_type: OrderType,
        time_in_force: TimeInForce,
        client_order_id: str | None,
        timestamp: datetime,
    ) -> None:
        self.terms = Terms(
            user_id, asset, side, price, quantity, order_type, time_in_force, client_order_id
        )
        self.price = price
        self.quantity = quantity
        self.filled_quantity = 0
        self.notional = 0  # price units x quantity units, summed over the fills
        self.status = OrderStatus.PENDING
        self.reason: Reason | None = None
        self.updated_on = timestamp  # a refused request doesn't count: it changed nothing
        self.book_version = 0

    @classmethod
    def place(cls, order_id: UUID, terms: Terms, time: datetime) -> Self:
        return cls._create(cls.Created, id=order_id, timestamp=time, **terms._asdict())

    def request_cancel(self, request_id: UUID, time: datetime) -> CancelRequest:
        """Raises OrderClosed where there is nothing left to cancel."""
        self._check_still_trades()
        return CancelRequest.make(
            request_id,
            user_id=self.terms.user_id,
            asset=self.terms.asset,
            order_id=self.id,
            time=time,
        )

    def request_replace(
        self, request_id: UUID, price: int | None, quantity: int | None, time: datetime
    ) -> ReplaceRequest:
        """Raises OrderClosed where there is nothing left to change."""
        self._check_still_trades()
        return ReplaceRequest.make(
            request_id,
            user_id=self.terms.user_id,
            asset=self.terms.asset,
            order_id=self.id,
            price=price,
            quantity=quantity,
            time=time,
        )

    def record(self, event: type[Decided], **facts: Any) -> None:
        """Records what the book decided about this order, unless it has had that decision.

        The status stays unless it is told.
        """
        if facts["book_version"] > self.book_version:
            terms = self.terms
            facts.setdefault("status", self.status)
            self.trigger_event(event, user_id=terms.user_id, asset=terms.asset, **facts)

    def add(self, fills: tuple[OrderFill, ...]) -> None:
        """Adds fills to what was traded so far. Only events call this."""
        for fill in fills:
            self.filled_quantity += fill.quantity
            self.notional += fill.price * fill.quantity

    def _check_still_trades(self) -> None:
        if self.status.is_terminal:
            raise OrderClosed(self.status)
