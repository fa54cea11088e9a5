"""Words for tests: orders have names, commands are one short line, events are exact.

A ``Market`` is an OrderBook and whoever sends it commands. The n-th command comes at
position 10 n (a log holds other things in between) and n seconds after the start. What it
expects is counted from the commands sent, never read from the book.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, TypeAlias
from uuid import NAMESPACE_OID, UUID, uuid5

from hypothesis import Phase, settings

from domain.book import RestingOrder
from domain.errors import CancelReason, RejectReason
from domain.facts import Fill
from domain.instrument import NO_RULES, Instrument, Rules
from domain.merging import Outcome
from domain.order import Order
from domain.order_book import OrderBook
from domain.outcomes import outcomes, touched
from domain.requests import (
    CancelRequest,
    ExpiryRequest,
    InstrumentRequest,
    MassCancelRequest,
    ReplaceRequest,
    TimeRequest,
)
from domain.values import OrderType, Side, Terms, TimeInForce

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
    trade_id: int,
    maker: str,
    price: int,
    quantity: int,
    *,
    left: int,
    user: str = "user",
    refill: int = 0,
) -> Fill:
    """A trade with the order named ``maker``, of which ``left`` remains afterwards."""
    return Fill(trade_id, order_id(maker), user, price, quantity, left, refill)


def event(kind: type[Any], **facts: Any) -> Event:
    """An event as it must be, every field of it."""
    return kind(**facts)


# What the events of orders say where there is nothing to say.
_TRADED: dict[str, Any] = {"fills": (), "quantity": None}
_CHANGED: dict[str, Any] = {"stop_price": None, "display_quantity": None}
NOTHING: dict[type[Any], dict[str, Any]] = {
    Order.Opened: {},
    Order.Filled: _TRADED,
    Order.Decremented: _TRADED,
    Order.Expired: {**_TRADED, "request_id": None},
    Order.Cancelled: {**_TRADED, "request_id": None},
    Order.Triggered: {**_TRADED, "reason": None, "rejection": None, "limit": None},
    Order.Replaced: {**_TRADED, "reason": None, **_CHANGED},
    Order.Rejected: {"limit": None},
    Order.RequestRefused: {"limit": None},
}


def told(kind: type[Any], **facts: Any) -> Event:
    """An order's event as it must be; what is not given is nothing."""
    return event(kind, **{**NOTHING[kind], **facts})


def state(book: OrderBook) -> dict[str, Any]:
    """Everything that a book is, pending events left out."""
    whole = attrgetter(*RestingOrder.__slots__)
    floor = book.floor
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
        "stops": [whole(order) for order in floor.stops],
        "expiring": list(floor.expiries.ends()),
        "last_price": floor.last_price,
        "instrument": floor.instrument,
        "queue": [
            (whole_of_queued(each.order), each.turn, each.limit, each.quote_quantity, each.spent)
            for each in floor.queue.values()
        ],
        "departing": list(floor.departing),
        "continuation": floor.continuation,
    }


def whole_of_queued(order: RestingOrder) -> tuple[Any, ...]:
    """All that an order in the queue is: it stands in no level, and hides nothing."""
    slots = [name for name in RestingOrder.__slots__ if name != "hidden"]
    whole: tuple[Any, ...] = attrgetter(*slots)(order)
    return whole


def _tuples(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts as events hold them: tests say lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()
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
        self.default = NO_RULES.default
        self.suspended: set[str] = set()

    # Commands; each returns the events that it led to.

    def buy(self, name: str, quantity: int | None, price: int | None, **terms: Any) -> list[Event]:
        return self.place(name, Side.BUY, quantity, price, **terms)

    def sell(self, name: str, quantity: int | None, price: int | None, **terms: Any) -> list[Event]:
        return self.place(name, Side.SELL, quantity, price, **terms)

    def place(
        self,
        name: str,
        side: Side,
        quantity: int | None,
        price: int | None,
        *,
        user: str = "user",
        at: datetime | None = None,
        **terms: Any,
    ) -> list[Event]:
        """``terms``: those of Terms, by their names; a MARKET order is IOC unless told."""
        if terms.get("order_type") is OrderType.MARKET:
            terms.setdefault("time_in_force", TimeInForce.IOC)
        self.names[order_id(name)] = name
        self.users[name] = user
        asked = Terms(user, self.asset, side, price, quantity, **terms)
        placed = self.new_order(name, asked, self._next(at))
        self.book.place(self.position, placed, self.rules_for(user))
        return self._new()

    def cancel(self, name: str, *, at: datetime | None = None) -> list[Event]:
        return self.send(self.book.cancel, self.cancel_request(name, self._next(at)))

    def amend(self, name: str, *, at: datetime | None = None, **changes: int | None) -> list[Event]:
        """``changes``: price, quantity, stop_price, display_quantity."""
        request = self.replace_request(name, self._next(at), **changes)
        self.book.replace(self.position, request, self.rules_for(self.users.get(name, "user")))
        return self._new()

    def cancel_all(self, user: str, *, at: datetime | None = None) -> list[Event]:
        time = self._next(at)
        request = MassCancelRequest.make(
            request_id(self.commands), user_id=user, asset=self.asset, time=time
        )
        return self.send(self.book.mass_cancel, request.collect_events()[0])

    def pass_time(self, at: datetime) -> list[Event]:
        """The clock says that it is ``at``."""
        time = self._next(at)
        request = ExpiryRequest.make(
            request_id(self.commands), user_id="clock", asset=self.asset, time=time
        )
        return self.send(self.book.expire, request.collect_events()[0])

    def reset_time(self, at: datetime) -> list[Event]:
        """An operator says that the book is to go on from ``at``."""
        request = TimeRequest.make(
            request_id(self.commands + 1), user_id="operator", asset=self.asset, time=at
        )
        self._next(at)
        self.time = at
        return self.send(self.book.reset_time, request.collect_events()[0])

    def set_rules(self, at: datetime | None = None, **rules: Any) -> list[Event]:
        """Gives the asset an instrument of its own."""
        request = InstrumentRequest.make(
            request_id(self.commands + 1),
            user_id="operator",
            asset=self.asset,
            instrument=Instrument(**rules),
            time=self._next(at),
        )
        return self.send(self.book.change_instrument, request.collect_events()[0])

    def rules_for(self, user: str) -> Rules:
        """What the venue would say; ``suspended`` users are set by tests."""
        return Rules(self.default, user in self.suspended)

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
            user_id=self.users.get(name, "user"),
            asset=self.asset,
            order_id=order_id(name),
            time=time,
        ).collect_events()[0]

    def replace_request(self, name: str, time: datetime, **changes: int | None) -> Command:
        return ReplaceRequest.make(
            request_id(self.commands),
            user_id=self.users.get(name, "user"),
            asset=self.asset,
            order_id=order_id(name),
            time=time,
            **changes,
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
        quantity: int | None,
        price: int | None,
        **facts: Any,
    ) -> Event:
        """A decision about an arriving order; ``facts`` are those that are not as of most."""
        nothing = {
            "fills": (),
            "prevented": (),
            "rested": 0,
            "lowered": 0,
            "waits": False,
            "conditions": None,
            "reason": None,
            "triggered": (),
            "queued": None,
            "unfinished": False,
        }
        facts.setdefault("shown", facts.get("rested", 0))
        return event(
            OrderBook.Matched,
            side=side,
            price=price,
            quantity=quantity,
            **_tuples({**self._common(name), **nothing, **facts}),
        )

    def cancelled(
        self, name: str, side: Side, remaining: int, price: int | None, **facts: Any
    ) -> Event:
        facts.setdefault("shown", remaining)
        return event(
            OrderBook.Cancelled,
            request_id=request_id(self.commands),
            side=side,
            price=price,
            remaining=remaining,
            reason=CancelReason.USER_REQUEST,
            **_tuples({**self._common(name), **facts}),
        )

    def reduced(
        self,
        name: str,
        side: Side,
        quantity: int,
        price: int | None,
        *,
        remaining: int,
        was: int,
        **facts: Any,
    ) -> Event:
        """``was`` is what remained before."""
        usual = {"shown": remaining, "previous_shown": was, "conditions": None}
        return event(
            OrderBook.Reduced,
            request_id=request_id(self.commands),
            side=side,
            price=price,
            quantity=quantity,
            remaining=remaining,
            previous_remaining=was,
            **_tuples({**self._common(name), **usual, **facts}),
        )

    def replaced(
        self,
        name: str,
        side: Side,
        quantity: int,
        price: int | None,
        *,
        was: tuple[int, int | None],
        **facts: Any,
    ) -> Event:
        """``was`` is what remained before, and its price."""
        previous_remaining, previous_price = was
        usual = {
            "previous_shown": previous_remaining,
            "fills": (),
            "prevented": (),
            "rested": 0,
            "lowered": 0,
            "waits": False,
            "conditions": None,
            "reason": None,
            "triggered": (),
            "queued": None,
            "unfinished": False,
        }
        facts.setdefault("shown", facts.get("rested", 0))
        return event(
            OrderBook.Replaced,
            request_id=request_id(self.commands),
            side=side,
            price=price,
            quantity=quantity,
            previous_price=previous_price,
            previous_remaining=previous_remaining,
            **_tuples({**self._common(name), **usual, **facts}),
        )

    def refused(
        self,
        name: str,
        reason: RejectReason,
        *,
        request: UUID | None = None,
        limit: int | None = None,
        **facts: Any,
    ) -> Event:
        """Refused is the order itself, unless a ``request`` is told."""
        return event(
            OrderBook.Refused,
            request_id=request,
            reason=reason,
            limit=limit,
            **_tuples({**self._common(name), **facts}),
        )

    def request_refused(
        self, name: str, reason: RejectReason, limit: int | None = None, **facts: Any
    ) -> Event:
        return self.refused(name, reason, request=request_id(self.commands), limit=limit, **facts)

    def of_all(self, kind: type[Any], user: str, **facts: Any) -> Event:
        """A decision that is not about one order: ``departed`` says which left."""
        common: dict[str, Any] = {"request_id": request_id(self.commands), "user_id": user}
        if kind is OrderBook.MassCancelled:
            common["reason"] = None
        return event(kind, **_tuples({**self._place(), **common, **facts}))

    def _common(self, name: str) -> dict[str, Any]:
        about = {"order_id": order_id(name), "user_id": self.users.get(name, "user")}
        return self._place() | about

    def _place(self) -> dict[str, Any]:
        return {
            "originator_id": self.book.id,
            "originator_version": self.commands,
            "timestamp": self.time,
            "asset": self.asset,
            "position": self.position,
            "expired": (),
            "leaving": 0,
            "continues": False,
        }

    # What rests: (name, remaining, price), first in priority first.

    @property
    def bids(self) -> list[tuple[str, int, int | None]]:
        return self._resting(Side.BUY)

    @property
    def asks(self) -> list[tuple[str, int, int | None]]:
        return self._resting(Side.SELL)

    def _resting(self, side: Side) -> list[tuple[str, int, int | None]]:
        return [
            (self.names[order.order_id], order.remaining, order.price)
            for order in self.book.book.walk(side)
        ]


class Exchange(Market):
    """A market whose orders are told their outcomes, as each decision is made."""

    def __init__(self, asset: str = "BTC-USD") -> None:
        super().__init__(asset)
        self.orders: dict[UUID, Order] = {}
        self.stories: dict[UUID, list[Event]] = {}
        self.outcomes: list[Outcome] = []

    def __getitem__(self, name: str) -> Order:
        return self.orders[order_id(name)]

    def story(self, name: str) -> list[Event]:
        """The order's events since it was last asked for."""
        events = list(self[name].collect_events())
        self.stories.setdefault(order_id(name), []).extend(events)
        return events

    def new_order(self, name: str, terms: Terms, time: datetime) -> Command:
        order = Order.place(order_id(name), terms, time)
        self.orders[order.id] = order
        return order.pending_events[0]

    def _new(self) -> list[Event]:
        events = super()._new()
        for each in events:
            self.outcomes = outcomes(each)
            assert {*touched(each)} == {outcome.order_id for outcome in self.outcomes}
            for outcome in self.outcomes:
                if outcome.order_id in self.orders:  # a request may name one never placed
                    self.orders[outcome.order_id].record(outcome.event, **outcome.facts)
        return events
