"""Limits: what just keeps one, what just exceeds it, and what an exceeded one leaves alone."""

from dataclasses import replace
from typing import Any

import pytest

from domain.errors import RejectReason
from domain.instrument import DEFAULT, Instrument, Limits, Rules
from domain.order import Order
from domain.requests import InstrumentRequest, LimitsRequest
from domain.values import ALL_ASSETS, UNITS_PER_ONE, OrderStatus, TimeInForce
from domain.venue import Venue
from tests.domain.support import START, Event, Exchange, Market, request_id, seconds
from tests.domain.words import BUY, MARKET, STOP, STOP_LIMIT


def limit(market: Market, **limits: int | None) -> None:
    """Sets limits of all assets."""
    market.default = replace(market.default, limits=Limits(**limits))


def last(market: Market) -> Event:
    return market.events[-1]


def test_an_open_order_beyond_the_users_limit_is_refused(market: Market) -> None:
    limit(market, max_open_orders=2)
    market.buy("one", 1, 10)
    market.buy("waits", 1, None, order_type=STOP, stop_price=50)
    assert market.buy("three", 1, 10) == [
        market.refused("three", RejectReason.OPEN_ORDERS_LIMIT, limit=2 * UNITS_PER_ONE)
    ]
    assert market.buy("of another", 1, 10, user="other") == [
        market.matched("of another", BUY, 1, 10, rested=1)
    ]


def test_a_place_that_is_free_again_is_taken(market: Market) -> None:
    limit(market, max_open_orders=1)
    market.buy("one", 1, 10)
    market.cancel("one")
    assert market.buy("two", 1, 10) == [market.matched("two", BUY, 1, 10, rested=1)]


@pytest.mark.parametrize("time_in_force", [TimeInForce.IOC, TimeInForce.FOK])
def test_an_order_that_never_rests_is_not_counted(
    market: Market, time_in_force: TimeInForce
) -> None:
    limit(market, max_open_orders=1)
    market.sell("maker", 9, 10, user="other")
    market.buy("rests", 1, 9)
    market.buy("limit", 1, 10, time_in_force=time_in_force)
    assert last(market).fills[0].quantity == 1
    market.buy("market", 1, None, order_type=MARKET)
    assert last(market).fills[0].quantity == 1


def test_stops_of_a_user_and_of_all_are_limited(market: Market) -> None:
    limit(market, max_user_stops=1, max_stops=2)
    waits: dict[str, Any] = {"order_type": STOP, "stop_price": 50}
    market.buy("a", 1, None, **waits)
    assert market.buy("b", 1, None, **waits) == [
        market.refused("b", RejectReason.USER_STOPS_LIMIT, limit=UNITS_PER_ONE)
    ]
    market.buy("c", 1, None, user="other", **waits)
    assert market.buy("d", 1, None, user="third", **waits) == [
        market.refused("d", RejectReason.STOPS_LIMIT, limit=2 * UNITS_PER_ONE)
    ]
    market.cancel("a")
    market.buy("e", 1, None, user="third", **waits)
    assert last(market).waits


def test_a_triggered_stop_waits_no_longer(market: Market) -> None:
    limit(market, max_user_stops=1)
    market.buy("a", 1, 60, order_type=STOP_LIMIT, stop_price=50)
    market.sell("maker", 1, 50, user="other")
    market.buy("trades", 1, 50, user="other")
    market.buy("b", 1, None, order_type=STOP, stop_price=90)
    assert last(market).waits


def test_slices_are_rounded_up(market: Market) -> None:
    limit(market, max_slices=3)
    market.buy("keeps", 9, 10, display_quantity=3)
    assert last(market).rested == 9
    assert market.buy("exceeds", 10, 10, display_quantity=3) == [
        market.refused("exceeds", RejectReason.SLICES_LIMIT, limit=3 * UNITS_PER_ONE)
    ]


def test_a_change_is_judged_only_where_it_makes_more_slices(market: Market) -> None:
    market.buy("ice", 12, 10, display_quantity=2)  # six slices, before there are limits
    limit(market, max_slices=3, max_open_orders=1, max_user_stops=1)
    assert market.amend("ice", display_quantity=1) == [
        market.request_refused("ice", RejectReason.SLICES_LIMIT, limit=3 * UNITS_PER_ONE)
    ]
    assert market.amend("ice", quantity=13) == [
        market.request_refused("ice", RejectReason.SLICES_LIMIT, limit=3 * UNITS_PER_ONE)
    ]
    market.amend("ice", quantity=10)
    assert last(market).remaining == 10
    market.amend("ice", price=11)
    assert (last(market).rested, last(market).price) == (10, 11)


def test_orders_from_before_the_limits_stay_and_go_on(exchange: Exchange) -> None:
    for number in range(5):
        exchange.sell(f"s{number}", 2, 10 + number)
        exchange.buy(f"w{number}", 1, None, order_type=STOP, stop_price=12)
    limit(exchange, max_open_orders=2, max_user_stops=1, max_stops=1)
    exchange.sell("refused", 1, 20)
    assert exchange["refused"].reason is RejectReason.OPEN_ORDERS_LIMIT
    assert exchange["refused"].limit == 2 * UNITS_PER_ONE
    exchange.buy("takes", 5, 12, user="other")
    assert exchange["takes"].status is OrderStatus.FILLED
    assert [exchange[f"w{number}"].status for number in range(5)] == [OrderStatus.FILLED] * 5


# Where limits come from.


def test_what_an_asset_leaves_open_is_as_by_default() -> None:
    own = Instrument(limits=Limits(max_stops=7))
    default = Instrument(limits=Limits(max_stops=3, max_slices=4))
    assert Rules(default).limits_of(own) == Limits(max_stops=7, max_slices=4)
    assert Rules(default).limits_of(default) == default.limits
    assert Rules().limits_of(own) == own.limits


def asked(kind: type[Any], command: int, **facts: Any) -> Event:
    request = kind.make(
        request_id(command), user_id="u", asset=ALL_ASSETS, time=seconds(command), **facts
    )
    return request.collect_events()[0]


def test_the_engines_limits_fill_only_what_is_open() -> None:
    venue = Venue.open(START)
    mine = Instrument(tick_size=5, limits=Limits(max_stops=7))
    venue.change_default(1, asked(InstrumentRequest, 1, instrument=mine))
    limits = Limits(max_open_orders=10, max_stops=20)
    venue.set_limits(2, asked(LimitsRequest, 2, limits=limits))
    assert venue.rules_at(1, "u").default == mine
    assert venue.rules_at(2, "u").default == Instrument(
        tick_size=5, limits=Limits(max_open_orders=10, max_stops=7)
    )
    venue.collect_events()
    venue.set_limits(3, asked(LimitsRequest, 3, limits=limits))
    assert venue.collect_events() == []


def test_a_change_of_the_default_rules_keeps_the_limits_that_it_leaves_out() -> None:
    venue = Venue.open(START)
    limits = Limits(max_open_orders=10, max_stops=20, max_parts=1_000)
    venue.set_limits(1, asked(LimitsRequest, 1, limits=limits))
    changed = Instrument(lot_size=2, limits=Limits(max_stops=10**9))
    venue.change_default(2, asked(InstrumentRequest, 2, instrument=changed))
    assert venue.rules_at(2, "u").default == replace(
        changed, limits=replace(limits, max_stops=10**9)
    )
    assert venue.rules_at(0, "u").default == DEFAULT


def test_a_limit_is_told_as_a_count(exchange: Exchange) -> None:
    limit(exchange, max_open_orders=1)
    exchange.buy("a", 1, 10)
    exchange.buy("b", 1, 10)
    [_, rejected] = exchange.story("b")
    assert type(rejected) is Order.Rejected
    assert (rejected.reason, rejected.limit) == (RejectReason.OPEN_ORDERS_LIMIT, UNITS_PER_ONE)
