"""The rows of the order view, and how events make and change them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from application.persistence.log import Entry
from application.views.view import Rows
from domain.order import Order
from domain.order_book import OrderBook
from domain.outcomes import outcomes
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import OrderStatus

ENDED_STATUSES: Final = frozenset(status for status in OrderStatus if status.is_terminal)
OPEN_STATUSES: Final = frozenset(OrderStatus) - ENDED_STATUSES

# A stretch of the log is this many positions: see the table of periods.
STRETCH: Final = 4_096


class OrderRow(NamedTuple):
    """An order; amounts in units, ``notional`` in price units x quantity units.

    ``reason_limit`` is what the rule allows that is the ``reason``, where it has a number.
    ``position`` is the place of its placing in the log of Orders: newer is larger.
    """

    order_id: UUID
    user_id: str
    asset: str
    side: str
    order_type: str
    time_in_force: str
    price: int | None
    quantity: int | None
    filled_quantity: int
    notional: int
    status: str
    reason: str | None
    reason_limit: int | None
    client_order_id: str | None
    post_only: bool
    stop_price: int | None
    take_profit: bool
    display_quantity: int | None
    expires_at: datetime | None
    self_trade_prevention: str
    quote_quantity: int | None
    created_at: datetime
    updated_at: datetime
    position: int

    @classmethod
    def of(cls, order: Order, position: int = 0) -> Self:
        """The row that the view will hold of an order that is at hand."""
        terms = order.terms
        return cls(
            order_id=order.id,
            user_id=terms.user_id,
            asset=terms.asset,
            side=terms.side,
            order_type=terms.order_type,
            time_in_force=terms.time_in_force,
            price=order.price,
            quantity=order.quantity,
            filled_quantity=order.filled_quantity,
            notional=order.notional,
            status=order.status,
            reason=order.reason,
            reason_limit=order.limit,
            client_order_id=terms.client_order_id,
            post_only=terms.post_only,
            stop_price=order.stop_price,
            take_profit=terms.take_profit,
            display_quantity=order.display_quantity,
            expires_at=terms.expires_at,
            self_trade_prevention=terms.self_trade_prevention,
            quote_quantity=terms.quote_quantity,
            created_at=order.created_on,
            updated_at=order.updated_on,
            position=position,
        )

    @classmethod
    def from_columns(cls, row: dict[str, Any]) -> Self:
        """The row as PostgreSQL returns it, in which ``notional`` is a Decimal."""
        return cls(**{**row, "notional": int(row["notional"])})


def changes(entries: Sequence[Entry]) -> dict[str, Rows]:
    """Return what a batch of events does to the tables, by the names of steps and tables.

    ``entries`` have the commands of Orders' log before Matching's decisions of them. An order of
    the batch is written once, as its last event in it leaves it.
    """
    placed: dict[int, dict[str, Any]] = {}  # by the id's integer: a UUID hashes in Python
    changed: dict[int, dict[str, Any]] = {}
    requests: dict[tuple[int, int], dict[str, Any]] = {}
    for position, event in entries:
        match event:
            case Order.Created():
                placed[event.originator_id.int] = _placed(event, position)
            case CancelRequest.Created() | ReplaceRequest.Created():
                _ask(requests, event.order_id, event.originator_id)
            case OrderBook.Decided():
                for order_id, kind, facts in outcomes(event):
                    if kind is Order.RequestRefused:
                        continue
                    row = placed.get(order_id.int) or changed.get(order_id.int)
                    if row is None:
                        row = changed[order_id.int] = _unchanged(order_id)
                    _decide(row, kind, facts)
                    if kind is Order.Cancelled and facts["request_id"] is not None:
                        _ask(requests, order_id, facts["request_id"])
    orders = list(placed.values())
    return {
        "changed": list(changed.values()),
        "requests": list(requests.values()),
        "periods": _periods(orders),
        "orders": orders,
        "open_orders": [_open(row) for row in orders if row["status"] in OPEN_STATUSES],
    }


def _placed(event: Order.Created, position: int) -> dict[str, Any]:
    """The row of a new order, its columns in their order: see OrderRow.of."""
    return {
        "order_id": event.originator_id,
        "user_id": event.user_id,
        "asset": event.asset,
        "side": event.side,
        "order_type": event.order_type,
        "time_in_force": event.time_in_force,
        "price": event.price,
        "quantity": event.quantity,
        "filled_quantity": 0,
        "notional": 0,
        "status": OrderStatus.PENDING,
        "reason": None,
        "reason_limit": None,
        "client_order_id": event.client_order_id,
        "post_only": event.post_only,
        "stop_price": event.stop_price,
        "take_profit": event.take_profit,
        "display_quantity": event.display_quantity,
        "expires_at": event.expires_at,
        "self_trade_prevention": event.self_trade_prevention,
        "quote_quantity": event.quote_quantity,
        "created_at": event.timestamp,
        "updated_at": event.timestamp,
        "position": position,
    }


def _open(row: dict[str, Any]) -> dict[str, Any]:
    return {"position": row["position"], "user_id": row["user_id"], "asset": row["asset"]}


def _periods(placed: Sequence[dict[str, Any]]) -> Rows:
    """The first and the last creation time of the new orders in each stretch of the log."""
    periods: dict[int, dict[str, Any]] = {}
    for row in placed:
        stretch, time = row["position"] // STRETCH, row["created_at"]
        period = periods.get(stretch)
        if period is None:
            periods[stretch] = {"stretch": stretch, "earliest": time, "latest": time}
        elif time > period["latest"]:
            period["latest"] = time
        elif time < period["earliest"]:
            period["earliest"] = time
    return list(periods.values())


def _unchanged(order_id: UUID) -> dict[str, Any]:
    """The change of a row that is there already, before the first event."""
    return {"order_id": order_id, "filled_quantity": 0, "notional": 0}


def _decide(row: dict[str, Any], kind: type[Order.Decided], facts: Mapping[str, Any]) -> None:
    """Apply an outcome to a new order's row, or to the change of one that is there.

    A status that is not told stays as it is.
    """
    if (status := facts.get("status")) is not None:
        row["status"] = status
    row["updated_at"] = facts["timestamp"]
    for fill in facts.get("fills", ()):
        row["filled_quantity"] += fill.quantity
        row["notional"] += fill.price * fill.quantity
    if (quantity := facts.get("quantity")) is not None:
        row["quantity"] = quantity
    if kind is Order.Replaced:
        for name in ("price", "stop_price", "display_quantity"):
            if (changed := facts[name]) is not None:
                row[name] = changed
    reason = facts.get("rejection") or facts.get("reason")
    if reason is not None:
        row["reason"], row["reason_limit"] = reason, facts.get("limit")


def _ask(requests: dict[tuple[int, int], dict[str, Any]], order_id: UUID, request_id: UUID) -> None:
    """Note a request about an order, once."""
    requests[order_id.int, request_id.int] = {"order_id": order_id, "request_id": request_id}
