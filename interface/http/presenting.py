"""Orders, trades and books as JSON: camelCase, amounts exact, times in UTC with a Z."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from itertools import chain
from typing import Any, Final

import msgspec

from application.messages import amount
from application.views.books import BookRows, LevelRow, RestingRow
from application.views.orders import OrderRow
from application.views.trades import TradeRow
from domain.errors import CancelReason, RejectReason
from domain.values import average_price
from interface.http.wsgi import Answer

Json = dict[str, Any]

_SENTENCES: Final[Mapping[str, str]] = {
    reason.value: reason.sentence for reason in chain(RejectReason, CancelReason)
}


def answer(status: int, body: Json, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(msgspec.json.encode(body), status, headers, content_type="application/json")


def order(row: OrderRow) -> Json:
    """An order as its user sees it; null: not given, or not there yet."""
    average = average_price(row.notional, row.filled_quantity)
    return {
        "orderId": row.order_id,
        "userId": row.user_id,
        "asset": row.asset,
        "type": row.side,
        "price": amount(row.price),
        "quantity": amount(row.quantity),
        "status": row.status,
        "createdAt": row.created_at.astimezone(UTC),
        "updatedAt": row.updated_at.astimezone(UTC),
        "orderType": row.order_type,
        "timeInForce": row.time_in_force,
        "filledQuantity": amount(row.filled_quantity),
        "remainingQuantity": amount(row.quantity - row.filled_quantity),
        "averagePrice": None if average is None else amount(average),
        "clientOrderId": row.client_order_id,
        "reason": row.reason,
        "reasonText": sentence(row.reason),
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
        "executedAt": row.executed_at.astimezone(UTC),
    }


def book(asset: str, rows: BookRows[LevelRow] | BookRows[RestingRow]) -> Json:
    """A book, best price first, by price levels or by orders."""
    return {
        "asset": asset,
        "version": rows.version,
        "bids": _side(rows.bids),
        "asks": _side(rows.asks),
    }


def sentence(reason: str | None) -> str | None:
    """The sentence of a reason's code."""
    return None if reason is None else _SENTENCES.get(reason)


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
