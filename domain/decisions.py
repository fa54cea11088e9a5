"""What a book decides, as events: the facts, and how they are applied, which cannot fail.

They are the events of the aggregate OrderBook, which has them under the same names.
"""

from typing import Any
from uuid import UUID

from domain.aggregate import Aggregate
from domain.errors import CancelReason, RejectReason
from domain.facts import Departure, Execution, Fill, Prevented
from domain.instrument import Instrument, delists
from domain.values import Conditions, Side


def _upcast_decided(state: dict[str, Any]) -> None:
    state["expired"] = []


def _upcast_arrived(state: dict[str, Any]) -> None:
    _upcast_decided(state)
    state.update(
        prevented=[], shown=state["rested"], lowered=0, waits=False, conditions=None, triggered=[]
    )


class Event(Aggregate.Event):
    """Anything that happens to a book."""


class Decided(Event):
    """What the book decided about the command at ``position``. Never alone.

    ``expired``: the orders whose time was over by then; they left before all else.
    """

    TOPIC = "book.decided"
    class_version = 2

    asset: str
    position: int
    expired: tuple[Departure, ...]

    def apply(self, aggregate: Any) -> None:
        aggregate.position = self.position
        for departure in self.expired:
            aggregate.floor.leave(departure.order_id)


class Arrived(Decided):
    """An order came to the book: what it traded, and whether the rest rests, waits, or is gone.

    Never alone.

    ``rested`` is the quantity now in the book, with these ``conditions``, or waiting for a
    trigger. A ``reason`` says that there was more, and why it is gone. ``triggered`` is
    what its trades set off.
    """

    TOPIC = "book.arrived"
    class_version = 2

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

    def apply(self, aggregate: Any) -> None:
        super().apply(aggregate)
        aggregate.floor.arrive(self, self.conditions, waits=self.waits)
        for execution in self.triggered:
            aggregate.floor.trigger(execution)


class Matched(Arrived):
    """An order arrived."""

    TOPIC = "book.matched"
    class_version = 2

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        _upcast_arrived(state)


class Cancelled(Decided):
    """An order left the book on request; ``remaining`` was still to be traded."""

    TOPIC = "book.cancelled"
    class_version = 2

    order_id: UUID
    user_id: str
    request_id: UUID
    side: Side
    price: int | None
    remaining: int
    shown: int
    reason: CancelReason

    def apply(self, aggregate: Any) -> None:
        super().apply(aggregate)
        aggregate.floor.leave(self.order_id)

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        _upcast_decided(state)
        state["shown"] = state["remaining"]


class Reduced(Decided):
    """An order was changed, mostly to a smaller total quantity, and kept its place."""

    TOPIC = "book.reduced"
    class_version = 2

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

    def apply(self, aggregate: Any) -> None:
        super().apply(aggregate)
        aggregate.floor.amend(self.order_id, self.price, self.quantity, self.conditions)

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        _upcast_decided(state)
        state["shown"] = state["remaining"]
        state["previous_shown"] = state["previous_remaining"]
        state["conditions"] = None


class Replaced(Arrived):
    """An order left its place and arrived anew, with its new price and quantity.

    ``quantity`` is the new total, what was filled before included.
    """

    TOPIC = "book.replaced"
    class_version = 2

    quantity: int
    request_id: UUID
    previous_price: int | None
    previous_remaining: int
    previous_shown: int

    def apply(self, aggregate: Any) -> None:
        aggregate.floor.leave(self.order_id)
        super().apply(aggregate)

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        _upcast_arrived(state)
        state["previous_shown"] = state["previous_remaining"]
        state["reason"] = None


class Refused(Decided):
    """The command was refused; the book is as it was, but for what expired.

    No ``request_id``: the order itself. No ``order_id``: a request about none. ``limit``
    is what the rule allows, in units.
    """

    TOPIC = "book.refused"
    class_version = 2

    order_id: UUID | None
    user_id: str
    request_id: UUID | None
    reason: RejectReason
    limit: int | None

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        _upcast_decided(state)
        state["limit"] = None


class MassCancelled(Decided):
    """All orders of a user left, as the user asked, or since the user is suspended."""

    TOPIC = "book.mass_cancelled"
    class_version = 2

    user_id: str
    request_id: UUID
    departed: tuple[Departure, ...]

    def apply(self, aggregate: Any) -> None:
        super().apply(aggregate)
        for departure in self.departed:
            aggregate.floor.leave(departure.order_id)


class Expired(Decided):
    """The clock was heard: what was due has left."""

    TOPIC = "book.expired"
    class_version = 2

    user_id: str
    request_id: UUID


class InstrumentChanged(Decided):
    """The asset has other rules, or is delisted as all assets without rules are (None)."""

    TOPIC = "book.instrument_changed"
    class_version = 3

    user_id: str
    request_id: UUID
    instrument: Instrument | None
    departed: tuple[Departure, ...]

    def apply(self, aggregate: Any) -> None:
        super().apply(aggregate)
        aggregate.floor.instrument = self.instrument
        for departure in self.departed:
            aggregate.floor.leave(departure.order_id)
        if delists(self.instrument):
            aggregate.floor.last_price = None

    @staticmethod
    def upcast_v2_v3(state: dict[str, Any]) -> None:
        del state  # the limits of an instrument that has none are read as None


class TimeReset(Decided):
    """The book goes on from ``timestamp``, which may be before its time so far."""

    TOPIC = "book.time_reset"
    class_version = 1

    user_id: str
    request_id: UUID
