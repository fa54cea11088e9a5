"""The checks of an amend: the rules that forbid it, and the test for keeping time priority."""

from dataclasses import replace

from domain.admitting import refusal_of_status, refusal_to_trade
from domain.book import RestingOrder
from domain.errors import RejectReason
from domain.floor import Floor
from domain.instrument import (
    Instrument,
    Refusal,
    Rules,
    refusal_of_lot,
    refusal_of_notional,
    refusal_of_price,
    refusal_of_size,
    refusal_of_tick,
)
from domain.limits import refusal_of_slices
from domain.requests import ReplaceRequest
from domain.stops import is_through
from domain.values import MAX_SLICES, PLAIN, Conditions


def refusal_to_amend(
    floor: Floor, instrument: Instrument, rules: Rules, request: ReplaceRequest.Created
) -> Refusal | None:
    """The rule that forbids the change, if any."""
    order = floor.find(request.order_id)
    conditions = (order and order.conditions) or PLAIN
    broken = refusal_of_status(instrument, rules, post_only=conditions.post_only)
    if broken is not None:
        return broken
    if order is None:
        return Refusal(RejectReason.ORDER_NOT_OPEN)
    if floor.queue.entry_of(order.order_id) is not None:
        return Refusal(RejectReason.ORDER_QUEUED)
    waits = floor.waits(order.order_id)
    for given, has, reason in (
        (request.price, order.price is not None, RejectReason.NO_LIMIT_PRICE),
        (request.stop_price, waits, RejectReason.NO_STOP_PRICE),
        (
            request.display_quantity,
            conditions.display_quantity is not None,
            RejectReason.NO_DISPLAY_QUANTITY,
        ),
    ):
        if given is not None and not has:
            return Refusal(reason)
    new = amended(floor, order, request)
    return (
        _refusal_of_sizes(order, conditions, request)
        or refusal_of_slices(rules.limits_of(instrument), new, before=order)
        or _refusal_of_changes(floor, instrument, order, new)
    )


def _refusal_of_sizes(
    order: RestingOrder, conditions: Conditions, request: ReplaceRequest.Created
) -> Refusal | None:
    """Return why the new quantities don't go together."""
    quantity = order.quantity if request.quantity is None else request.quantity
    if quantity <= order.filled:
        return Refusal(RejectReason.QUANTITY_NOT_ABOVE_FILLED)
    if request.display_quantity is not None and request.display_quantity > quantity:
        return Refusal(RejectReason.DISPLAY_QUANTITY, quantity)
    display = request.display_quantity or conditions.display_quantity
    if display is not None and quantity > MAX_SLICES * display:
        return Refusal(RejectReason.TOO_MANY_SLICES, -(-quantity // MAX_SLICES))
    return None


def _refusal_of_changes(
    floor: Floor, instrument: Instrument, order: RestingOrder, new: RestingOrder
) -> Refusal | None:
    """The rule of the market that a change breaks.

    Only what changes is judged: the rest may have been right by the rules of its time, and
    nobody should have to cancel an order in order to reduce it. A larger quantity is asked for at
    the price that the order has, so all of it is judged.
    """
    before, after = order.conditions or PLAIN, new.conditions or PLAIN
    quantity = new.quantity if new.quantity != order.quantity else None
    raised = new.quantity > order.quantity
    price = new.price if raised or new.price != order.price else None
    stop_price = after.stop_price if raised or after.stop_price != before.stop_price else None
    display_quantity = (
        after.display_quantity
        if raised or after.display_quantity != before.display_quantity
        else None
    )
    is_less = (new.price or 0) * new.quantity < (order.price or 0) * order.quantity
    waits = floor.waits(order.order_id)
    static = instrument.band(None)
    broken = (
        refusal_of_tick(instrument, price, stop_price)
        or refusal_of_lot(instrument, quantity, display_quantity)
        or refusal_of_size(instrument, quantity, order.quantity)
        or (refusal_of_notional(instrument, new.price, new.quantity) if is_less else None)
        or refusal_of_price(static, stop_price)
    )
    if broken is not None:
        return broken
    if waits and not is_through(new.side, after, floor.last_price):
        return refusal_of_price(static, price)
    return refusal_to_trade(floor, instrument, new) if waits or price is not None else None


def amended(floor: Floor, order: RestingOrder, request: ReplaceRequest.Created) -> RestingOrder:
    """The order as it is asked to be; it stands nowhere yet.

    A stop that has been triggered has no trigger any more.
    """
    quantity = order.quantity if request.quantity is None else request.quantity
    return RestingOrder(
        order.order_id,
        order.user_id,
        order.side,
        order.price if request.price is None else request.price,
        quantity,
        quantity - order.filled,
        _conditions(floor, order, request),
    )


def _conditions(
    floor: Floor, order: RestingOrder, request: ReplaceRequest.Created
) -> Conditions | None:
    conditions = order.conditions
    if conditions is None:
        return None
    if not floor.waits(order.order_id):
        conditions = replace(conditions, stop_price=None, take_profit=False)
    elif request.stop_price is not None:
        conditions = replace(conditions, stop_price=request.stop_price)
    if request.display_quantity is not None:
        conditions = replace(conditions, display_quantity=request.display_quantity)
    return conditions


def keeps_place(floor: Floor, order: RestingOrder, new: RestingOrder) -> bool:
    """Test if a change leaves an order in its place: it asks for nothing more than it had.

    Price-time priority is lost by a new price and by a larger quantity, displayed or not (CME
    Globex, "Cancel/Replace"); a stop stands in a queue by its trigger.
    """
    if new.quantity > order.quantity:
        return False
    before, after = order.conditions or PLAIN, new.conditions or PLAIN
    if floor.waits(order.order_id):
        return before.stop_price == after.stop_price
    return new.price == order.price and (after.display_quantity or 0) <= (
        before.display_quantity or 0
    )
