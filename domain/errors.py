"""The errors of callers, and the market's reasons to refuse.

An exception means that the caller erred; a refusal by a rule of the market is an event
that carries a reason.

    DomainError
    ├── InvalidAmount    a price or quantity that no order can have; its text is the rule
    └── OrderClosed      a change was asked of an order that no longer trades
"""

from enum import StrEnum
from typing import Final, Self


class DomainError(Exception):
    """The base of everything that the model raises on purpose."""


class InvalidAmount(DomainError, ValueError):
    """A price or quantity that no order can have; the text is the rule it breaks."""


class OrderClosed(DomainError):
    """A change was asked of an order in the terminal ``status``."""

    def __init__(self, status: str) -> None:
        super().__init__(f"Order is {status}")
        self.status = status


class Reason(StrEnum):
    """A code that programs compare, and its sentence, which people read.

    A ``{limit}`` in the sentence stands for what the rule allows, which goes with the code.
    """

    sentence: str

    def __new__(cls, code: str, sentence: str) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member


class RejectReason(Reason):
    """Reasons to refuse an order, or a request about one. ``{limit}``: what the rule allows."""

    ORDER_NOT_OPEN = "ORDER_NOT_OPEN", "The order no longer rests in the book"
    ORDER_QUEUED = (
        "ORDER_QUEUED",
        "The order waits for its turn to trade: cancel it, or change it once it rests",
    )
    QUANTITY_NOT_ABOVE_FILLED = (
        "QUANTITY_NOT_ABOVE_FILLED",
        "The new quantity is not above what is already filled",
    )
    NO_LIMIT_PRICE = "NO_LIMIT_PRICE", "The order has no limit price that could be changed"
    NO_STOP_PRICE = "NO_STOP_PRICE", "The order waits for no trigger that could be changed"
    NO_DISPLAY_QUANTITY = "NO_DISPLAY_QUANTITY", "The order is no iceberg"
    DISPLAY_QUANTITY = (
        "DISPLAY_QUANTITY",
        "The displayed quantity must be at most {limit}, the quantity",
    )
    TOO_MANY_SLICES = (
        "TOO_MANY_SLICES",
        "The displayed quantity must be at least {limit}, a thousandth of the quantity",
    )
    POST_ONLY_WOULD_TAKE = "POST_ONLY_WOULD_TAKE", "The order is post-only, and would take"
    MARKET_HALTED = "MARKET_HALTED", "Trading is halted: only cancels are taken"
    MARKET_POST_ONLY = "MARKET_POST_ONLY", "The market takes post-only orders only"
    DELISTED = "DELISTED", "The asset is not traded here any more"
    USER_SUSPENDED = "USER_SUSPENDED", "The user is suspended"
    TICK_SIZE = "TICK_SIZE", "The price must be a multiple of the tick size, {limit}"
    LOT_SIZE = "LOT_SIZE", "The quantity must be a multiple of the lot size, {limit}"
    MIN_QUANTITY = "MIN_QUANTITY", "The quantity must be at least {limit}"
    MAX_QUANTITY = "MAX_QUANTITY", "The quantity must be at most {limit}"
    MIN_NOTIONAL = "MIN_NOTIONAL", "The price times the quantity must be at least {limit}"
    PRICE_TOO_LOW = "PRICE_TOO_LOW", "The price must be at least {limit}, the band's lower end"
    PRICE_TOO_HIGH = "PRICE_TOO_HIGH", "The price must be at most {limit}, the band's upper end"
    OPEN_ORDERS_LIMIT = (
        "OPEN_ORDERS_LIMIT",
        "The user has {limit} open orders for this asset, which is the limit",
    )
    USER_STOPS_LIMIT = (
        "USER_STOPS_LIMIT",
        "The user has {limit} waiting stops for this asset, which is the limit",
    )
    STOPS_LIMIT = "STOPS_LIMIT", "The asset has {limit} waiting stops, which is the limit"
    SLICES_LIMIT = (
        "SLICES_LIMIT",
        "An iceberg must have at most {limit} slices: display a larger quantity",
    )
    INTERNAL_ERROR = "INTERNAL_ERROR", "The engine failed on this command; nothing changed"


class CancelReason(Reason):
    """Reasons for which an order, or the rest of one, leaves the market without trading.

    Each says whether the engine ended it (EXPIRED) or somebody did (CANCELLED).
    """

    USER_REQUEST = "USER_REQUEST", "The user cancelled the order"
    USER_SUSPENDED = "USER_SUSPENDED", "The user was suspended, and all their orders cancelled"
    DELISTED = "DELISTED", "The asset was delisted, and all its orders cancelled"
    SELF_TRADE_PREVENTION = (
        "SELF_TRADE_PREVENTION",
        "The order would have traded with another one of its user",
    )
    INSUFFICIENT_LIQUIDITY = (
        "INSUFFICIENT_LIQUIDITY",
        "The book held too little at the order's price to fill it at once",
    )
    PRICE_BAND = "PRICE_BAND", "All that the book held beyond was outside of the price band"
    NO_WHOLE_LOT = (
        "NO_WHOLE_LOT",
        "What is left of the amount is worth no whole lot at the best price",
    )
    QUANTITY_LIMIT = "QUANTITY_LIMIT", "The amount is worth more than one order may have"
    TIME_EXPIRED = "TIME_EXPIRED", "The order's time was over"
    TOO_MANY_TRADES = (
        "TOO_MANY_TRADES",
        "Filling the order at once would take more trades than one event may hold",
    )
    POST_ONLY_WOULD_TAKE = (
        "POST_ONLY_WOULD_TAKE",
        "The order is post-only, and would have taken when its turn came after a change",
    )

    @property
    def by_engine(self) -> bool:
        """Test if it leaves the order EXPIRED; else it is CANCELLED."""
        return self in _BY_ENGINE


_BY_ENGINE: Final = frozenset(
    {
        CancelReason.INSUFFICIENT_LIQUIDITY,
        CancelReason.PRICE_BAND,
        CancelReason.NO_WHOLE_LOT,
        CancelReason.QUANTITY_LIMIT,
        CancelReason.TIME_EXPIRED,
        CancelReason.TOO_MANY_TRADES,
        CancelReason.POST_ONLY_WOULD_TAKE,
    }
)
