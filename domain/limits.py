"""Limits on the open orders of a user, and on the stops and icebergs of an asset.

A limit that an asset's own rules leave open is that of the default instrument; one that both
leave open is none. So a market without limits on record decides as it always has.
"""

from typing import Final

from domain.book import RestingOrder
from domain.errors import RejectReason
from domain.floor import Floor
from domain.instrument import Limits, Refusal
from domain.values import PLAIN, UNITS_PER_ONE, TimeInForce

_IOC: Final = TimeInForce.IOC  # see book.py on names like this one
_FOK: Final = TimeInForce.FOK


def refusal_of_limits(floor: Floor, limits: Limits, order: RestingOrder) -> Refusal | None:
    """The limit that a new order would exceed, if any.

    An order that never rests counts for nothing, so that a user at a limit can still trade
    (Binance, MAX_NUM_ORDERS, counts orders on the book).
    """
    most = limits.max_open_orders
    is_at_limit = most is not None and floor.count_of(order.user_id) >= most
    if order.conditions is None and not is_at_limit:
        return None  # at once: most orders are such
    conditions = order.conditions or PLAIN
    waits = conditions.stop_price is not None
    if most is not None and is_at_limit and (waits or _may_rest(order, conditions.time_in_force)):
        return _refusal(RejectReason.OPEN_ORDERS_LIMIT, most)
    if waits:
        most = limits.max_user_stops
        if most is not None and floor.stops.count_of(order.user_id) >= most:
            return _refusal(RejectReason.USER_STOPS_LIMIT, most)
        most = limits.max_stops
        if most is not None and len(floor.stops.orders) >= most:
            return _refusal(RejectReason.STOPS_LIMIT, most)
    return None if order.conditions is None else refusal_of_slices(limits, order)


def refusal_of_slices(
    limits: Limits, order: RestingOrder, before: RestingOrder | None = None
) -> Refusal | None:
    """Refuse an iceberg of too many slices, unless it had as many ``before`` a change."""
    most = limits.max_slices
    slices = _slices(order)
    if most is None or slices <= most or (before is not None and slices <= _slices(before)):
        return None
    return _refusal(RejectReason.SLICES_LIMIT, most)


def _may_rest(order: RestingOrder, time_in_force: TimeInForce) -> bool:
    return order.price is not None and time_in_force is not _IOC and time_in_force is not _FOK


def _slices(order: RestingOrder) -> int:
    """Count the slices of a whole order, filled ones included."""
    display = (order.conditions or PLAIN).display_quantity
    return 1 if display is None else -(-order.quantity // display)


def _refusal(reason: RejectReason, most: int) -> Refusal:
    return Refusal(reason, most * UNITS_PER_ONE)
