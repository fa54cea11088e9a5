"""The book as a structure: queues, levels and ladders stay whole whatever leaves them."""

from random import Random
from uuid import UUID

import pytest

from domain import ranks
from domain.book import Book, RestingOrder
from domain.ranks import Ranks
from domain.sweep import Sweep, Taker
from domain.values import Side
from tests.domain.structure import check_the_structure

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture(params=[2, 3, 1_000])
def block_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that a few levels split and empty them, and blocks as they are."""
    monkeypatch.setattr(ranks, "BLOCK_SIZE", request.param)


def test_an_order_leaves_from_the_front_the_middle_and_the_back_of_a_queue() -> None:
    book = Book()
    rest(book, SELL, {1: 100, 2: 100, 3: 100, 4: 100, 5: 100})
    for leaving, left in (3, [1, 2, 4, 5]), (1, [2, 4, 5]), (5, [2, 4]), (4, [2]), (2, []):
        book.remove(UUID(int=leaving))
        assert numbers(book, SELL) == left
        check_the_structure(book)


def test_an_order_joins_the_back_after_the_last_one_left() -> None:
    book = Book()
    rest(book, BUY, {1: 100, 2: 100})
    book.remove(UUID(int=2))
    rest(book, BUY, {3: 100})
    assert numbers(book, BUY) == [1, 3]
    check_the_structure(book)


def test_a_level_that_emptied_opens_again_with_a_new_queue() -> None:
    book = Book()
    rest(book, SELL, {1: 101, 2: 100, 3: 102})
    book.fill(UUID(int=2), 10)
    assert prices(book, SELL) == [101, 102]
    rest(book, SELL, {4: 100, 5: 100})
    assert numbers(book, SELL) == [4, 5, 1, 3]
    check_the_structure(book)


def test_a_side_that_emptied_begins_anew() -> None:
    book = Book()
    rest(book, BUY, {1: 100})
    book.remove(UUID(int=1))
    assert swept(book, SELL, 1, 10) == []
    rest(book, BUY, {2: 99, 3: 101})
    assert numbers(book, BUY) == [3, 2]
    check_the_structure(book)


def test_an_order_that_is_reduced_keeps_its_place_and_what_it_traded() -> None:
    book = Book()
    rest(book, SELL, {1: 100, 2: 100})
    book.fill(UUID(int=1), 4)
    book.amend(UUID(int=1), 7, None)
    (first, second), orders = book.walk(SELL), book.orders
    assert (first.quantity, first.filled, first.remaining) == (7, 4, 3)
    assert (first, second) == (orders[UUID(int=1)], orders[UUID(int=2)])


def test_an_order_that_rests_again_is_at_the_back_of_its_new_level() -> None:
    book = Book()
    rest(book, SELL, {1: 100, 2: 100, 3: 101})
    book.remove(UUID(int=1))
    rest(book, SELL, {1: 101})
    assert numbers(book, SELL) == [2, 3, 1]
    check_the_structure(book)


def test_a_sweep_goes_on_from_level_to_level_and_stops_at_the_limit() -> None:
    book = Book()
    rest(book, SELL, {1: 102, 2: 100, 3: 101, 4: 100})
    assert swept(book, BUY, 101, 35) == [(2, 10), (4, 10), (3, 10)]
    assert numbers(book, SELL) == [2, 4, 3, 1], "looking changes nothing"


def test_a_sweep_ends_with_the_order_that_is_enough() -> None:
    book = Book()
    rest(book, BUY, {1: 100, 2: 100, 3: 99})
    assert swept(book, SELL, 99, 20) == [(1, 10), (2, 10)]


def test_orders_are_found_by_an_equal_id() -> None:
    book = Book()
    rest(book, BUY, {1: 100, 2: 99})
    assert book.orders[UUID(int=2)].price == 99
    assert list(book.orders) == [UUID(int=1), UUID(int=2)]
    assert UUID(int=3) not in book.orders
    assert book.orders.get(UUID(int=3)) is None
    assert book.orders.get(UUID(int=9), "none") == "none"


@pytest.mark.usefixtures("block_size")
@pytest.mark.parametrize("seed", range(8))
def test_over_many_levels_the_book_is_what_a_sorted_list_is(seed: int) -> None:
    """The naive book compares few levels; here hundreds come and go, in blocks."""
    random = Random(seed)
    book = Book()
    expected: list[RestingOrder] = []  # in order of arrival
    for number in range(1_500):
        if random.random() < (0.65 if number < 1_000 else 0.2) or not expected:
            side = random.choice([BUY, SELL])
            order = RestingOrder(UUID(int=number), "user", side, random.randint(1, 400), 10, 10)
            book.rest(order)
            expected.append(order)
        elif random.random() < 0.5:
            book.remove(expected.pop(random.randrange(len(expected))).order_id)
        else:
            best = next(book.walk(expected[0].side))
            book.fill(best.order_id, 10)
            expected.remove(best)
        if number % 10 == 0:
            bids = [order for order in expected if order.side is BUY]
            asks = [order for order in expected if order.side is SELL]
            assert list(book.walk(BUY)) == sorted(bids, key=lambda order: -(order.price or 0))
            assert list(book.walk(SELL)) == sorted(asks, key=lambda order: order.price or 0)
            check_the_structure(book)


@pytest.mark.usefixtures("block_size")
def test_ranks_tell_the_next_higher_one() -> None:
    some = Ranks()
    assert [some.add(rank) for rank in (5, 1, 9, 3, 7, 2, 8)] == [None, 5, None, 5, 9, 3, 9]
    assert [some.remove(rank) for rank in (1, 9, 5, 2, 3, 8)] == [2, None, 7, 3, 7, None]
    assert [some.add(rank) for rank in (10, 0)] == [None, 7]


@pytest.mark.usefixtures("block_size")
def test_ranks_begin_anew_after_the_last_one_left() -> None:
    some = Ranks()
    for rank in range(20):
        some.add(rank)
    for rank in range(20):
        assert some.remove(rank) == (rank + 1 if rank < 19 else None)
    assert [some.add(rank) for rank in (50, -50, 0)] == [None, 50, 50]


def rest(book: Book, side: Side, orders: dict[int, int]) -> None:
    """Rests orders of quantity 10, given as number and price."""
    for number, price in orders.items():
        book.rest(RestingOrder(UUID(int=number), "user", side, price, 10, 10))


def swept(book: Book, side: Side, limit: int, quantity: int) -> list[tuple[int, int]]:
    """What an arriving order would trade with: number and quantity of each maker."""
    sweep = Sweep(book, Taker("taker", side, limit, quantity), last_trade_id=6)
    assert [fill.trade_id for fill in sweep.fills] == list(range(7, 7 + len(sweep.fills)))
    assert sweep.left == quantity - sum(fill.quantity for fill in sweep.fills)
    return [(fill.maker_order_id.int, fill.quantity) for fill in sweep.fills]


def numbers(book: Book, side: Side) -> list[int]:
    return [order.order_id.int for order in book.walk(side)]


def prices(book: Book, side: Side) -> list[int | None]:
    return [order.price for order in book.walk(side)]
