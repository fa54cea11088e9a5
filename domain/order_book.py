"""The OrderBook aggregate: it asks the book, records the facts, and applies them.

One event per command, so the aggregate's version is the public version of the book: the
number of commands that it has decided; 0 is the empty book. Each event carries the
``position`` of its command in the log of orders and requests. A book ignores positions
that it has had, so that commands that come again, by whatever transport, change nothing.

Deciding reads the book only; all change is in the events' ``apply``, which cannot fail.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from eventsourcing.domain import Snapshot as LibrarySnapshot

from domain.aggregate import Aggregate, build
from domain.book import Book, RestingOrder
from domain.book_state import BookState, queues_of, rest_all
from domain.errors import CancelReason, RejectReason
from domain.order import Order
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import Side, TimeInForce, book_id

_GTC: Final = TimeInForce.GTC  # see book.py on names like this one


@dataclass(slots=True)
class Fill:
    """One trade, at the maker's price. Trades are numbered 1, 2, 3, ... per asset."""

    trade_id: int
    maker_order_id: UUID
    maker_user_id: str
    price: int
    quantity: int
    maker_remaining: int


class OrderBook(Aggregate):
    """The book of one asset, and the only place where the fate of its orders is decided."""

    TOPIC = "book"
    class_version = 1
    INITIAL_VERSION = 0

    class Event(Aggregate.Event):
        """Anything that happens to a book."""

    class Created(Aggregate.Created):
        """The first command for an asset arrived."""

        TOPIC = "book.opened"
        class_version = 1

        asset: str

    class Decided(Event):
        """What the book decided about the command at ``position``. Never alone."""

        TOPIC = "book.decided"
        class_version = 1

        asset: str
        position: int
        order_id: UUID
        user_id: str

        def apply(self, aggregate: "OrderBook") -> None:
            aggregate.position = self.position

    class Matched(Decided):
        """An order arrived: it traded, and the rest of it rests or expired.

        ``rested`` is the quantity now in the book. A ``reason`` says that there was more,
        and why it expired instead.
        """

        TOPIC = "book.matched"
        class_version = 1

        side: Side
        price: int
        quantity: int
        fills: tuple[Fill, ...]
        rested: int
        reason: CancelReason | None

        def apply(self, aggregate: "OrderBook") -> None:
            super().apply(aggregate)
            aggregate.arrive(self)

    class Cancelled(Decided):
        """A resting order left the book on request; ``remaining`` was still to be traded."""

        TOPIC = "book.cancelled"
        class_version = 1

        request_id: UUID
        side: Side
        price: int
        remaining: int
        reason: CancelReason

        def apply(self, aggregate: "OrderBook") -> None:
            super().apply(aggregate)
            aggregate.book.remove(self.order_id)

    class Reduced(Decided):
        """A resting order got a smaller total quantity at its price, and kept its place."""

        TOPIC = "book.reduced"
        class_version = 1

        request_id: UUID
        side: Side
        price: int
        quantity: int
        remaining: int
        previous_remaining: int

        def apply(self, aggregate: "OrderBook") -> None:
            super().apply(aggregate)
            aggregate.book.reduce(self.order_id, self.quantity)

    class Replaced(Decided):
        """A resting order left its place and arrived anew, with its new price and quantity.

        ``quantity`` is the new total, what was filled before included; ``rested`` is what
        remains in the book after ``fills``.
        """

        TOPIC = "book.replaced"
        class_version = 1

        request_id: UUID
        side: Side
        price: int
        quantity: int
        previous_price: int
        previous_remaining: int
        fills: tuple[Fill, ...]
        rested: int

        def apply(self, aggregate: "OrderBook") -> None:
            super().apply(aggregate)
            aggregate.book.remove(self.order_id)
            aggregate.arrive(self)

    class Refused(Decided):
        """The command was refused; the book is as it was. No ``request_id``: the order itself."""

        TOPIC = "book.refused"
        class_version = 1

        request_id: UUID | None
        reason: RejectReason

    class Snapshot(LibrarySnapshot):
        """The library's, with a state that has types, and the book's own time."""

        TOPIC = "book.snapshot"
        class_version = 1

        state: BookState  # type: ignore[assignment]  # the library's is any dictionary

        @classmethod
        def take(cls, aggregate: Any) -> Self:
            users: dict[str, int] = {}
            bids, asks = (queues_of(aggregate.book, side, users) for side in Side)
            state = BookState(
                asset=aggregate.asset,
                created_on=aggregate.created_on,
                position=aggregate.position,
                last_trade_id=aggregate.last_trade_id,
                users=list(users),
                bids=bids,
                asks=asks,
            )
            facts = {
                "originator_id": aggregate.id,
                "originator_version": aggregate.version,
                "timestamp": aggregate.modified_on,
                "topic": aggregate.TOPIC,
                "state": state,
            }
            return build(cls, facts)

        def mutate(self, _: None) -> "OrderBook":
            state = self.state
            order_book = OrderBook.__new__(OrderBook)
            order_book.__base_init__(self.originator_id, self.originator_version, state.created_on)
            order_book.__init__(state.asset)  # type: ignore[misc]  # as the library's events do it
            order_book.modified_on = self.timestamp
            order_book.position = state.position
            order_book.last_trade_id = state.last_trade_id
            rest_all(order_book.book, Side.BUY, state.bids, state.users)
            rest_all(order_book.book, Side.SELL, state.asks, state.users)
            return order_book

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.book = Book()
        self.position = 0
        self.last_trade_id = 0

    @classmethod
    def open(cls, asset: str, time: datetime) -> Self:
        """An empty book."""
        return cls._create(cls.Created, id=book_id(asset), asset=asset, timestamp=time)

    def place(self, position: int, order: Order.Created) -> None:
        """Matches an arriving order; a GTC rest stays in the book, that of an IOC expires."""
        fills = self._fills(order.side, order.price, order.quantity)
        unfilled = order.quantity - sum([fill.quantity for fill in fills])
        rests = order.time_in_force is _GTC
        self._decide(
            self.Matched,
            position,
            order.timestamp,
            order_id=order.originator_id,
            user_id=order.user_id,
            side=order.side,
            price=order.price,
            quantity=order.quantity,
            fills=fills,
            rested=unfilled if rests else 0,
            reason=CancelReason.INSUFFICIENT_LIQUIDITY if unfilled and not rests else None,
        )

    def cancel(self, position: int, request: CancelRequest.Created) -> None:
        """Takes a resting order out of the book; refused where it no longer rests."""
        resting = self.book.orders.get(request.order_id)
        if resting is None:
            return self.refuse(position, request, RejectReason.ORDER_NOT_OPEN)
        return self._decide(
            self.Cancelled,
            position,
            request.timestamp,
            order_id=resting.order_id,
            request_id=request.originator_id,
            user_id=resting.user_id,
            side=resting.side,
            price=resting.price,
            remaining=resting.remaining,
            reason=CancelReason.USER_REQUEST,
        )

    def replace(self, position: int, request: ReplaceRequest.Created) -> None:
        """Changes price, total quantity, or both, of a resting order.

        A smaller (or equal) total at the same price keeps the order's place; anything else
        loses it, and a price that crosses trades at once, the order being the taker.
        """
        resting = self.book.orders.get(request.order_id)
        if resting is None:
            return self.refuse(position, request, RejectReason.ORDER_NOT_OPEN)
        price = resting.price if request.price is None else request.price
        quantity = resting.quantity if request.quantity is None else request.quantity
        if quantity <= resting.filled:
            return self.refuse(position, request, RejectReason.QUANTITY_NOT_ABOVE_FILLED)
        if price == resting.price and quantity <= resting.quantity:
            return self._reduce(position, request, resting, quantity)
        return self._rejoin(position, request, resting, price, quantity)

    def refuse(
        self,
        position: int,
        command: Order.Created | CancelRequest.Created | ReplaceRequest.Created,
        reason: RejectReason,
    ) -> None:
        """Records that a command was refused."""
        if isinstance(command, Order.Created):
            order_id, request_id = command.originator_id, None
        else:
            order_id, request_id = command.order_id, command.originator_id
        self._decide(
            self.Refused,
            position,
            command.timestamp,
            order_id=order_id,
            request_id=request_id,
            user_id=command.user_id,
            reason=reason,
        )

    def arrive(self, order: Matched | Replaced) -> None:
        """Applies an arriving order's fills to their makers, and rests its rest. For events."""
        for fill in order.fills:
            self.book.fill(fill.maker_order_id, fill.quantity)
        self.last_trade_id += len(order.fills)
        if order.rested:
            self.book.rest(
                RestingOrder(
                    order.order_id,
                    order.user_id,
                    order.side,
                    order.price,
                    order.quantity,
                    order.rested,
                )
            )

    def _reduce(
        self,
        position: int,
        request: ReplaceRequest.Created,
        resting: RestingOrder,
        quantity: int,
    ) -> None:
        self._decide(
            self.Reduced,
            position,
            request.timestamp,
            order_id=resting.order_id,
            request_id=request.originator_id,
            user_id=resting.user_id,
            side=resting.side,
            price=resting.price,
            quantity=quantity,
            remaining=quantity - resting.filled,
            previous_remaining=resting.remaining,
        )

    def _rejoin(
        self,
        position: int,
        request: ReplaceRequest.Created,
        resting: RestingOrder,
        price: int,
        quantity: int,
    ) -> None:
        remaining = quantity - resting.filled
        fills = self._fills(resting.side, price, remaining)
        self._decide(
            self.Replaced,
            position,
            request.timestamp,
            order_id=resting.order_id,
            request_id=request.originator_id,
            user_id=resting.user_id,
            side=resting.side,
            price=price,
            quantity=quantity,
            previous_price=resting.price,
            previous_remaining=resting.remaining,
            fills=fills,
            rested=remaining - sum(fill.quantity for fill in fills),
        )

    def _fills(self, side: Side, limit: int, quantity: int) -> tuple[Fill, ...]:
        matches = self.book.match(side, limit, quantity)
        if not matches:
            return ()
        return tuple(
            [
                Fill(
                    trade_id,
                    maker.order_id,
                    maker.user_id,
                    maker.price,
                    taken,
                    maker.remaining - taken,
                )
                for trade_id, (maker, taken) in enumerate(matches, start=self.last_trade_id + 1)
            ]
        )

    def _decide(self, decision: type[Decided], position: int, time: datetime, **facts: Any) -> None:
        """Records the decision, unless the command was decided before.

        A book's time never runs backwards, whatever the clocks of the senders say.
        """
        if position > self.position:
            time = max(time, self._modified_on)
            self.trigger_event(
                decision, asset=self.asset, position=position, timestamp=time, **facts
            )
