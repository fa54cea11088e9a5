"""The orders that benchmarks place are what they are said to be."""

from collections import Counter

from benchmarks.seeding import resting
from benchmarks.workload import orders
from domain.book import Book, RestingOrder
from domain.sweep import Sweep, Taker
from domain.values import Side


def makers_met(flow):
    """How many makers each order trades with, and the books at the end."""
    books: dict[str, Book] = {}
    met = []
    for order in flow:
        book = books.setdefault(order.asset, Book())
        side = Side(order.side)
        taker = Taker(order.user_id, side, order.price, order.quantity)
        sweep = Sweep(book, taker, last_trade_id=0)
        met.append(len(sweep.fills))
        for fill in sweep.fills:
            book.fill(fill.maker_order_id, fill.quantity)
        if left := sweep.left:
            book.rest(
                RestingOrder(order.order_id, order.user_id, side, order.price, order.quantity, left)
            )
    return met, books


def test_the_same_seed_gives_the_same_orders():
    assert orders(100) == orders(200)[:100]
    assert orders(100, seed=2) != orders(100)


def test_half_of_the_orders_rest_and_the_others_meet_one_to_three_makers():
    met, books = makers_met(orders(20_000))
    share = {count: number / len(met) for count, number in Counter(met).items()}
    assert 0.48 < share[0] < 0.52
    assert share[1] + share[2] + share[3] > 0.45
    assert len(books) == 10


def test_orders_of_the_resting_kind_never_meet():
    met, books = makers_met(resting(3_000, assets=7))
    assert set(met) == {0}
    assert sum(len(book.orders) for book in books.values()) == 3_000
    assert len(books) == 7
