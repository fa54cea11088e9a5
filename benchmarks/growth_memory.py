"""Books in memory, in a process of their own: bytes of an order, and the time of a match."""

import gc
import json
import sys
import time
from itertools import islice
from random import Random
from uuid import UUID

import psutil

from benchmarks.measuring import percentile
from benchmarks.seeding import resting
from benchmarks.workload import NewOrder
from domain.book import Book, RestingOrder
from domain.sweep import Sweep, Taker
from domain.values import Side


def fill_books(count: int, assets: int) -> list[Book]:
    """As replayed events would: nothing is shared between orders, but for users' names."""
    books = [Book() for _ in range(assets)]
    names: dict[str, str] = {}
    for number, order in enumerate(resting(count, assets)):
        books[number % assets].rest(_resting(order, names))
    return books


def _resting(order: NewOrder, names: dict[str, str]) -> RestingOrder:
    user_id = names.setdefault(order.user_id, order.user_id)
    side = Side(order.side)
    return RestingOrder(order.order_id, user_id, side, order.price, order.quantity, order.quantity)


def time_matches(books: list[Book], count: int) -> list[int]:
    """Return nanoseconds of the processor for looking and filling; fills are undone after."""
    random = Random(2)
    times = []
    for _ in range(count):
        book = random.choice(books)
        side = random.choice(list(Side))
        makers = list(islice(book.walk(side.opposite), random.randint(1, 3)))
        price: int = makers[-1].price  # type: ignore[assignment]  # it rests
        taker = Taker("taker", side, price, sum(maker.remaining for maker in makers))
        begun = time.thread_time_ns()
        fills = Sweep(book, taker, last_trade_id=0).fills
        for fill in fills:
            book.fill(fill.maker_order_id, fill.quantity)
        times.append(time.thread_time_ns() - begun)
        for fill in fills:
            order_id = UUID(int=random.getrandbits(128), version=4)
            user_id, price, taken = fill.maker_user_id, fill.price, fill.quantity
            book.rest(RestingOrder(order_id, user_id, side.opposite, price, taken, taken))
    return times


def main(count: int, assets: int, matches: int) -> None:
    gc.disable()  # it is not what is measured, and it takes minutes for a million orders
    process = psutil.Process()
    before = process.memory_info().rss
    books = fill_books(count, assets)
    taken = process.memory_info().rss - before
    times = time_matches(books, matches)
    print(
        json.dumps(
            {
                "bytes": taken / count,
                "p50": percentile(times, 50) / 1000,
                "p99": percentile(times, 99) / 1000,
            }
        )
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
