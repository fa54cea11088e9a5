"""The values of orders: the enumerations, the identifiers, and exact amounts.

Prices and quantities are integers in units of 0.00000001, one scale for every asset, so
that no change of an instrument's rules ever changes what a stored number means.
``Decimal`` appears only here, at the edge; float nowhere.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from domain.errors import InvalidAmount

DECIMALS: Final = 8
ALL_ASSETS: Final = "*"  # the default instrument, and what requests about all assets carry
MAX_SLICES: Final = 1_000  # of an iceberg: one command never makes more trades with it
UNITS_PER_ONE: Final = 10**DECIMALS
MAX_AMOUNT: Final = 10_000_000_000  # of price and of quantity, in whole units of the asset

_MAX_UNITS: Final = MAX_AMOUNT * UNITS_PER_ONE
_MAX_ADJUSTED: Final = Decimal(MAX_AMOUNT).adjusted()
# Refuses to round; an amount that is small enough has more digits only behind its decimals.
_EXACT: Final = Context(prec=len(str(_MAX_UNITS)), Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact])

_NAMESPACE: Final = UUID("b0d5e9a4-6f0b-5c1e-9d55-6a4f2a1c7e10")


class Side(StrEnum):
    """The side of the market an order is on."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """The type of an order. A stop waits for its trigger, and is then one of the others.

    Binance Spot ("Order types": STOP_LOSS, STOP_LOSS_LIMIT) and Kraken have the same.
    """

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP = "STOP"  # then MARKET
    STOP_LIMIT = "STOP_LIMIT"  # then LIMIT

    @property
    def is_stop(self) -> bool:
        return self is OrderType.STOP or self is OrderType.STOP_LIMIT


class TimeInForce(StrEnum):
    """The time that an order stays in the market.

    GTC until cancelled; IOC only for the moment it arrives; FOK the same, all of it or
    nothing; GTD until its ``expires_at``; DAY until the end of the instrument's session (FIX 4.4,
    tag 59, TimeInForce).
    """

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"
    DAY = "DAY"


class SelfTradePrevention(StrEnum):
    """The ways to prevent a user's trade with themself; the taker's mode rules.

    Binance, "Self-trade prevention FAQ" (EXPIRE_TAKER, EXPIRE_MAKER, EXPIRE_BOTH); Coinbase,
    "Self-trade prevention" (decrement and cancel).
    """

    NONE = "NONE"
    CANCEL_TAKER = "CANCEL_TAKER"
    CANCEL_MAKER = "CANCEL_MAKER"
    CANCEL_BOTH = "CANCEL_BOTH"
    DECREMENT = "DECREMENT"


class OrderStatus(StrEnum):
    """The stages in the life of an order; the terminal ones are final."""

    PENDING = "PENDING"
    OPEN = "OPEN"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL: Final = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED}
)


class Turn(StrEnum):
    """The reason for an order's turn, by which it is judged and told."""

    ARRIVED = "ARRIVED"
    CHANGED = "CHANGED"
    TRIGGERED = "TRIGGERED"
    TRADING = "TRADING"  # it has begun in an earlier event


class Liquidity(StrEnum):
    """The part of an order in a trade: it rested (maker) or it arrived (taker)."""

    MAKER = "MAKER"
    TAKER = "TAKER"


class Terms(NamedTuple):
    """The terms on which a user places an order; amounts in units.

    ``price`` is None for MARKET and STOP, ``quantity`` where ``quote_quantity`` says how much to
    spend instead. interface/http/order_fields.py checks which of them go together.
    """

    user_id: str
    asset: str
    side: Side
    price: int | None
    quantity: int | None
    order_type: OrderType = OrderType.LIMIT
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str | None = None
    post_only: bool = False
    stop_price: int | None = None
    take_profit: bool = False
    display_quantity: int | None = None
    expires_at: datetime | None = None
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.NONE
    quote_quantity: int | None = None


@dataclass(slots=True, frozen=True)
class Conditions:
    """The conditions of an order in a book beyond price and quantity; amounts in units.

    Plain orders have none. ``expires_at`` is that of DAY orders as well.
    """

    order_type: OrderType = OrderType.LIMIT
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.NONE
    display_quantity: int | None = None
    expires_at: datetime | None = None
    stop_price: int | None = None
    take_profit: bool = False


PLAIN: Final = Conditions()


def to_units(amount: Decimal) -> int:
    """The integer units (of 0.00000001) of a price or quantity, exactly.

    Looks at the magnitude before any arithmetic: ``int(Decimal('1E+9999999'))`` practically
    never ends. An amount that would then be rounded has too many decimals.

    Raises InvalidAmount, whose text is the rule: not a number, not above 0, more than
    eight decimals (never rounded), above 10 000 000 000.
    """
    if not amount.is_finite():
        raise InvalidAmount("must be a number")
    if amount.is_signed() or not amount:
        raise InvalidAmount("must be greater than 0")
    if amount.adjusted() > _MAX_ADJUSTED:
        raise InvalidAmount(f"must be at most {MAX_AMOUNT}")
    try:
        units = int(_EXACT.to_integral_exact(_EXACT.scaleb(amount, DECIMALS)))
    except Inexact:
        raise InvalidAmount(f"must have at most {DECIMALS} decimal places") from None
    if units > _MAX_UNITS:
        raise InvalidAmount(f"must be at most {MAX_AMOUNT}")
    return units


def format_units(units: int, decimals: int = DECIMALS) -> str:
    """The canonical decimal text of an amount of 0 or more: no exponent, no trailing zeros."""
    whole, part = divmod(units, 10**decimals)
    return f"{whole}.{part:0{decimals}d}".rstrip("0") if part else str(whole)


def format_notional(notional: int) -> str:
    """Return the canonical decimal text of price units x quantity units, as format_units does."""
    return format_units(notional, 2 * DECIMALS)


def average_price(notional: int, quantity: int) -> int | None:
    """Price units of ``notional`` (price units x quantity units) over ``quantity`` units.

    Rounded half-even to one price unit, the eight decimals; None where nothing was filled.
    """
    if quantity == 0:
        return None
    units, rest = divmod(notional, quantity)
    round_up = 2 * rest > quantity or (2 * rest == quantity and units % 2 == 1)
    return units + round_up


def book_id(asset: str) -> UUID:
    """The id of the one book of an asset."""
    return uuid5(_NAMESPACE, f"book:{asset}")


def venue_id() -> UUID:
    """The id of the one venue."""
    return uuid5(_NAMESPACE, "venue")


def continuation_id(book: UUID, version: int) -> UUID:
    """The id of the request that goes on with what the book's event of a version left over."""
    return uuid5(book, f"continue after {version}")


def derive_order_id(user_id: str, asset: str, client_order_id: str) -> UUID:
    """The id of the order that a user gave a clientOrderId, the same each time it is asked.

    Each part carries its length, so that no two triples run together into one name.
    """
    parts = (user_id, asset, client_order_id)
    return uuid5(_NAMESPACE, "order:" + ":".join(f"{len(part)}:{part}" for part in parts))
