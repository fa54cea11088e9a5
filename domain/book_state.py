"""The state of a book as columns, for snapshots: little to write, and quick to read back.

A million resting orders are a few lists of integers and one of ids; the users' names and
the prices stand there once.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, repeat
from operator import attrgetter
from uuid import UUID

from domain.book import Book, RestingOrder
from domain.values import Side


@dataclass(slots=True)
class Queues:
    """The orders of one side, all columns in priority order."""

    prices: list[int]  # of the levels, the best first
    lengths: list[int]  # how many orders rest at each
    order_ids: list[UUID]
    users: list[int]  # places in BookState.users
    quantities: list[int]
    filled: list[int]


@dataclass(slots=True)
class BookState:
    """All that decides the future of an order book, but for its id, its version and its time."""

    asset: str
    created_on: datetime
    position: int
    last_trade_id: int
    users: list[str]
    bids: Queues
    asks: Queues


def queues_of(book: Book, side: Side, users: dict[str, int]) -> Queues:
    """The orders of a side; ``users`` gives each user a place, and gets those it lacks."""
    orders = list(book.walk(side))
    levels = Counter(map(attrgetter("price"), orders))  # in the order of their first
    return Queues(
        prices=list(levels),
        lengths=list(levels.values()),
        order_ids=[order.order_id for order in orders],
        users=[users.setdefault(order.user_id, len(users)) for order in orders],
        quantities=[order.quantity for order in orders],
        filled=[order.quantity - order.remaining for order in orders],
    )


def rest_all(book: Book, side: Side, queues: Queues, users: Sequence[str]) -> None:
    """Puts the orders into the book again. Raises ValueError where the columns don't match."""
    prices = chain.from_iterable(map(repeat, queues.prices, queues.lengths))
    for order_id, user, price, quantity, filled in zip(
        queues.order_ids, queues.users, prices, queues.quantities, queues.filled, strict=True
    ):
        book.rest(RestingOrder(order_id, users[user], side, price, quantity, quantity - filled))
