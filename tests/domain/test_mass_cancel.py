"""All orders of a user leave at once: as asked, or since the user is suspended."""

from typing import Any

import pytest

from domain.errors import CancelReason, RejectReason
from domain.instrument import TradingStatus
from domain.order import Order
from domain.order_book import OrderBook
from domain.requests import UserRequest
from domain.values import OrderStatus
from tests.domain.support import (
    Event,
    Exchange,
    Market,
    fill,
    order_id,
    request_id,
    seconds,
    state,
    told,
)
from tests.domain.words import BUY, GTD, SELL, STOP, STOP_LIMIT, departure

ASKED = CancelReason.USER_REQUEST
SUSPENDED = CancelReason.USER_SUSPENDED


def suspend(market: Market, user: str) -> list[Event]:
    """What the venue has the book do."""
    request: Any = UserRequest.make(
        request_id(market.commands + 1),
        user_id=user,
        asset="*",
        is_suspended=True,
        time=market._next(None),
    )
    market.suspended.add(user)
    market.book.mass_cancel(market.position, request.collect_events()[0], SUSPENDED)
    return market._new()


def cancelled(market: Market, user: str, *departed: Any, **facts: Any) -> list[Event]:
    """They leave in the order of their ids."""
    by_id = tuple(sorted(departed, key=lambda each: each.order_id.int))
    return [market.of_all(OrderBook.MassCancelled, user, departed=by_id, **facts)]


@pytest.fixture
def crowd(market: Market) -> Market:
    """Orders of ann of every kind, and between them bob's."""
    market.buy("low", 1, 90, user="ann")
    market.buy("high", 2, 95, user="ann")
    market.buy("bob's", 9, 95, user="bob")
    market.sell("ice", 10, 105, user="ann", display_quantity=3)
    market.sell("bob's ask", 9, 105, user="bob")
    market.sell("falls", 4, None, user="ann", order_type=STOP, stop_price=80)
    market.buy("rises", 5, 121, user="ann", order_type=STOP_LIMIT, stop_price=120)
    market.buy("bob's stop", 9, None, user="bob", order_type=STOP, stop_price=120)
    return market


def all_of_ann(reason: CancelReason) -> list[Any]:
    return [
        departure("high", BUY, 2, 95, reason, user="ann"),
        departure("low", BUY, 1, 90, reason, user="ann"),
        departure("ice", SELL, 10, 105, reason, shown=3, user="ann"),
        departure("rises", BUY, 5, 121, reason, shown=0, user="ann"),
        departure("falls", SELL, 4, None, reason, shown=0, user="ann"),
    ]


def check_that_bob_stays(market: Market) -> None:
    assert (market.bids, market.asks) == ([("bob's", 9, 95)], [("bob's ask", 9, 105)])
    assert [order.order_id for order in market.book.floor.stops] == [order_id("bob's stop")]


def test_all_of_a_user_leave_those_that_wait_too_and_nobody_elses(crowd: Market) -> None:
    assert crowd.cancel_all("ann") == cancelled(crowd, "ann", *all_of_ann(ASKED))
    check_that_bob_stays(crowd)


def test_what_remained_is_what_leaves(market: Market) -> None:
    market.sell("s", 5, 100, user="ann")
    market.buy("b", 2, 100, user="bob")
    assert market.cancel_all("ann") == cancelled(
        market, "ann", departure("s", SELL, 3, 100, ASKED, user="ann")
    )


def test_a_book_that_has_none_has_no_event_and_is_untouched(crowd: Market) -> None:
    before = state(crowd.book)
    assert crowd.cancel_all("carol") == []
    assert state(crowd.book) == before


def test_a_second_one_finds_none(crowd: Market) -> None:
    crowd.cancel_all("ann")
    assert crowd.cancel_all("ann") == []


def test_one_that_comes_again_is_ignored(crowd: Market) -> None:
    crowd.cancel_all("ann")
    crowd.buy("new", 1, 1, user="ann")
    crowd.commands -= 1  # the log says again what it said
    assert crowd.cancel_all("ann") == []
    assert ("new", 1, 1) in crowd.bids


def test_a_name_is_compared_whole(market: Market) -> None:
    market.buy("b", 1, 100, user="ann")
    for user in ("an", "anna", "Ann", "ann ", ""):
        assert market.cancel_all(user) == []
    assert market.bids == [("b", 1, 100)]


def test_the_user_may_place_orders_afterwards(market: Market) -> None:
    market.sell("s", 5, 100, user="ann")
    market.cancel_all("ann")
    assert market.sell("again", 5, 100, user="ann") == [
        market.matched("again", SELL, 5, 100, rested=5)
    ]


def test_cancels_are_taken_in_a_halted_market(market: Market) -> None:
    market.sell("s", 5, 100, user="ann")
    market.set_rules(status=TradingStatus.HALTED)
    assert market.cancel_all("ann") == cancelled(
        market, "ann", departure("s", SELL, 5, 100, ASKED, user="ann")
    )


def test_what_is_due_expires_first_and_is_not_cancelled(market: Market) -> None:
    ends = {"time_in_force": GTD, "expires_at": seconds(60)}
    market.sell("due", 5, 100, user="ann", **ends)
    market.sell("stays until then", 5, 101, user="ann")
    assert market.cancel_all("ann", at=seconds(60)) == cancelled(
        market,
        "ann",
        departure("stays until then", SELL, 5, 101, ASKED, user="ann"),
        expired=[departure("due", SELL, 5, 100, user="ann")],
    )


# Suspended users.


def test_a_suspended_users_orders_leave(crowd: Market) -> None:
    assert suspend(crowd, "ann") == cancelled(crowd, "ann", *all_of_ann(SUSPENDED))
    check_that_bob_stays(crowd)


def test_a_suspended_user_can_neither_place_nor_change(crowd: Market) -> None:
    crowd.suspended.add("bob")
    reason = RejectReason.USER_SUSPENDED
    assert crowd.buy("more", 1, 1, user="bob") == [crowd.refused("more", reason)]
    for name in ("bob's", "bob's stop"):
        assert crowd.amend(name, quantity=1) == [crowd.request_refused(name, reason)]
    assert crowd.cancel("bob's") == [crowd.cancelled("bob's", BUY, 9, 95)]


def test_others_trade_on_and_so_does_the_user_once_it_is_lifted(crowd: Market) -> None:
    suspend(crowd, "ann")
    his = fill(1, "bob's ask", 105, 1, left=8, user="bob")
    assert crowd.buy("c", 1, 105, user="carol") == [crowd.matched("c", BUY, 1, 105, fills=[his])]
    crowd.suspended.clear()
    assert crowd.buy("low", 1, 90, user="ann") == [crowd.matched("low", BUY, 1, 90, rested=1)]


@pytest.mark.parametrize(("asked", "reason"), [(True, ASKED), (False, SUSPENDED)])
def test_each_order_tells_why_and_by_which_request(
    exchange: Exchange, *, asked: bool, reason: CancelReason
) -> None:
    exchange.sell("s", 5, 100, user="ann")
    exchange.buy("b", 2, 100, user="bob")
    if asked:
        exchange.cancel_all("ann")
    else:
        suspend(exchange, "ann")
    assert exchange.story("s")[3:] == [
        told(
            Order.Cancelled,
            originator_id=order_id("s"),
            originator_version=4,
            timestamp=seconds(3),
            user_id="ann",
            asset="BTC-USD",
            book_version=3,
            status=OrderStatus.CANCELLED,
            request_id=request_id(3),
            reason=reason,
        )
    ]
    assert (exchange["s"].quantity, exchange["s"].filled_quantity) == (5, 2)
