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
from domain.live_order import LiveOrder
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import (
    Liquidity,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    Side,
    Terms,
    TimeInForce,
)


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
        class_version = 2

        user_id: str
        asset: str
        side: Side
        price: int | None
        quantity: int | None
        order_type: OrderType
        time_in_force: TimeInForce
        client_order_id: str | None
        post_only: bool
        stop_price: int | None
        take_profit: bool
        display_quantity: int | None
        expires_at: datetime | None
        self_trade_prevention: SelfTradePrevention
        quote_quantity: int | None

        def mutate(self, _: Any) -> Any:
            """Do as the library does, without asking which fields ``__init__`` takes."""
            order = Order.__new__(Order)
            order.__base_init__(self.originator_id, self.originator_version, self.timestamp)
            terms = Terms._make(map(vars(self).__getitem__, Terms._fields))
            order.__init__(terms, self.timestamp)  # type: ignore[misc]
            return order

        def live(self) -> LiveOrder:
            """Return what the next event of an order that was only placed needs."""
            return LiveOrder(self.originator_id, self.user_id, self.asset)

        @staticmethod
        def upcast_v1_v2(state: dict[str, object]) -> None:
            state.update(
                post_only=False,
                stop_price=None,
                take_profit=False,
                display_quantity=None,
                expires_at=None,
                self_trade_prevention=SelfTradePrevention.NONE,
                quote_quantity=None,
            )

    class Decided(Event):
        """A decision of the book; ``status`` is the one the order has then. A base class."""

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
        """The order rests in the book, or waits for its trigger, and nothing of it has traded."""

        TOPIC = "order.opened"
        class_version = 1

    class Traded(Decided):
        """An order's trades at one moment, and what prevention left of its quantity. A base class.

        ``quantity`` is the new total; None: as it was.
        """

        TOPIC = "order.traded"
        class_version = 2

        fills: tuple[OrderFill, ...]
        quantity: int | None

        def apply(self, aggregate: "Order") -> None:
            super().apply(aggregate)
            aggregate.add(self.fills)
            if self.quantity is not None:
                aggregate.quantity = self.quantity

        @staticmethod
        def upcast_v1_v2(state: dict[str, object]) -> None:
            state["quantity"] = None
            state.setdefault("fills", [])

    class Filled(Traded):
        """The order traded, as taker or as maker, in part or to its end."""

        TOPIC = "order.filled"
        class_version = 2

    class Decremented(Traded):
        """Self-trade prevention took from its quantity what it would have traded with its user."""

        TOPIC = "order.decremented"
        class_version = 2

    class Triggered(Traded):
        """The stop's trigger came; the fields say what ended it in that moment, if anything did.

        A ``rejection`` is a rule that forbade what it then was, ``limit`` what the rule allows.
        """

        TOPIC = "order.triggered"
        class_version = 2

        reason: CancelReason | None
        rejection: RejectReason | None
        limit: int | None

        def apply(self, aggregate: "Order") -> None:
            super().apply(aggregate)
            aggregate.end(self.rejection or self.reason, self.limit)

    class Expired(Traded):
        """The engine ended the order; ``fills`` is what it traded in that same moment.

        ``request_id``: of a request about it that came too late.
        """

        TOPIC = "order.expired"
        class_version = 2

        reason: CancelReason
        request_id: UUID | None

        def apply(self, aggregate: "Order") -> None:
            super().apply(aggregate)
            aggregate.end(self.reason)

        @staticmethod
        def upcast_v1_v2(state: dict[str, object]) -> None:
            state.update(quantity=None, request_id=None)

    class Rejected(Decided):
        """A rule forbade the order: it never traded and never rested. ``limit``: what it allows."""

        TOPIC = "order.rejected"
        class_version = 2

        reason: RejectReason
        limit: int | None

        def apply(self, aggregate: "Order") -> None:
            super().apply(aggregate)
            aggregate.end(self.reason, self.limit)

        @staticmethod
        def upcast_v1_v2(state: dict[str, object]) -> None:
            state["limit"] = None

    class Cancelled(Traded):
        """The order left the book as asked, or since it would have traded with its user.

        The remaining quantity is left as it was.
        """

        TOPIC = "order.cancelled"
        class_version = 2

        request_id: UUID | None
        reason: CancelReason

        def apply(self, aggregate: "Order") -> None:
            super().apply(aggregate)
            aggregate.end(self.reason)

    class Replaced(Traded):
        """The order has other terms, and may have traded, or ended. None: as it was."""

        TOPIC = "order.replaced"
        class_version = 2

        request_id: UUID
        price: int | None
        quantity: int
        stop_price: int | None
        display_quantity: int | None
        reason: CancelReason | None

        def apply(self, aggregate: "Order") -> None:
            super().apply(aggregate)
            aggregate.end(self.reason)
            for name in ("price", "stop_price", "display_quantity"):
                if (changed := getattr(self, name)) is not None:
                    setattr(aggregate, name, changed)

        @staticmethod
        def upcast_v1_v2(state: dict[str, object]) -> None:
            state.update(stop_price=None, display_quantity=None, reason=None)

    class RequestRefused(Decided):
        """A request about the order was refused; nothing changed. ``limit``: what is allowed."""

        TOPIC = "order.request_refused"
        class_version = 2

        request_id: UUID
        reason: RejectReason
        limit: int | None

        def apply(self, aggregate: "Order") -> None:
            aggregate.book_version = self.book_version

        @staticmethod
        def upcast_v1_v2(state: dict[str, object]) -> None:
            state["limit"] = None

    def __init__(self, terms: Terms, timestamp: datetime) -> None:
        self.terms = terms
        self.price = terms.price
        self.quantity = terms.quantity
        self.stop_price = terms.stop_price
        self.display_quantity = terms.display_quantity
        self.filled_quantity = 0
        self.notional = 0  # price units x quantity units, summed over the fills
        self.status = OrderStatus.PENDING
        self.reason: Reason | None = None
        self.limit: int | None = None  # what the rule allows that is the reason, in units
        self.updated_on = timestamp  # a refused request doesn't count: it changed nothing
        self.book_version = 0

    @classmethod
    def place(cls, order_id: UUID, terms: Terms, time: datetime) -> Self:
        return cls._create(cls.Created, id=order_id, timestamp=time, **terms._asdict())

    def request_cancel(self, request_id: UUID, time: datetime) -> CancelRequest:
        """Request the cancel of this order. Raises OrderClosed where nothing is left to cancel."""
        self._check_still_trades()
        return CancelRequest.make(
            request_id,
            user_id=self.terms.user_id,
            asset=self.terms.asset,
            order_id=self.id,
            time=time,
        )

    def request_replace(
        self, request_id: UUID, time: datetime, **changes: int | None
    ) -> ReplaceRequest:
        """Request a change of this order. Raises OrderClosed where nothing is left to change.

        ``changes``: price, quantity, stop_price, display_quantity, in units.
        """
        self._check_still_trades()
        return ReplaceRequest.make(
            request_id,
            user_id=self.terms.user_id,
            asset=self.terms.asset,
            order_id=self.id,
            **changes,
            time=time,
        )

    def record(self, event: type[Decided], **facts: Any) -> None:
        """Record a decision of the book about this order, unless it has had that decision.

        The status stays unless it is told.
        """
        decision = self.live().next_event(event, facts)
        if decision is not None:
            decision.mutate(self)
            self._pending_events.append(decision)

    def live(self) -> LiveOrder:
        """Return what the next event of this order needs."""
        terms = self.terms
        return LiveOrder(
            self._id, terms.user_id, terms.asset, self._version, self.book_version, self.status
        )

    def add(self, fills: tuple[OrderFill, ...]) -> None:
        """Add fills to what was traded so far. Only events call this."""
        for fill in fills:
            self.filled_quantity += fill.quantity
            self.notional += fill.price * fill.quantity

    def end(self, reason: Reason | None, limit: int | None = None) -> None:
        """Note why the order does not trade any more, if it doesn't. Only events call this."""
        if reason is not None:
            self.reason, self.limit = reason, limit

    def _check_still_trades(self) -> None:
        if self.status.is_terminal:
            raise OrderClosed(self.status)
