"""The rules that an order for an asset is checked against, and when its orders' days end."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from domain.errors import RejectReason
from domain.values import MAX_AMOUNT, UNITS_PER_ONE

MAX_PRICE: Final = MAX_AMOUNT * UNITS_PER_ONE  # units; without other rules
MAX_QUANTITY: Final = MAX_AMOUNT * UNITS_PER_ONE
_PERCENT: Final = 100 * UNITS_PER_ONE
_DAY: Final = timedelta(days=1)


class TradingStatus(StrEnum):
    """The state of a market: open, for cancels only, for orders that don't trade, or closed.

    Coinbase has them for its products: cancel only, post only, delisted.
    """

    TRADING = "TRADING"
    HALTED = "HALTED"
    POST_ONLY = "POST_ONLY"
    DELISTED = "DELISTED"


class Refusal(NamedTuple):
    """The rule that forbids something, and what it allows, in units, where it has a number.

    Counts are in units as well: 200 orders are 200.00000000.
    """

    reason: RejectReason
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts that bound a user, or an asset, in a book. None: as by default, or any.

    ``max_open_orders`` and ``max_user_stops`` are a user's in an asset, ``max_stops`` an asset's,
    ``max_slices`` an iceberg's. ``max_parts`` bounds the trades, prevented trades, triggered
    orders and departures in an event of the book.
    """

    max_open_orders: int | None = None
    max_user_stops: int | None = None
    max_stops: int | None = None
    max_slices: int | None = None
    max_parts: int | None = None

    def over(self, others: "Limits") -> "Limits":
        """These limits, and the others' where these are open."""
        if self is others or self == others:
            return others
        return Limits(
            others.max_open_orders if self.max_open_orders is None else self.max_open_orders,
            others.max_user_stops if self.max_user_stops is None else self.max_user_stops,
            others.max_stops if self.max_stops is None else self.max_stops,
            others.max_slices if self.max_slices is None else self.max_slices,
            others.max_parts if self.max_parts is None else self.max_parts,
        )


@dataclass(frozen=True, slots=True)
class Instrument:
    """The rules of an asset; amounts in units. None: no such rule.

    ``band_percent`` is in units of a percent: how far a price may be from the last trade's.
    ``session_end`` is in minutes after midnight, UTC: there DAY orders end.
    """

    tick_size: int = 1
    lot_size: int = 1
    min_quantity: int | None = None
    max_quantity: int | None = None
    min_notional: int | None = None
    min_price: int | None = None
    max_price: int | None = None
    band_percent: int | None = None
    session_end: int = 0
    status: TradingStatus = TradingStatus.TRADING
    limits: Limits = Limits()

    @property
    def takes_any_amount(self) -> bool:
        """Test if no rule of amounts is stricter than that of all orders."""
        return (
            self.tick_size == 1
            and self.lot_size == 1
            and self.min_quantity is None
            and self.max_quantity is None
            and self.min_notional is None
        )

    @property
    def most(self) -> int:
        """The largest quantity of an order, in units."""
        return self.max_quantity or MAX_QUANTITY

    def band(self, last: int | None) -> tuple[int, int]:
        """The lowest and the highest price at which anything trades; ``last``: of a trade.

        Binance, "Filters" (PRICE_FILTER, PERCENT_PRICE); CME Globex, "Price banding".
        """
        low, high = self.min_price or 1, self.max_price or MAX_PRICE
        if self.band_percent is not None and last is not None:
            # Never beyond the static ends, or nothing could trade again. Rounded towards the last
            # price: what is outside is outside exactly.
            last = min(max(last, low), high)
            away = last * self.band_percent // _PERCENT
            low, high = max(low, last - away), min(high, last + away)
        return low, high

    def session_end_after(self, time: datetime) -> datetime:
        """Return the end of the session that ``time`` is in, and of its DAY orders (FIX 59=0)."""
        midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
        end = midnight + timedelta(minutes=self.session_end)
        return end if end > time else end + _DAY


DEFAULT: Final = Instrument()


def delists(own: Instrument | None) -> bool:
    """Test if new rules of an asset end its listing; None: those of all assets do.

    The last trade is forgotten with it: what is listed again may be something else.
    """
    return own is None or own.status is TradingStatus.DELISTED


class Rules(NamedTuple):
    """The rules that hold beyond a book at the place of a command; see venue.py."""

    default: Instrument = DEFAULT
    is_suspended: bool = False

    def limits_of(self, instrument: Instrument) -> Limits:
        """The limits that hold where ``instrument`` has the other rules."""
        limits = self.default.limits
        return limits if instrument is self.default else instrument.limits.over(limits)

    def limited(self, asked: Instrument) -> Instrument:
        """A new default instrument: what it leaves open of the limits is as before."""
        return replace(asked, limits=asked.limits.over(self.default.limits))


NO_RULES: Final = Rules()


def refusal_of_amounts(
    instrument: Instrument,
    price: int | None,
    quantity: int | None,
    stop_price: int | None = None,
    display_quantity: int | None = None,
) -> Refusal | None:
    """The rule of amounts that a new order breaks; bands are another matter, they move.

    Binance, "Filters" (PRICE_FILTER, LOT_SIZE, MIN_NOTIONAL), where the step sizes start from 0.
    """
    if instrument.takes_any_amount and (quantity is None or quantity <= MAX_QUANTITY):
        return None  # at once: most orders are such
    return (
        refusal_of_tick(instrument, price, stop_price)
        or refusal_of_lot(instrument, quantity, display_quantity)
        or refusal_of_size(instrument, quantity)
        or refusal_of_notional(instrument, price, quantity)
    )


def refusal_of_tick(instrument: Instrument, *prices: int | None) -> Refusal | None:
    tick = instrument.tick_size
    is_broken = any(price is not None and price % tick for price in prices)
    return Refusal(RejectReason.TICK_SIZE, tick) if is_broken else None


def refusal_of_lot(instrument: Instrument, *quantities: int | None) -> Refusal | None:
    """Refuse a slice that is not in whole lots: each trades by itself (Binance, LOT_SIZE)."""
    lot = instrument.lot_size
    is_broken = any(quantity is not None and quantity % lot for quantity in quantities)
    return Refusal(RejectReason.LOT_SIZE, lot) if is_broken else None


def refusal_of_size(
    instrument: Instrument, quantity: int | None, before: int | None = None
) -> Refusal | None:
    """Refuse a quantity that is too small or too large, unless it was more so ``before``."""
    if quantity is None:
        return None
    least, most = instrument.min_quantity or 0, instrument.most
    if quantity < least and (before is None or quantity < before):
        return Refusal(RejectReason.MIN_QUANTITY, least)
    if quantity > most and (before is None or quantity > before):
        return Refusal(RejectReason.MAX_QUANTITY, most)
    return None


def refusal_of_notional(
    instrument: Instrument, price: int | None, quantity: int | None
) -> Refusal | None:
    """A market order's notional is not known, and not checked, before it trades."""
    least = instrument.min_notional
    if least is None or price is None or quantity is None:
        return None
    if price * quantity >= least * UNITS_PER_ONE:
        return None
    return Refusal(RejectReason.MIN_NOTIONAL, least)


def refusal_of_price(band: tuple[int, int], price: int | None) -> Refusal | None:
    """Refuse a limit price that is outside of the band."""
    low, high = band
    if price is not None and price < low:
        return Refusal(RejectReason.PRICE_TOO_LOW, low)
    if price is not None and price > high:
        return Refusal(RejectReason.PRICE_TOO_HIGH, high)
    return None
