"""A book's time is the larger of its time so far and its command's: it never runs backwards."""

from datetime import timedelta
from typing import Any, cast

from domain.instrument import Instrument, Limits, Rules
from domain.order_book import OrderBook
from domain.requests import ContinuationRequest, MassCancelRequest, TimeRequest
from domain.values import Side, continuation_id
from tests.domain.support import START, Market, fill, order_id, request_id, seconds


def times(market: Market) -> list[float]:
    return [(event.timestamp - START).total_seconds() for event in market.events]


def test_a_command_from_a_slow_clock_takes_the_time_of_the_book(market: Market) -> None:
    market.sell("a", 5, 100, at=seconds(10))
    market.sell("b", 5, 100, at=seconds(3))
    market.amend("a", quantity=4, at=seconds(2))
    market.amend("a", price=101, at=seconds(9))
    market.cancel("a", at=seconds(1))
    market.cancel("a", at=seconds(1))
    market.buy("c", 5, 100, at=seconds(10))
    market.buy("d", 5, 100, at=seconds(11))
    assert times(market) == [0, 10, 10, 10, 10, 10, 10, 10, 11]
    assert market.book.modified_on == seconds(11)


def test_no_command_comes_before_the_book_was_opened(market: Market) -> None:
    market.buy("early", 5, 100, at=START - timedelta(days=400))
    assert times(market) == [0, 0]


def test_trades_are_stamped_with_the_time_of_the_book(market: Market) -> None:
    market.sell("maker", 5, 100, at=seconds(60))
    events = market.buy("taker", 5, 100, at=seconds(59))
    assert events == [
        market.matched("taker", Side.BUY, 5, 100, fills=[fill(1, "maker", 100, 5, left=0)])
    ]
    assert events[0].timestamp == seconds(60)


def test_microseconds_count(market: Market) -> None:
    later = seconds(1) + timedelta(microseconds=1)
    market.buy("a", 5, 100, at=later)
    market.buy("b", 5, 100, at=seconds(1))
    assert [event.timestamp for event in market.events] == [START, later, later]


def test_reset_time_of_a_book_that_is_ahead_sets_it_back(market: Market) -> None:
    market.sell("a", 5, 100, at=seconds(1))
    market.buy("from the future", 1, 99, at=seconds(10_000))
    market.buy("frozen", 1, 98, at=seconds(2))
    [reset] = market.reset_time(seconds(3))
    assert reset == market.of_all(OrderBook.TimeReset, "operator")
    market.buy("moves", 5, 100, at=seconds(4))
    assert times(market) == [0, 1, 10_000, 10_000, 3, 4]
    assert market.book.version == 5


def test_reset_time_lets_orders_live_to_their_end(market: Market) -> None:
    market.buy("from the future", 1, 99, at=seconds(10_000))
    market.buy("at once", 1, 98, at=seconds(2), expires_at=seconds(60))
    market.reset_time(seconds(3))
    market.buy("lives", 1, 98, at=seconds(4), expires_at=seconds(60))
    assert [order.order_id for order in market.book.book.walk(Side.BUY)] == [
        order_id("from the future"),
        order_id("lives"),
    ]
    market.pass_time(seconds(60))
    assert [order.order_id for order in market.book.book.walk(Side.BUY)] == [
        order_id("from the future")
    ]


def test_reset_time_ahead_lets_nobody_leave_before_the_next_command(market: Market) -> None:
    market.buy("due", 1, 98, at=seconds(2), expires_at=seconds(60))
    [reset] = market.reset_time(seconds(70))
    assert (reset.timestamp, reset.expired) == (seconds(70), ())
    [sale] = market.sell("late", 1, 98, at=seconds(70))
    assert [each.order_id for each in sale.expired] == [order_id("due")]
    assert sale.fills == ()


def test_reset_time_holds_for_what_continues_a_decision_from_before(market: Market) -> None:
    rules, book = Rules(Instrument(limits=Limits(max_parts=2))), market.book
    for name in "abcd":
        market.buy(name, 5, 100, user="mine", at=seconds(60))
    asked = MassCancelRequest.make(
        request_id(20), user_id="mine", asset=market.asset, time=seconds(61)
    )
    [cancelled] = market.send(
        lambda _, request: book.mass_cancel(1_000, cast("Any", request), rules=rules),
        asked.collect_events()[0],
    )
    assert cancelled.continues
    going_on = ContinuationRequest.make(
        continuation_id(book.id, cancelled.originator_version),
        user_id="engine",
        asset=market.asset,
        time=cancelled.timestamp,
    )
    reset = TimeRequest.make(
        request_id(21), user_id="operator", asset=market.asset, time=seconds(3)
    )
    market.send(
        lambda _, request: book.reset_time(1_001, cast("Any", request)), reset.collect_events()[0]
    )
    [continued] = market.send(
        lambda _, request: book.go_on(1_002, cast("Any", request), rules),
        going_on.collect_events()[0],
    )
    assert len(continued.departed) == 2
    assert continued.timestamp == seconds(3)


def test_reset_time_of_a_restored_book_is_kept(market: Market) -> None:
    market.buy("from the future", 1, 99, at=seconds(10_000))
    market.reset_time(seconds(3))
    restored = OrderBook.Snapshot.take(market.book).mutate(None)
    assert restored.modified_on == seconds(3)
