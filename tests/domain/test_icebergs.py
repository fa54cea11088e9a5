"""An iceberg shows a slice; when that is gone, the next one is at the back of the queue."""

import pytest

from tests.domain.replaying import restored
from tests.domain.support import Market, fill, order_id
from tests.domain.words import BUY, SELL, iceberg


def shown(market: Market, name: str) -> int:
    return market.book.book.orders[order_id(name)].shown


@pytest.fixture
def queue(market: Market) -> Market:
    """An iceberg of 10 that shows 3, and behind it a plain order of 4."""
    assert market.sell("ice", 10, 100, display_quantity=3) == [
        market.matched("ice", SELL, 10, 100, rested=10, shown=3, conditions=iceberg(3))
    ]
    assert market.sell("plain", 4, 100) == [
        market.matched("plain", SELL, 4, 100, rested=4, shown=4)
    ]
    return market


def test_a_slice_that_is_not_gone_keeps_its_place(queue: Market) -> None:
    assert queue.buy("b", 2, 100) == [
        queue.matched("b", BUY, 2, 100, fills=[fill(1, "ice", 100, 2, left=8)])
    ]
    assert queue.asks == [("ice", 8, 100), ("plain", 4, 100)]
    assert shown(queue, "ice") == 1
    assert queue.buy("c", 1, 100) == [
        queue.matched("c", BUY, 1, 100, fills=[fill(2, "ice", 100, 1, left=7, refill=3)])
    ]
    assert queue.asks == [("plain", 4, 100), ("ice", 7, 100)]


def test_the_next_slice_is_at_the_back_also_where_the_trade_ends_with_the_slice(
    queue: Market,
) -> None:
    assert queue.buy("b", 3, 100) == [
        queue.matched("b", BUY, 3, 100, fills=[fill(1, "ice", 100, 3, left=7, refill=3)])
    ]
    assert queue.asks == [("plain", 4, 100), ("ice", 7, 100)]
    assert shown(queue, "ice") == 3
    queue.sell("later", 1, 100)
    assert queue.asks == [("plain", 4, 100), ("ice", 7, 100), ("later", 1, 100)]


def test_a_sweep_takes_what_is_shown_by_others_before_the_next_slice(queue: Market) -> None:
    assert queue.buy("b", 8, 100) == [
        queue.matched(
            "b",
            BUY,
            8,
            100,
            fills=[
                fill(1, "ice", 100, 3, left=7, refill=3),
                fill(2, "plain", 100, 4, left=0),
                fill(3, "ice", 100, 1, left=6),
            ],
        )
    ]
    assert queue.asks == [("ice", 6, 100)]
    assert shown(queue, "ice") == 2


def test_a_sweep_goes_on_slice_after_slice_and_then_to_the_next_level(queue: Market) -> None:
    queue.sell("worse", 5, 101)
    assert queue.buy("b", 16, 101) == [
        queue.matched(
            "b",
            BUY,
            16,
            101,
            fills=[
                fill(1, "ice", 100, 3, left=7, refill=3),
                fill(2, "plain", 100, 4, left=0),
                fill(3, "ice", 100, 3, left=4, refill=3),
                fill(4, "ice", 100, 3, left=1, refill=1),
                fill(5, "ice", 100, 1, left=0),
                fill(6, "worse", 101, 2, left=3),
            ],
        )
    ]
    assert queue.asks == [("worse", 3, 101)]


def test_icebergs_alone_take_turns(market: Market) -> None:
    market.buy("one", 5, 100, display_quantity=2)
    market.buy("two", 4, 100, display_quantity=3)
    assert market.sell("s", 8, 100) == [
        market.matched(
            "s",
            SELL,
            8,
            100,
            fills=[
                fill(1, "one", 100, 2, left=3, refill=2),
                fill(2, "two", 100, 3, left=1, refill=1),
                fill(3, "one", 100, 2, left=1, refill=1),
                fill(4, "two", 100, 1, left=0),
            ],
        )
    ]
    assert market.bids == [("one", 1, 100)]


def test_the_book_stands_as_the_sweep_left_the_queue(market: Market) -> None:
    """Whoever got a slice later is behind, also where the sweep ends within a round."""
    for name in ("one", "two", "three"):
        market.sell(name, 6, 100, display_quantity=2)
    assert market.buy("b", 9, 100) == [
        market.matched(
            "b",
            BUY,
            9,
            100,
            fills=[
                fill(1, "one", 100, 2, left=4, refill=2),
                fill(2, "two", 100, 2, left=4, refill=2),
                fill(3, "three", 100, 2, left=4, refill=2),
                fill(4, "one", 100, 2, left=2, refill=2),
                fill(5, "two", 100, 1, left=3),
            ],
        )
    ]
    assert market.asks == [("two", 3, 100), ("three", 4, 100), ("one", 2, 100)]
    assert [shown(market, name) for name in ("two", "three", "one")] == [1, 2, 2]


def test_price_comes_before_what_is_shown(queue: Market) -> None:
    queue.sell("better", 1, 99)
    assert queue.buy("b", 2, 100) == [
        queue.matched(
            "b",
            BUY,
            2,
            100,
            fills=[fill(1, "better", 99, 1, left=0), fill(2, "ice", 100, 1, left=9)],
        )
    ]


def test_it_trades_with_all_of_its_quantity_when_it_arrives(market: Market) -> None:
    market.sell("s", 7, 99)
    assert market.buy("ice", 12, 100, display_quantity=2) == [
        market.matched(
            "ice",
            BUY,
            12,
            100,
            fills=[fill(1, "s", 99, 7, left=0)],
            rested=5,
            shown=2,
            conditions=iceberg(2),
        )
    ]
    assert market.bids == [("ice", 5, 100)]


def test_it_shows_no_more_than_what_is_left_of_it(market: Market) -> None:
    market.sell("s", 7, 100)
    assert market.buy("ice", 10, 100, display_quantity=4) == [
        market.matched(
            "ice",
            BUY,
            10,
            100,
            fills=[fill(1, "s", 100, 7, left=0)],
            rested=3,
            shown=3,
            conditions=iceberg(4),
        )
    ]


def test_one_that_is_filled_as_it_arrives_leaves_nothing(market: Market) -> None:
    market.sell("s", 10, 100)
    assert market.buy("ice", 10, 100, display_quantity=4) == [
        market.matched("ice", BUY, 10, 100, fills=[fill(1, "s", 100, 10, left=0)])
    ]
    assert (market.bids, market.asks) == ([], [])


def test_one_that_shows_all_of_it_is_as_any_order(market: Market) -> None:
    assert market.sell("ice", 3, 100, display_quantity=3) == [
        market.matched("ice", SELL, 3, 100, rested=3, shown=3, conditions=iceberg(3))
    ]
    assert market.buy("b", 3, 100) == [
        market.matched("b", BUY, 3, 100, fills=[fill(1, "ice", 100, 3, left=0)])
    ]
    assert market.asks == []


def test_a_thousand_slices_are_sold_in_one_command(market: Market) -> None:
    market.sell("ice", 1_000, 100, display_quantity=1)
    [matched] = market.buy("b", 1_000, 100)
    assert matched.fills == (
        *(fill(number, "ice", 100, 1, left=1_000 - number, refill=1) for number in range(1, 1_000)),
        fill(1_000, "ice", 100, 1, left=0),
    )
    assert market.asks == []


def test_a_cancel_takes_all_of_it_and_what_was_seen_of_it(queue: Market) -> None:
    queue.buy("b", 1, 100)
    assert queue.cancel("ice") == [queue.cancelled("ice", SELL, 9, 100, shown=2)]
    assert queue.asks == [("plain", 4, 100)]


def test_a_snapshot_keeps_what_is_hidden(queue: Market) -> None:
    queue.buy("b", 2, 100)
    queue.book = restored(queue.book)
    assert shown(queue, "ice") == 1
    assert queue.buy("c", 2, 100) == [
        queue.matched(
            "c",
            BUY,
            2,
            100,
            fills=[
                fill(2, "ice", 100, 1, left=7, refill=3),
                fill(3, "plain", 100, 1, left=3),
            ],
        )
    ]


def test_whoever_ends_with_a_later_slice_goes_to_no_worse_price(market: Market) -> None:
    market.sell("ice", 5, 100, display_quantity=2)
    market.sell("worse", 5, 101)
    assert market.buy("b", 4, 101) == [
        market.matched(
            "b",
            BUY,
            4,
            101,
            fills=[
                fill(1, "ice", 100, 2, left=3, refill=2),
                fill(2, "ice", 100, 2, left=1, refill=1),
            ],
        )
    ]
    assert market.asks == [("ice", 1, 100), ("worse", 5, 101)]
