"""Opaque tokens: places in our logs that clients keep for us, and are not meant to read.

A token says what it is for and in which form, so that one that belongs elsewhere, or comes
from another version of the service, is refused instead of misunderstood.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import StrEnum


class Token(StrEnum):
    """The purpose of a token, and the version of its form."""

    POSITION = "position1"  # the place of a command in the log of Orders
    ORDERS_CURSOR = "orders1"  # the position of the last order shown
    TRADES_CURSOR = "trades1"  # the position and the trade id of the last trade shown


def encode(token: Token, *places: int) -> str:
    text = ":".join([token, *map(str, places)])
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(token: Token, text: str, count: int = 1) -> tuple[int, ...]:
    """The places that were encoded. Raises ValueError for any text but ours."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        decoded = urlsafe_b64decode(padded).decode("ascii")
    except ValueError:
        decoded = ""
    if not re.fullmatch(rf"{token}(?::[0-9]{{1,19}}){{{count}}}", decoded):
        raise ValueError("is not one that this service gave out")
    return tuple(map(int, decoded.split(":")[1:]))
