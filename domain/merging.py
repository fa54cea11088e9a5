"""The merging of a decision's outcomes for one order into at most one event.

At most one outcome per order and decision: all its fills in it, as taker and as maker, and
the one event that says most of what happened.
"""

from typing import Any, Final, NamedTuple
from uuid import UUID

from domain.errors import CancelReason
from domain.order import Order
from domain.order_book import OrderBook
from domain.values import OrderStatus

# The events that may be of one order and decision: the one that says most is recorded.
_WEIGHT: Final[dict[type[Order.Decided], int]] = {
    event: weight
    for weight, event in enumerate(
        (
            Order.RequestRefused,
            Order.Opened,
            Order.Filled,
            Order.Decremented,
            Order.Expired,
            Order.Rejected,
            Order.Cancelled,
            Order.Triggered,
            Order.Replaced,
        )
    )
}
TRADED: Final = {"fills": (), "quantity": None}
# The facts of each event that no outcome has given.
NOTHING: Final[dict[type[Order.Decided], dict[str, Any]]] = {
    Order.RequestRefused: {"limit": None},
    Order.Opened: {},
    Order.Filled: TRADED,
    Order.Decremented: TRADED,
    Order.Expired: {**TRADED, "request_id": None},
    Order.Rejected: {"limit": None},
    Order.Cancelled: {**TRADED, "request_id": None},
    Order.Triggered: {**TRADED, "reason": None, "rejection": None, "limit": None},
    Order.Replaced: {**TRADED, "reason": None, "stop_price": None, "display_quantity": None},
}
_ALWAYS: Final = frozenset({"book_version", "timestamp", "status"})
_NEEDED: Final = {
    Order.RequestRefused: {"request_id", "reason"},
    Order.Rejected: {"reason"},
    Order.Expired: {"reason"},
    Order.Cancelled: {"reason"},
    Order.Replaced: {"request_id", "price"},
}
_FACTS: Final = {
    event: _ALWAYS | nothing.keys() | _NEEDED.get(event, set())
    for event, nothing in NOTHING.items()
}


class Outcome(NamedTuple):
    """An event that an order is to record: see Order.record."""

    order_id: UUID
    event: type[Order.Decided]
    facts: dict[str, Any]


class Told:
    """The outcomes so far, in the order in which each order is first mentioned."""

    def __init__(self, decision: OrderBook.Decided) -> None:
        self._version = decision.originator_version
        self._time = decision.timestamp
        self._orders: dict[int, tuple[UUID, list[Any]]] = {}  # by the id's integer; event, facts

    def tell(self, order_id: UUID, event: type[Order.Decided] | None, **facts: Any) -> None:
        """Add to what is known of an order. None: the event that it already is, or filled."""
        known = self._orders.get(order_id.int)
        if known is None:
            facts["book_version"] = self._version
            facts["timestamp"] = self._time
            self._orders[order_id.int] = (order_id, [event or Order.Filled, facts])
            return
        _, (before, all_facts) = known
        if "fills" in facts:
            facts["fills"] = (*all_facts.get("fills", ()), *facts["fills"])
        all_facts.update(facts)
        if event is not None and _WEIGHT[event] > _WEIGHT[before]:
            known[1][0] = event

    def left(self, order_id: UUID, reason: CancelReason, request_id: UUID | None) -> None:
        """An order left without trading."""
        if reason.by_engine:
            self.tell(order_id, Order.Expired, reason=reason, status=OrderStatus.EXPIRED)
        else:
            self.tell(
                order_id,
                Order.Cancelled,
                reason=reason,
                status=OrderStatus.CANCELLED,
                request_id=request_id,
            )

    def outcomes(self) -> list[Outcome]:
        return [
            Outcome(order_id, event, {**NOTHING[event], **_only(event, facts)})
            for order_id, (event, facts) in self._orders.values()
        ]


def _only(event: type[Order.Decided], facts: dict[str, Any]) -> dict[str, Any]:
    """Those facts that an event of this kind has."""
    known = _FACTS[event]
    if facts.keys() <= known:
        return facts
    return {name: fact for name, fact in facts.items() if name in known}
