"""Words for tests: orders have names, commands are one short line, events are exact.

A ``Market`` is an OrderBook and whoever sends it commands. The n-th command comes at
position 10 n (a log holds other things in between) and n seconds after the start. What it
expects is counted from the commands sent, never read from the book.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, TypeAlias
from uuid import NAMESPACE_OID, UUID, uuid5

from hypothesis import Phase, settings

from domain.book import RestingOrder
from domain.errors import CancelReason, RejectReason
from domain.order import Order
from domain.order_book import Fill, OrderBook
from domain.outcomes import Outcome, outcomes
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import Side, Terms, TimeInForce

START = datetime(2024, 2, 9, 12, 0, 0, tzinfo=UTC)

# Events and commands: the library shows their fields to no type checker.
Event: TypeAlias = Any
Command: TypeAlias = Any

# The same examples on every machine and every run, and nothing kept on disk. A failure is
# shown as small as it gets; explaining which part of it matters would take minutes.
deterministic = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)


def seconds(number: int) -> datetime:
    return START + timedelta(seconds=number)


def order_id(name: str) -> UUID:
    return uuid5(NAMESPACE_OID, f"order {name}")


def request_id(command: int) -> UUID:
    """The id of the request that was the n-th command."""
    return uuid5(NAMESPACE_OID, f"request {command}")


def fill(
    trade_id: int, maker: str, price: int, quantity: int, *, left: int, user: str = "user"
) -> Fill:
    """A trade with the order named ``maker``, of which ``left`` remains afterwards."""
    return Fill(trade_id, order_id(maker), user, price, quantity, left)


def event(kind: type[Any], **facts: Any) -> Event:
    """An event as it must be, every field of it."""
    return kind(**facts)


def state(book: OrderBook) -> dict[str, Any]:
    """Everything that a book is, pending events left out."""
    whole = attrgetter(*RestingOrder.__slots__)
    return {
        "id": book.id,
        "asset": book.asset,
        "version": book.version,
        "created_on": book.created_on,
        "modified_on": book.modified_on,
        "position": book.position,
        "last_trade_id": book.last_trade_id,
        "sides": {side: [whole(order) for order in book.book.walk(side)] for side in Side},
        "orders": {key: whole(order) for key, order in book.book.orders.items()},
    }


class Market:
    """A book, the commands sent to it, and the events that are to be expected."""

    def __init__(self, asset: str = "BTC-USD") -> None:
        self.asset = asset
        self.book = OrderBook.open(asset, START)
        self.events: list[Event] = list(self.book.collect_events())
        self.commands = 0
        self.time = START
        self.names: dict[UUID, str] = {}
        self.users: dict[str, str] = {}

    # Commands; each returns the events that it led to.

    def buy(self, name: str, quantity: int, price: int, **terms: Any) -> list[Event]:
        return self.place(name, Side.BUY, quantity, price, **terms)

    def sell(self, name: str, quantity: int, price: int, **terms: Any) -> list[Event]:
        return self.place(name, Side.SELL, quantity, price, **terms)

    def place(
        self,
        name: str,
        side: Side,
        quantity: int,
        price: int,
        *,
        user: str = "user",
        time_in_force: TimeInForce = TimeInForce.GTC,
        at: datetime | None = None,
    ) -> list[Event]:
        self.names[order_id(name)] = name
        self.users[name] = user
        terms = Terms(user, self.asset, side, price, quantity, time_in_force=time_in_force)
        placed = self.new_order(name, terms, self._next(at))
        return self.send(self.book.place, placed)

    def cancel(self, name: str, *, at: datetime | None = None) -> list[Event]:
        return self.send(self.book.cancel, self.cancel_request(name, self._next(at)))

    def amend(
        self,
        name: str,
        *,
        price: int | None = None,
        quantity: int | None = None,
        at: datetime | None = None,
    ) -> list[Event]:
        request = self.replace_request(name, price, quantity, self._next(at))
        return self.send(self.book.replace, request)

    def refuse(self, command: Command, reason: RejectReason) -> list[Event]:
        """The book is told to refuse a command that it didn't get to decide."""
        self._next(command.timestamp)
        self.book.refuse(self.position, command, reason)
        return self._new()

    @property
    def position(self) -> int:
        return 10 * self.commands

    def send(self, decide: Callable[[int, Command], None], command: Command) -> list[Event]:
        decide(self.position, command)
        return self._new()

    def new_order(self, name: str, terms: Terms, time: datetime) -> Command:
        return Order.place(order_id(name), terms, time).collect_events()[0]

    def cancel_request(self, name: str, time: datetime) -> Command:
        return CancelRequest.make(
            request_id(self.commands),
            user_id="user",
            asset=self.asset,
            order_id=order_id(name),
            time=time,
        ).collect_events()[0]

    def replace_request(
        self, name: str, price: int | None, quantity: int | None, time: datetime
    ) -> Command:
        return ReplaceRequest.make(
            request_id(self.commands),
            user_id="user",
            asset=self.asset,
            order_id=order_id(name),
            price=price,
            quantity=quantity,
            time=time,
        ).collect_events()[0]

    def _next(self, at: datetime | None) -> datetime:
        self.commands += 1
        time = seconds(self.commands) if at is None else at
        self.time = max(self.time, time)
        return time

    def _new(self) -> list[Event]:
        events = list(self.book.collect_events())
        self.events += events
        return events

    # The events that the last command must have led to, whole.

    def matched(
        self,
        name: str,
        side: Side,
        quantity: int,
        price: int,
        *,
        fills: Sequence[Fill] = (),
        rested: int = 0,
        reason: CancelReason | None = None,
    ) -> Event:
        return event(
            OrderBook.Matched,
            **self._common(name),
            side=side,
            price=price,
            quantity=quantity,
            fills=tuple(fills),
            rested=rested,
            reason=reason,
        )

    def cancelled(self, name: str, side: Side, remaining: int, price: int) -> Event:
        return event(
            OrderBook.Cancelled,
            **self._common(name),
            request_id=request_id(self.commands),
            side=side,
            price=price,
            remaining=remaining,
            reason=CancelReason.USER_REQUEST,
        )

    def reduced(
        self, name: str, side: Side, quantity: int, price: int, *, remaining: int, was: int
    ) -> Event:
        """``was`` is what remained before."""
        return event(
            OrderBook.Reduced,
            **self._common(name),
            request_id=request_id(self.commands),
            side=side,
            price=price,
            quantity=quantity,
            remaining=remaining,
            previous_remaining=was,
        )

    def replaced(
        self,
        name: str,
        side: Side,
        quantity: int,
        price: int,
        *,
        was: tuple[int, int],
        fills: Sequence[Fill] = (),
        rested: int = 0,
    ) -> Event:
        """``was`` is what remained before, and its price."""
        previous_remaining, previous_price = was
        return event(
            OrderBook.Replaced,
            **self._common(name),
            request_id=request_id(self.commands),
            side=side,
            price=price,
            quantity=quantity,
            previous_price=previous_price,
            previous_remaining=previous_remaining,
            fills=tuple(fills),
            rested=rested,
        )

    def refused(self, name: str, reason: RejectReason, *, request: UUID | None) -> Event:
        return event(OrderBook.Refused, **self._common(name), request_id=request, reason=reason)

    def request_refused(self, name: str, reason: RejectReason) -> Event:
        return self.refused(name, reason, request=request_id(self.commands))

    def _common(self, name: str) -> dict[str, Any]:
        return {
            "originator_id": self.book.id,
            "originator_version": self.commands,
            "timestamp": self.time,
            "asset": self.asset,
            "position": self.position,
            "order_id": order_id(name),
            "user_id": self.users.get(name, "user"),
        }

    # What rests: (name, remaining, price), first in priority first.

    @property
    def bids(self) -> list[tuple[str, int, int]]:
        return self._resting(Side.BUY)

    @property
    def asks(self) -> list[tuple[str, int, int]]:
        return self._resting(Side.SELL)

    def _resting(self, side: Side) -> list[tuple[str, int, int]]:
        return [
            (self.names[order.order_id], order.remaining, order.price)
            for order in self.book.book.walk(side)
        ]


class Exchange(Market):
    """A market whose orders are told their outcomes, as each decision is made."""

    def __init__(self, asset: str = "BTC-USD") -> None:
        super().__init__(asset)
        self.orders: dict[UUID, Order] = {}
        self.outcomes: list[Outcome] = []

    def __getitem__(self, name: str) -> Order:
        return self.orders[order_id(name)]

    def story(self, name: str) -> list[Event]:
        """The order's events since it was last asked for."""
        return list(self[name].collect_events())

    def new_order(self, name: str, terms: Terms, time: datetime) -> Command:
        order = Order.place(order_id(name), terms, time)
        self.orders[order.id] = order
        return order.pending_events[0]

    def _new(self) -> list[Event]:
        events = super()._new()
        for each in events:
            self.outcomes = outcomes(each)
            for outcome in self.outcomes:
                if outcome.order_id in self.orders:  # a request may name one never placed
                    self.orders[outcome.order_id].record(outcome.event, **outcome.facts)
        return events
