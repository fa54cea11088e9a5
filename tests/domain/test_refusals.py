"""A refusal is an event with a reason, and the book is as it was."""

from typing import Any

import pytest

from domain.errors import CancelReason, DomainError, InvalidAmount, OrderClosed, RejectReason
from domain.values import Side, Terms
from tests.domain.support import Market, order_id, request_id, seconds, state

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
    replace = market.replace_request("order", 101, None, seconds(3))
    assert market.refuse(replace, FAILED) == [
        market.refused("order", FAILED, request=request_id(2))
    ]
    assert market.asks == [("order", 5, 100)]


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
        "QUANTITY_NOT_ABOVE_FILLED",
        "INTERNAL_ERROR",
    }
    assert {str(reason) for reason in CancelReason} == {"USER_REQUEST", "INSUFFICIENT_LIQUIDITY"}


def test_everything_that_the_model_raises_on_purpose_is_a_domain_error() -> None:
    assert issubclass(InvalidAmount, DomainError)
    assert issubclass(InvalidAmount, ValueError)
    assert issubclass(OrderClosed, DomainError)
    assert OrderClosed("FILLED").status == "FILLED"
    assert str(OrderClosed("FILLED")) == "Order is FILLED"
