"""The decisions of a book, as events: the facts, and their application, which cannot fail.

They are the events of the aggregate OrderBook, which has them under the same names.
"""

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from domain.aggregate import Aggregate
from domain.errors import CancelReason, RejectReason
from domain.facts import Departure, Execution, Fill, Left, Prevented, Queued
from domain.floor import Floor
from domain.instrument import Instrument, delists
from domain.values import Conditions, Side, continuation_id


def _upcast_decided(state: dict[str, object]) -> None:
    state["expired"] = []


def _upcast_unbounded(state: dict[str, object]) -> None:
    """An event of releases that left nothing for later events."""
    state.update(leaving=0, continues=False)


def _upcast_unbounded_arrival(state: dict[str, object]) -> None:
    _upcast_unbounded(state)
    state.update(queued=None, unfinished=False)


def _upcast_arrived(state: dict[str, object]) -> None:
    _upcast_decided(state)
    state.update(
        prevented=[], shown=state["rested"], lowered=0, waits=False, conditions=None, triggered=[]
    )


class Decider(Protocol):
    """The part of an OrderBook that its events change."""

    position: int
    floor: Floor


class Event(Aggregate.Event):
    """Anything that happens to a book."""


class Decided(Event):
    """The decision of a book about the command at ``position``; a base class.

    ``expired``: the orders whose time was over by then; they left before all else.
    ``leaving``: how many more left, whose departures later events hold. ``continues``: from here
    on something is left for later events, and the engine asks that the book go on.
    """

    TOPIC = "book.decided"
    class_version = 3

    asset: str
    position: int
    expired: tuple[Departure, ...]
    leaving: int
    continues: bool

    def apply(self, aggregate: Decider) -> None:
        aggregate.position = self.position
        floor = aggregate.floor
        for departure in self.expired:
            floor.leave(departure.order_id)
        if self.leaving:
            floor.retire(floor.due(self.timestamp), CancelReason.TIME_EXPIRED)
        if self.continues:
            floor.continuation = continuation_id(self.originator_id, self.originator_version)


class Arrived(Decided):
    """An order came to the book: what it traded, and whether the rest rests, waits, or is gone.

    Never alone.

    ``rested`` is the quantity now in the book, with these ``conditions``, or waiting for a
    trigger. A ``reason`` says that there was more, and why it is gone; ``queued``, that there
    is more, and that its turn is to come. ``triggered`` is what its trades set off; it is
    ``unfinished`` where not all of that fits into this event.
    """

    TOPIC = "book.arrived"
    class_version = 3

    order_id: UUID
    user_id: str
    side: Side
    price: int | None
    quantity: int | None
    fills: tuple[Fill, ...]
    prevented: tuple[Prevented, ...]
    rested: int
    shown: int
    lowered: int
    waits: bool
    conditions: Conditions | None
    reason: CancelReason | None
    triggered: tuple[Execution, ...]
    queued: Queued | None
    unfinished: bool

    def apply(self, aggregate: Decider) -> None:
        super().apply(aggregate)
        floor = aggregate.floor
        floor.arrive(self, self.conditions, waits=self.waits)
        if self.unfinished:
            floor.line_up(self.fills)
        if self.triggered:
            _proceed(floor, self.triggered, unfinished=self.unfinished)


def _proceed(floor: Floor, executions: Iterable[Execution], *, unfinished: bool) -> None:
    """Apply turns; the stops that are reached all have theirs, unless it is unfinished."""
    for execution in executions:
        floor.proceed(execution)
        if unfinished:
            floor.line_up(execution.fills)


class Matched(Arrived):
    """An order arrived."""

    TOPIC = "book.matched"
    class_version = 3

    upcast_v1_v2 = staticmethod(_upcast_arrived)
    upcast_v2_v3 = staticmethod(_upcast_unbounded_arrival)


class Cancelled(Decided):
    """An order left the book on request; ``remaining`` was still to be traded."""

    TOPIC = "book.cancelled"
    class_version = 3

    order_id: UUID
    user_id: str
    request_id: UUID
    side: Side
    price: int | None
    remaining: int
    shown: int
    reason: CancelReason

    def apply(self, aggregate: Decider) -> None:
        super().apply(aggregate)
        aggregate.floor.leave(self.order_id)

    @staticmethod
    def upcast_v1_v2(state: dict[str, object]) -> None:
        _upcast_decided(state)
        state["shown"] = state["remaining"]

    upcast_v2_v3 = staticmethod(_upcast_unbounded)


class Reduced(Decided):
    """An order was changed, mostly to a smaller total quantity, and kept its place."""

    TOPIC = "book.reduced"
    class_version = 3

    order_id: UUID
    user_id: str
    request_id: UUID
    side: Side
    price: int | None
    quantity: int
    remaining: int
    shown: int
    previous_remaining: int
    previous_shown: int
    conditions: Conditions | None

    def apply(self, aggregate: Decider) -> None:
        super().apply(aggregate)
        aggregate.floor.amend(self.order_id, self.price, self.quantity, self.conditions)

    @staticmethod
    def upcast_v1_v2(state: dict[str, object]) -> None:
        _upcast_decided(state)
        state["shown"] = state["remaining"]
        state["previous_shown"] = state["previous_remaining"]
        state["conditions"] = None

    upcast_v2_v3 = staticmethod(_upcast_unbounded)


class Replaced(Arrived):
    """An order left its place and arrived anew, with its new price and quantity.

    ``quantity`` is the new total, what was filled before included.
    """

    TOPIC = "book.replaced"
    class_version = 3

    quantity: int
    request_id: UUID
    previous_price: int | None
    previous_remaining: int
    previous_shown: int

    def apply(self, aggregate: Decider) -> None:
        aggregate.floor.leave(self.order_id)
        super().apply(aggregate)

    @staticmethod
    def upcast_v1_v2(state: dict[str, object]) -> None:
        _upcast_arrived(state)
        state["previous_shown"] = state["previous_remaining"]
        state["reason"] = None

    upcast_v2_v3 = staticmethod(_upcast_unbounded_arrival)


class Refused(Decided):
    """The command was refused; the book is as it was, but for what expired.

    No ``request_id``: the order itself. No ``order_id``: a request about none. ``limit``
    is what the rule allows, in units.
    """

    TOPIC = "book.refused"
    class_version = 3

    order_id: UUID | None
    user_id: str
    request_id: UUID | None
    reason: RejectReason
    limit: int | None

    def apply(self, aggregate: Decider) -> None:
        super().apply(aggregate)
        floor = aggregate.floor
        if self.request_id is not None and self.request_id == floor.continuation:
            floor.continuation = None  # it failed: the next event asks again

    @staticmethod
    def upcast_v1_v2(state: dict[str, object]) -> None:
        _upcast_decided(state)
        state["limit"] = None

    upcast_v2_v3 = staticmethod(_upcast_unbounded)


class MassCancelled(Decided):
    """All orders of a user left, as the user asked, or since the user is suspended."""

    TOPIC = "book.mass_cancelled"
    class_version = 3

    user_id: str
    request_id: UUID
    departed: tuple[Departure, ...]
    reason: CancelReason | None  # of those that later events hold; None: there are none

    def apply(self, aggregate: Decider) -> None:
        super().apply(aggregate)
        floor = aggregate.floor
        for departure in self.departed:
            floor.leave(departure.order_id)
        if self.reason is not None:
            floor.retire(floor.orders_of(self.user_id), self.reason, self.request_id)

    @staticmethod
    def upcast_v2_v3(state: dict[str, object]) -> None:
        _upcast_unbounded(state)
        state["reason"] = None


class Expired(Decided):
    """The clock was heard: what was due has left."""

    TOPIC = "book.expired"
    class_version = 3

    user_id: str
    request_id: UUID

    upcast_v2_v3 = staticmethod(_upcast_unbounded)


class InstrumentChanged(Decided):
    """The asset has other rules, or is delisted as all assets without rules are (None)."""

    TOPIC = "book.instrument_changed"
    class_version = 4

    user_id: str
    request_id: UUID
    instrument: Instrument | None
    departed: tuple[Departure, ...]

    def apply(self, aggregate: Decider) -> None:
        super().apply(aggregate)
        floor = aggregate.floor
        floor.instrument = self.instrument
        for departure in self.departed:
            floor.leave(departure.order_id)
        if delists(self.instrument):
            if self.leaving:
                orders = list(floor.all_orders())
                floor.retire(orders, CancelReason.DELISTED, self.request_id)
            floor.last_price = None

    @staticmethod
    def upcast_v2_v3(state: dict[str, object]) -> None:
        del state  # the limits of an instrument that has none are read as None

    upcast_v3_v4 = staticmethod(_upcast_unbounded)


class TimeReset(Decided):
    """The book goes on from ``timestamp``, which may be before its time so far."""

    TOPIC = "book.time_reset"
    class_version = 2

    user_id: str
    request_id: UUID

    upcast_v1_v2 = staticmethod(_upcast_unbounded)


class Continued(Decided):
    """The book went on with what earlier events had no room for.

    ``departed`` left before. Then ``executed`` had their turns; it is ``unfinished`` where some
    are still to have theirs.
    """

    TOPIC = "book.continued"
    class_version = 1

    user_id: str
    request_id: UUID
    departed: tuple[Left, ...]
    executed: tuple[Execution, ...]
    unfinished: bool

    def apply(self, aggregate: Decider) -> None:
        floor = aggregate.floor
        floor.continuation = None
        super().apply(aggregate)
        for _ in self.departed:
            floor.departing.popleft()
        _proceed(floor, self.executed, unfinished=self.unfinished)
