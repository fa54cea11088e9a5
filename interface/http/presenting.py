"""Orders, trades, books and instruments as JSON.

In camelCase, amounts exact, times in UTC with a Z.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from application.contents.parts import Amount
from application.messages import amount, sentence
from application.views.books import BookRows, LevelRow, RestingRow
from application.views.instruments import InstrumentRow
from application.views.order_rows import OrderRow
from application.views.trades import TradeRow
from domain.errors import CancelReason, Reason, RejectReason
from domain.instrument import Instrument
from domain.values import OrderStatus, SelfTradePrevention, average_price, format_notional
from interface.http.api import Answer

Json = dict[str, Any]

_REFUSALS: Final[Mapping[str, Reason]] = {reason.value: reason for reason in RejectReason}
_ENDS: Final[Mapping[str, Reason]] = {reason.value: reason for reason in CancelReason}


def answer(status: int, body: Json, headers: Mapping[str, str] | None = None) -> Answer:
    return (
        msgspec.json.encode(body),
        status,
        {"Content-Type": "application/json", **(headers or {})},
    )


def order(row: OrderRow) -> Json:
    """An order as its user sees it; null: not given, or not there yet.

    Fields with their defaults, false and NONE, are left out.
    """
    remaining = None if row.quantity is None else row.quantity - row.filled_quantity
    prevention = row.self_trade_prevention
    return {
        "orderId": row.order_id,
        "userId": row.user_id,
        "asset": row.asset,
        "type": row.side,
        "price": _amount(row.price),
        "quantity": _amount(row.quantity),
        "status": row.status,
        "createdAt": _time(row.created_at),
        "updatedAt": _time(row.updated_at),
        "orderType": row.order_type,
        "timeInForce": row.time_in_force,
        "filledQuantity": amount(row.filled_quantity),
        "remainingQuantity": _amount(remaining),
        "averagePrice": _amount(average_price(row.notional, row.filled_quantity)),
        "filledNotional": Amount(format_notional(row.notional)),
        "clientOrderId": row.client_order_id,
        "stopPrice": _amount(row.stop_price),
        "takeProfit": row.take_profit or None,
        "displayQuantity": _amount(row.display_quantity),
        "expiresAt": _time(row.expires_at),
        "postOnly": row.post_only or None,
        "selfTradePrevention": None if prevention == SelfTradePrevention.NONE else prevention,
        "quoteQuantity": _amount(row.quote_quantity),
        "reason": row.reason,
        "reasonText": _reason_text(row),
    }


def trade(row: TradeRow) -> Json:
    return {
        "tradeId": row.trade_id,
        "asset": row.asset,
        "price": amount(row.price),
        "quantity": amount(row.quantity),
        "makerOrderId": row.maker_order_id,
        "takerOrderId": row.taker_order_id,
        "takerSide": row.taker_side,
        "executedAt": _time(row.executed_at),
    }


def book(asset: str, rows: BookRows[LevelRow] | BookRows[RestingRow]) -> Json:
    """A book, best price first, by price levels or by orders."""
    return {
        "asset": asset,
        "version": rows.version,
        "bids": _side(rows.bids),
        "asks": _side(rows.asks),
    }


def rules(
    asset: str,
    instrument: Instrument,
    updated_at: datetime | None = None,
    user_id: str | None = None,
) -> Json:
    """The rules that hold for an asset; null: no such rule, or nobody gave them."""
    hour, minute = divmod(instrument.session_end, 60)
    return {
        "asset": asset,
        "tickSize": amount(instrument.tick_size),
        "lotSize": amount(instrument.lot_size),
        "minQuantity": _amount(instrument.min_quantity),
        "maxQuantity": amount(instrument.most),
        "minNotional": _amount(instrument.min_notional),
        "minPrice": _amount(instrument.min_price),
        "maxPrice": _amount(instrument.max_price),
        "bandPercent": _amount(instrument.band_percent),
        "sessionEnd": f"{hour:02}:{minute:02}",
        "status": instrument.status,
        "maxOpenOrders": instrument.limits.max_open_orders,
        "maxOpenStopsPerUser": instrument.limits.max_user_stops,
        "maxOpenStops": instrument.limits.max_stops,
        "maxSlices": instrument.limits.max_slices,
        "updatedAt": _time(updated_at),
        "userId": user_id,
    }


def instrument(row: InstrumentRow) -> Json:
    """The rules of an asset that has rules of its own."""
    return rules(row.asset, row.instrument, row.updated_at, row.user_id)


def _reason_text(row: OrderRow) -> str | None:
    """The reason's sentence. One code may be both, why an order was refused and why it left."""
    reasons = _REFUSALS if row.status == OrderStatus.REJECTED else _ENDS
    return None if row.reason is None else sentence(reasons.get(row.reason), row.reason_limit)


def _amount(units: int | None) -> Amount | None:
    return None if units is None else amount(units)


def _time(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)


def _side(rows: Sequence[LevelRow] | Sequence[RestingRow]) -> list[Json]:
    return [_level(row) if isinstance(row, LevelRow) else _resting(row) for row in rows]


def _level(row: LevelRow) -> Json:
    return {"price": amount(row.price), "quantity": amount(row.quantity), "orders": row.orders}


def _resting(row: RestingRow) -> Json:
    return {
        "orderId": row.order_id,
        "price": amount(row.price),
        "quantity": amount(row.quantity),
    }
