"""What can be wrong, and why the market refuses.

An exception means that the caller erred; a refusal by a rule of the market is an event
that carries a reason.

    DomainError
    ├── InvalidAmount    a price or quantity that no order can have; its text is the rule
    └── OrderClosed      a change was asked of an order that no longer trades
"""

from enum import StrEnum
from typing import Self


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
    """A code that programs compare, and its sentence, which people read."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member


class RejectReason(Reason):
    """Why the book refused an order, or a request about one."""

    ORDER_NOT_OPEN = "ORDER_NOT_OPEN", "The order no longer rests in the book"
    QUANTITY_NOT_ABOVE_FILLED = (
        "QUANTITY_NOT_ABOVE_FILLED",
        "The new quantity is not above what is already filled",
    )
    INTERNAL_ERROR = "INTERNAL_ERROR", "The engine failed on this command; nothing changed"


class CancelReason(Reason):
    """Why an order, or the rest of one, left the market without trading."""

    USER_REQUEST = "USER_REQUEST", "The user cancelled the order"
    INSUFFICIENT_LIQUIDITY = (
        "INSUFFICIENT_LIQUIDITY",
        "The book held too little at the order's price to fill it at once",
    )
