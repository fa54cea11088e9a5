"""The turn of an order: it trades, and the rest of it rests or leaves."""

from typing import Final

from domain.book import RestingOrder, shown_of
from domain.errors import CancelReason
from domain.facts import Execution, Queued
from domain.floor import Floor
from domain.instrument import Instrument, Refusal
from domain.queue import InTurn
from domain.sweep import Sweep, Taker
from domain.values import PLAIN, UNITS_PER_ONE, Side, TimeInForce, Turn

_BUY: Final = Side.BUY
_FOK: Final = TimeInForce.FOK  # see book.py on names like this one
_IOC: Final = TimeInForce.IOC


def execute(
    floor: Floor,
    instrument: Instrument,
    entry: InTurn,
    parts: int | None = None,
) -> Execution:
    """Return what an order does at once, with what remains of it. Changes nothing.

    The rest of an IOC leaves, and a FOK trades all of its quantity or nothing (FIX 4.4, tag 59). A
    market order never rests, and stops at the band (CME Globex, "Market order with protection",
    which rests there instead).

    By ``quote_quantity``, the order's quantity is the most that it may have. After so many
    ``parts``, trades and prevented ones, the rest is left for a later event, but for a FOK.
    """
    order, quote_quantity = entry.order, entry.quote_quantity
    conditions = order.conditions or PLAIN
    time_in_force = conditions.time_in_force
    price = order.price
    if price is not None and not floor.book.would_take(order.side, price):  # as most do
        if time_in_force is _IOC or time_in_force is _FOK:
            return nothing(order, CancelReason.INSUFFICIENT_LIQUIDITY)
        return nothing(
            order,
            rested=order.remaining,
            shown=shown_of(order.remaining, order.conditions),
        )
    if entry.limit is not None:
        limit = entry.limit
    elif price is None:
        low, high = instrument.band(floor.last_price)
        limit = high if order.side is _BUY else low
    else:
        limit = price
    taker = Taker(
        order.user_id,
        order.side,
        limit,
        order.remaining,
        conditions.self_trade_prevention,
        None if quote_quantity is None else quote_quantity * UNITS_PER_ONE - entry.spent,
        instrument.lot_size,
        parts,
    )
    sweep = Sweep(floor.book, taker, floor.last_trade_id)
    reason = sweep.end
    if sweep.is_cut and time_in_force is _FOK:
        return nothing(order, CancelReason.TOO_MANY_TRADES)
    if (
        reason is None
        and not sweep.is_cut
        and (price is None or time_in_force is _IOC or time_in_force is _FOK)
        and not sweep.is_done
    ):
        is_beyond_band = price is None and sweep.is_more_beyond
        reason = CancelReason.PRICE_BAND if is_beyond_band else CancelReason.INSUFFICIENT_LIQUIDITY
    if time_in_force is _FOK and (sweep.left or sweep.lowered):
        return _killed(order, reason)
    queued = None
    if sweep.is_cut:
        worst = limit if price is None else None
        queued = Queued(sweep.left, Turn.TRADING, worst, quote_quantity)
    rests = reason is None and queued is None and quote_quantity is None
    rested = sweep.left if rests else 0
    return Execution(
        order.order_id,
        order.user_id,
        order.side,
        price,
        order.quantity - sweep.lowered,
        tuple(sweep.fills),
        tuple(sweep.prevented),
        rested,
        shown_of(rested, order.conditions),
        sweep.lowered,
        reason,
        queued=queued,
    )


def _killed(order: RestingOrder, reason: CancelReason | None) -> Execution:
    """A FOK that can't have all of its quantity."""
    if reason in {None, CancelReason.SELF_TRADE_PREVENTION}:
        reason = CancelReason.INSUFFICIENT_LIQUIDITY
    return nothing(order, reason)


def nothing(  # noqa: PLR0913, PLR0917 - most are left out by each caller
    order: RestingOrder,
    reason: CancelReason | None = None,
    broken: Refusal | None = None,
    rested: int = 0,
    shown: int = 0,
    queued: Queued | None = None,
) -> Execution:
    """Return the result of an order that trades with nobody; a stop that waits shows nothing."""
    return Execution(
        order.order_id,
        order.user_id,
        order.side,
        order.price,
        order.quantity,
        (),
        (),
        rested,
        shown,
        0,
        reason,
        broken and broken.reason,
        broken and broken.limit,
        queued=queued,
    )
