"""Words for what stands in the events of a book beside fills: see support.py."""

from collections.abc import Sequence
from typing import Any, Final

from domain.errors import CancelReason
from domain.facts import Departure, Execution, Fill, Prevented
from domain.values import Conditions, OrderType, SelfTradePrevention, Side, TimeInForce
from tests.domain.support import order_id

BUY: Final = Side.BUY
SELL: Final = Side.SELL
MARKET: Final = OrderType.MARKET
STOP: Final = OrderType.STOP
STOP_LIMIT: Final = OrderType.STOP_LIMIT
IOC: Final = TimeInForce.IOC
FOK: Final = TimeInForce.FOK
GTD: Final = TimeInForce.GTD
DAY: Final = TimeInForce.DAY
UNIT: Final = 10**8  # of money: what one unit of quantity costs at a price of one unit

TOO_LITTLE: Final = CancelReason.INSUFFICIENT_LIQUIDITY
OVER: Final = CancelReason.TIME_EXPIRED
PREVENTED: Final = CancelReason.SELF_TRADE_PREVENTION


def iceberg(shown: int, **more: Any) -> Conditions:
    return Conditions(display_quantity=shown, **more)


def stop(stop_price: int, **more: Any) -> Conditions:
    return Conditions(order_type=STOP, stop_price=stop_price, **more)


def stop_limit(stop_price: int, **more: Any) -> Conditions:
    return Conditions(order_type=STOP_LIMIT, stop_price=stop_price, **more)


def mode(mode: SelfTradePrevention, **more: Any) -> Conditions:
    return Conditions(self_trade_prevention=mode, **more)


def gone(name: str, price: int, quantity: int, *, left: int, shown: int | None = None) -> Prevented:
    """A maker that prevention cancelled, with what remained of it, and was shown."""
    previous = left if shown is None else shown
    return Prevented(order_id(name), price, quantity, left, 0, previous, is_cancelled=True)


def lowered(
    name: str, price: int, quantity: int, *, left: int, was: int, shown: int | None = None
) -> Prevented:
    """A maker that prevention lowered to ``quantity``; ``was``, and ``shown``: what is seen."""
    now = left if shown is None else shown
    return Prevented(order_id(name), price, quantity, left, now, was, is_cancelled=False)


def departure(
    name: str,
    side: Side,
    left: int,
    price: int | None,
    reason: CancelReason = OVER,
    *,
    shown: int | None = None,
    user: str = "user",
) -> Departure:
    """An order that left without trading, of which ``left`` remained."""
    seen = left if shown is None else shown
    return Departure(order_id(name), user, side, price, left, seen, reason)


def execution(
    name: str,
    side: Side,
    quantity: int,
    price: int | None,
    fills: Sequence[Fill] = (),
    **facts: Any,
) -> Execution:
    """What a stop did when its trigger came; what is not told is nothing."""
    nothing = {"prevented": (), "rested": 0, "lowered": 0, "reason": None}
    told = {"user_id": "user", **nothing, **facts}
    told.setdefault("shown", told["rested"])
    return Execution(
        order_id=order_id(name),
        side=side,
        price=price,
        quantity=quantity,
        fills=tuple(fills),
        **told,
    )
