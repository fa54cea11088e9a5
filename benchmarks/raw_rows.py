"""Rows in PostgreSQL's binary COPY format, and arrays as text: no value becomes an object."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from struct import Struct, pack
from typing import Final

import psycopg

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_FALSE: Final = pack("!i?", 1, False)  # noqa: FBT003 - it is packed
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_ZERO: Final = pack("!ihhhh", 8, 0, 0, 0, 0)

_UUID_FIRST = Struct("!hi16s")  # the number of columns, and a uuid
_THREE = Struct("!iqiqiq")  # bigints, or times in microseconds
_TRADE = Struct("!iqiqiqi16si16s")
_TWO = Struct("!iqiq")


@cache
def _text(value: str) -> bytes:
    encoded = value.encode()
    return pack("!i", len(encoded)) + encoded


# The columns of an order from its reason to its quote quantity; False and NONE, or nothing.
_NO_CONDITIONS: Final = b"".join(
    (_NULL * 3, _FALSE, _NULL, _FALSE, _NULL * 2, _text("NONE"), _NULL)
)


def copy(cursor: psycopg.Cursor, table: str, rows: Sequence[bytes]) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as target:
        target.write(b"".join((_SIGNATURE, *rows, _TRAILER)))


def array(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it; of values without blanks, commas, quotes or braces."""
    return "{" + ",".join(map(str, values)) + "}"


def event_row(topic: str) -> Callable[[bytes, int, bytes], bytes]:
    """Make the rows (id, version, topic, state) of one topic."""
    name = topic.encode()
    layout = Struct(f"!hi16siqi{len(name)}si")

    def row(order_id: bytes, version: int, state: bytes) -> bytes:
        return layout.pack(4, 16, order_id, 8, version, len(name), name, len(state)) + state

    return row


def order_row(  # noqa: PLR0913, PLR0917 - the columns
    order_id: bytes,
    user_id: str,
    asset: str,
    side: str,
    price: int,
    quantity: int,
    filled: int,
    notional: int,
    status: str,
    created: datetime,
    updated: datetime,
    position: int,
) -> bytes:
    return b"".join(
        (
            _UUID_FIRST.pack(24, 16, order_id),
            _text(user_id),
            _text(asset),
            _text(side),
            _text("LIMIT"),
            _text("GTC"),
            _THREE.pack(8, price, 8, quantity, 8, filled),
            _numeric(notional) if notional else _ZERO,
            _text(status),
            _NO_CONDITIONS,
            _THREE.pack(8, _microseconds(created), 8, _microseconds(updated), 8, position),
        )
    )


def trade_row(  # noqa: PLR0913, PLR0917 - the columns
    asset: str,
    trade_id: int,
    price: int,
    quantity: int,
    maker: bytes,
    taker: bytes,
    taker_side: str,
    time: datetime,
    position: int,
) -> bytes:
    return b"".join(
        (
            b"\0\x09",
            _text(asset),
            _TRADE.pack(8, trade_id, 8, price, 8, quantity, 16, maker, 16, taker),
            _text(taker_side),
            _TWO.pack(8, _microseconds(time), 8, position),
        )
    )


def resting_row(  # noqa: PLR0913, PLR0917 - the columns
    order_id: bytes, asset: str, side: str, price: int, remaining: int, priority: int
) -> bytes:
    return b"".join(
        (
            _UUID_FIRST.pack(6, 16, order_id),
            _text(asset),
            _text(side),
            _THREE.pack(8, price, 8, remaining, 8, priority),
        )
    )


@cache  # the orders of a batch have one time
def _microseconds(time: datetime) -> int:
    since = time - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _numeric(value: int) -> bytes:
    """A whole number above 0 as numeric: digits to the base of 10 000."""
    digits = []
    while value:
        value, digit = divmod(value, 10_000)
        digits.append(digit)
    count = len(digits)
    return pack(f"!ihhhh{count}h", 8 + 2 * count, count, count - 1, 0, 0, *reversed(digits))
