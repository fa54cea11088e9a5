"""The checks of an order on arrival: the rules of the market, in the order of judging."""

from datetime import datetime
from typing import Final

from domain.book import RestingOrder
from domain.errors import RejectReason
from domain.floor import Floor
from domain.instrument import (
    Instrument,
    Limits,
    Refusal,
    Rules,
    TradingStatus,
    refusal_of_amounts,
    refusal_of_price,
)
from domain.limits import refusal_of_limits
from domain.order import Order
from domain.values import PLAIN, Conditions, OrderType, SelfTradePrevention, TimeInForce

# See book.py on names like these.
_GTC: Final = TimeInForce.GTC
_IOC: Final = TimeInForce.IOC
_LIMIT: Final = OrderType.LIMIT
_NO_PREVENTION: Final = SelfTradePrevention.NONE
_ONLY_IOC: Final = Conditions(time_in_force=_IOC)
_TRADING: Final = TradingStatus.TRADING
_FORBIDDEN: Final = {
    TradingStatus.HALTED: Refusal(RejectReason.MARKET_HALTED),
    TradingStatus.DELISTED: Refusal(RejectReason.DELISTED),
}


def resting(order: Order.Created, instrument: Instrument, time: datetime) -> RestingOrder:
    """A new order as it would rest; by amount of money, the most that it may have."""
    quantity = instrument.most if order.quantity is None else order.quantity
    return RestingOrder(
        order.originator_id,
        order.user_id,
        order.side,
        order.price,
        quantity,
        quantity,
        _conditions_of(order, instrument, time),
    )


def _conditions_of(
    order: Order.Created, instrument: Instrument, time: datetime
) -> Conditions | None:
    time_in_force = order.time_in_force
    if (
        (time_in_force is _GTC or time_in_force is _IOC)
        and order.order_type is _LIMIT
        and order.self_trade_prevention is _NO_PREVENTION
        and not (order.post_only or order.take_profit)
        and order.display_quantity is None
        and order.expires_at is None
        and order.stop_price is None
    ):
        return None if time_in_force is _GTC else _ONLY_IOC
    is_for_day = time_in_force is TimeInForce.DAY
    return Conditions(
        order.order_type,
        time_in_force,
        order.post_only,
        order.self_trade_prevention,
        order.display_quantity,
        instrument.session_end_after(time) if is_for_day else order.expires_at,
        order.stop_price,
        order.take_profit,
    )


def refusal_of_status(instrument: Instrument, rules: Rules, *, post_only: bool) -> Refusal | None:
    """Return why the user, or the state of the market, forbids an order or a change of one."""
    if rules.is_suspended:
        return Refusal(RejectReason.USER_SUSPENDED)
    if instrument.status is _TRADING:
        return None
    if instrument.status is TradingStatus.POST_ONLY and not post_only:
        return Refusal(RejectReason.MARKET_POST_ONLY)
    return _FORBIDDEN.get(instrument.status)


def refusal(  # noqa: PLR0913 - what is judged, and by what
    floor: Floor,
    instrument: Instrument,
    limits: Limits,
    order: RestingOrder,
    *,
    has_quantity: bool,
    waits_for_turn: bool,
) -> Refusal | None:
    """The rule of the market that a new order breaks, if any.

    Of a stop, what moves with the market is judged when it is triggered; of an order that
    ``waits_for_turn``, then.
    """
    conditions = order.conditions or PLAIN
    waits = conditions.stop_price is not None
    quantity = order.quantity if has_quantity else None
    broken = refusal_of_amounts(
        instrument, order.price, quantity, conditions.stop_price, conditions.display_quantity
    )
    broken = broken or refusal_of_limits(floor, limits, order)
    if broken is not None:
        return broken
    if waits:
        band = instrument.band(None)
        return refusal_of_price(band, conditions.stop_price) or refusal_of_price(band, order.price)
    if waits_for_turn:
        return refusal_of_price(instrument.band(None), order.price)
    return refusal_to_trade(floor, instrument, order)


def refusal_to_trade(floor: Floor, instrument: Instrument, order: RestingOrder) -> Refusal | None:
    """Return why the state of the market forbids the order to trade or to come to rest."""
    broken = refusal_of_price(instrument.band(floor.last_price), order.price)
    return broken or refusal_to_take(floor, order)


def refusal_to_take(floor: Floor, order: RestingOrder) -> Refusal | None:
    """Refuse all of a post-only order that would take (Coinbase, "Post only").

    It makes no difference whose orders it would take.
    """
    if (
        order.conditions is not None
        and order.conditions.post_only
        and order.price is not None
        and floor.book.would_take(order.side, order.price)
    ):
        return Refusal(RejectReason.POST_ONLY_WOULD_TAKE)
    return None
