"""GTD and DAY orders leave at their time, before anything else is decided then."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import CancelReason
from domain.instrument import TradingStatus
from domain.order_book import OrderBook
from domain.values import Conditions, TimeInForce
from tests.domain.support import Event, Market, fill, seconds
from tests.domain.words import BUY, DAY, GTD, OVER, SELL, STOP, departure, stop

MINUTE = seconds(60)
INSTANT = timedelta(microseconds=1)
MIDNIGHT = datetime(2024, 2, 10, tzinfo=UTC)  # tests begin at noon, the day before


def until(time: datetime, how: TimeInForce = GTD, **more: Any) -> Conditions:
    return Conditions(time_in_force=how, expires_at=time, **more)


def sell(market: Market, name: str, expires_at: datetime = MINUTE, **terms: Any) -> list[Event]:
    return market.sell(name, 5, 100, time_in_force=GTD, expires_at=expires_at, **terms)


def passed(market: Market, *expired: Any) -> list[Event]:
    return [market.of_all(OrderBook.Expired, "clock", expired=expired)]


# By the clock.


def test_it_rests_with_its_time(market: Market) -> None:
    assert sell(market, "s") == [
        market.matched("s", SELL, 5, 100, rested=5, conditions=until(MINUTE))
    ]


def test_it_leaves_at_its_time_and_not_an_instant_before(market: Market) -> None:
    sell(market, "s")
    assert market.pass_time(MINUTE - INSTANT) == passed(market)
    assert market.asks == [("s", 5, 100)]
    assert market.pass_time(MINUTE) == passed(market, departure("s", SELL, 5, 100))
    assert market.asks == []
    assert market.pass_time(MINUTE) == passed(market)


def test_it_leaves_though_the_clock_be_late(market: Market) -> None:
    sell(market, "s")
    assert market.pass_time(seconds(9_999)) == passed(market, departure("s", SELL, 5, 100))


def test_a_clock_that_is_behind_the_book_is_the_time_of_the_book(market: Market) -> None:
    sell(market, "s")
    market.buy("later", 1, 1, at=seconds(59))
    assert market.pass_time(seconds(3)) == passed(market)
    assert market.events[-1].timestamp == seconds(59)
    assert market.asks == [("s", 5, 100)]


def test_several_leave_by_time_and_then_by_arrival(market: Market) -> None:
    sell(market, "c", seconds(70))
    sell(market, "a", seconds(60), user="ann")
    sell(market, "d", seconds(80))
    market.buy("b", 5, 50, time_in_force=GTD, expires_at=seconds(60))
    assert market.pass_time(seconds(70)) == passed(
        market,
        departure("a", SELL, 5, 100, user="ann"),
        departure("b", BUY, 5, 50),
        departure("c", SELL, 5, 100),
    )
    assert (market.bids, market.asks) == ([], [("d", 5, 100)])


def test_what_remains_of_it_leaves_and_of_an_iceberg_its_slice_is_seen_to_leave(
    market: Market,
) -> None:
    sell(market, "s")
    market.buy("b", 2, 100)
    sell(market, "ice", display_quantity=2)
    assert market.pass_time(MINUTE) == passed(
        market, departure("s", SELL, 3, 100), departure("ice", SELL, 5, 100, shown=2)
    )


def test_a_stop_that_waits_leaves_unseen(market: Market) -> None:
    terms = {"order_type": STOP, "stop_price": 90, "time_in_force": GTD, "expires_at": MINUTE}
    conditions = stop(90, time_in_force=GTD, expires_at=MINUTE)
    assert market.sell("stop", 5, None, **terms) == [
        market.matched("stop", SELL, 5, None, rested=5, shown=0, waits=True, conditions=conditions)
    ]
    assert market.pass_time(MINUTE) == passed(market, departure("stop", SELL, 5, None, shown=0))
    assert list(market.book.floor.stops) == []


def test_one_that_left_before_its_time_does_not_leave_again(market: Market) -> None:
    sell(market, "filled")
    market.buy("b", 5, 100)
    sell(market, "cancelled")
    market.cancel("cancelled")
    assert market.pass_time(MINUTE) == passed(market)


# By any other command: the clock may be late, or never come.


def test_nothing_trades_past_its_time(market: Market) -> None:
    sell(market, "s")
    assert market.buy("b", 5, 100, at=MINUTE) == [
        market.matched("b", BUY, 5, 100, rested=5, expired=[departure("s", SELL, 5, 100)])
    ]
    assert (market.bids, market.asks) == ([("b", 5, 100)], [])


def test_it_trades_until_the_instant_before(market: Market) -> None:
    sell(market, "s")
    assert market.buy("b", 5, 100, at=MINUTE - INSTANT) == [
        market.matched("b", BUY, 5, 100, fills=[fill(1, "s", 100, 5, left=0)])
    ]


def test_the_next_in_the_queue_trades_in_its_stead(market: Market) -> None:
    sell(market, "s")
    market.sell("next", 5, 100)
    assert market.buy("b", 5, 100, at=MINUTE) == [
        market.matched(
            "b",
            BUY,
            5,
            100,
            fills=[fill(1, "next", 100, 5, left=0)],
            expired=[departure("s", SELL, 5, 100)],
        )
    ]


def test_a_command_of_a_slow_clock_comes_at_the_time_of_the_book(market: Market) -> None:
    sell(market, "s")
    market.buy("other", 1, 1, at=seconds(59))
    assert market.buy("b", 1, 100, at=seconds(2)) == [
        market.matched("b", BUY, 1, 100, fills=[fill(1, "s", 100, 1, left=4)])
    ]


def test_an_order_that_arrives_past_its_time_expires_at_once(market: Market) -> None:
    market.buy("b", 5, 100, at=MINUTE)
    for expires_at in (MINUTE, MINUTE - INSTANT):
        assert sell(market, "s", expires_at) == [market.matched("s", SELL, 5, 100, reason=OVER)]
    assert (market.bids, market.asks) == ([("b", 5, 100)], [])


def test_a_stop_that_arrives_past_its_time_never_waits(market: Market) -> None:
    terms = {"order_type": STOP, "stop_price": 90, "time_in_force": GTD, "expires_at": seconds(1)}
    assert market.sell("stop", 5, None, **terms) == [
        market.matched("stop", SELL, 5, None, reason=OVER)
    ]


# DAY.


def test_a_day_order_ends_at_midnight(market: Market) -> None:
    assert market.sell("s", 5, 100, time_in_force=DAY) == [
        market.matched("s", SELL, 5, 100, rested=5, conditions=until(MIDNIGHT, DAY))
    ]
    assert market.pass_time(MIDNIGHT - INSTANT) == passed(market)
    assert market.pass_time(MIDNIGHT) == passed(market, departure("s", SELL, 5, 100))


@pytest.mark.parametrize(
    ("arrives", "ends"),
    [
        (datetime(2024, 2, 9, 17, 29, 59, 999_999, UTC), datetime(2024, 2, 9, 17, 30, tzinfo=UTC)),
        (datetime(2024, 2, 9, 17, 30, tzinfo=UTC), datetime(2024, 2, 10, 17, 30, tzinfo=UTC)),
        (datetime(2024, 2, 9, 23, 59, tzinfo=UTC), datetime(2024, 2, 10, 17, 30, tzinfo=UTC)),
        (datetime(2024, 2, 29, 18, 0, tzinfo=UTC), datetime(2024, 3, 1, 17, 30, tzinfo=UTC)),
    ],
)
def test_a_session_ends_where_the_instrument_says(
    market: Market, arrives: datetime, ends: datetime
) -> None:
    market.set_rules(session_end=17 * 60 + 30)
    assert market.sell("s", 5, 100, time_in_force=DAY, at=arrives) == [
        market.matched("s", SELL, 5, 100, rested=5, conditions=until(ends, DAY))
    ]


def test_an_order_of_a_slow_clock_is_of_the_session_of_the_book(market: Market) -> None:
    market.buy("other", 1, 1, at=MIDNIGHT)
    conditions = until(MIDNIGHT + timedelta(days=1), DAY)
    assert market.sell("s", 5, 100, time_in_force=DAY, at=MIDNIGHT - INSTANT) == [
        market.matched("s", SELL, 5, 100, rested=5, conditions=conditions)
    ]


def test_another_session_end_does_not_move_what_rests(market: Market) -> None:
    market.sell("s", 5, 100, time_in_force=DAY)
    market.set_rules(session_end=13 * 60)
    assert market.pass_time(seconds(3600)) == passed(market)
    assert market.pass_time(MIDNIGHT) == passed(market, departure("s", SELL, 5, 100))


# What is changed keeps its time.


@pytest.mark.parametrize("changes", [{"quantity": 4}, {"price": 101}, {"quantity": 9}])
def test_an_amended_order_ends_when_it_would_have(market: Market, changes: Any) -> None:
    sell(market, "s")
    market.amend("s", **changes)
    [left] = [order.remaining for order in market.book.book.orders.values()]
    price = changes.get("price", 100)
    assert market.pass_time(MINUTE) == passed(market, departure("s", SELL, left, price))


def test_the_orders_of_a_halted_market_end_too(market: Market) -> None:
    sell(market, "s")
    market.set_rules(status=TradingStatus.HALTED)
    assert market.pass_time(MINUTE) == passed(market, departure("s", SELL, 5, 100))


def test_a_mass_cancel_that_comes_too_late_finds_none_but_those_that_expired(
    market: Market,
) -> None:
    sell(market, "s")
    assert market.cancel_all("user", at=MINUTE) == [
        market.of_all(
            OrderBook.MassCancelled,
            "user",
            departed=(),
            expired=[departure("s", SELL, 5, 100, CancelReason.TIME_EXPIRED)],
        )
    ]
