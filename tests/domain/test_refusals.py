"""A refusal is an event with a reason, and the book is as it was."""

from typing import Any

import pytest

from domain.errors import CancelReason, DomainError, InvalidAmount, OrderClosed, RejectReason
from domain.order_book import OrderBook
from domain.requests import MassCancelRequest
from domain.values import Side, Terms
from tests.domain.support import Exchange, Market, order_id, request_id, seconds, state

FAILED = RejectReason.INTERNAL_ERROR


def test_an_order_that_the_engine_failed_on_is_refused_and_never_rests() -> None:
    market = Market()
    market.sell("other", 5, 100)
    order = market.new_order("poison", Terms("user", market.asset, Side.BUY, 100, 5), seconds(2))
    assert market.refuse(order, FAILED) == [market.refused("poison", FAILED, request=None)]
    assert (market.bids, market.asks) == ([], [("other", 5, 100)])


def test_a_request_that_the_engine_failed_on_is_refused_and_the_order_rests_on() -> None:
    market = Market()
    market.sell("order", 5, 100)
    cancel = market.cancel_request("order", seconds(2))
    assert market.refuse(cancel, FAILED) == [market.refused("order", FAILED, request=request_id(1))]
    replace = market.replace_request("order", seconds(3), price=101)
    assert market.refuse(replace, FAILED) == [
        market.refused("order", FAILED, request=request_id(2))
    ]
    assert market.asks == [("order", 5, 100)]


def test_a_request_about_no_order_is_refused_and_names_none(exchange: Exchange) -> None:
    exchange.sell("order", 5, 100)
    request = MassCancelRequest.make(
        request_id(2), user_id="ann", asset=exchange.asset, time=seconds(2)
    )
    assert exchange.refuse(request.collect_events()[0], FAILED) == [
        exchange.of_all(OrderBook.Refused, "ann", order_id=None, reason=FAILED, limit=None)
    ]
    assert exchange.outcomes == []
    assert exchange.asks == [("order", 5, 100)]


def test_a_refusal_moves_only_version_position_and_time() -> None:
    market = Market()
    market.sell("order", 5, 100)
    before = state(market.book)
    market.cancel("unknown")
    assert state(market.book) == before | {
        "version": 2,
        "position": 20,
        "modified_on": seconds(2),
    }
    assert order_id("unknown") not in market.book.book.orders


@pytest.mark.parametrize("reason", [*RejectReason, *CancelReason])
def test_a_reason_is_a_code_for_programs_and_a_sentence_for_people(
    reason: RejectReason | CancelReason,
) -> None:
    assert reason == reason.name == reason.value == str(reason)
    kind: type[Any] = type(reason)
    assert kind(reason.value) is reason
    assert reason.sentence[0].isupper()
    assert len(reason.sentence.split()) > 3


def test_the_codes_are_these() -> None:
    """They are stored and published: one that goes missing is a break."""
    assert {str(reason) for reason in RejectReason} == {
        "ORDER_NOT_OPEN",
        "ORDER_QUEUED",
        "QUANTITY_NOT_ABOVE_FILLED",
        "NO_LIMIT_PRICE",
        "NO_STOP_PRICE",
        "NO_DISPLAY_QUANTITY",
        "DISPLAY_QUANTITY",
        "TOO_MANY_SLICES",
        "POST_ONLY_WOULD_TAKE",
        "MARKET_HALTED",
        "MARKET_POST_ONLY",
        "DELISTED",
        "USER_SUSPENDED",
        "TICK_SIZE",
        "LOT_SIZE",
        "MIN_QUANTITY",
        "MAX_QUANTITY",
        "OPEN_ORDERS_LIMIT",
        "USER_STOPS_LIMIT",
        "STOPS_LIMIT",
        "SLICES_LIMIT",
        "MIN_NOTIONAL",
        "PRICE_TOO_LOW",
        "PRICE_TOO_HIGH",
        "INTERNAL_ERROR",
    }
    assert {str(reason): reason.by_engine for reason in CancelReason} == {
        "USER_REQUEST": False,
        "USER_SUSPENDED": False,
        "DELISTED": False,
        "SELF_TRADE_PREVENTION": False,
        "INSUFFICIENT_LIQUIDITY": True,
        "PRICE_BAND": True,
        "NO_WHOLE_LOT": True,
        "QUANTITY_LIMIT": True,
        "TIME_EXPIRED": True,
        "TOO_MANY_TRADES": True,
        "POST_ONLY_WOULD_TAKE": True,
    }


def test_everything_that_the_model_raises_on_purpose_is_a_domain_error() -> None:
    assert issubclass(InvalidAmount, DomainError)
    assert issubclass(InvalidAmount, ValueError)
    assert issubclass(OrderClosed, DomainError)
    assert OrderClosed("FILLED").status == "FILLED"
    assert str(OrderClosed("FILLED")) == "Order is FILLED"
