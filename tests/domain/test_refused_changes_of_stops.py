"""Changes of stops that are refused: the stop waits on as it was."""

from typing import Any

import pytest

from domain.errors import RejectReason
from tests.domain.support import Market
from tests.domain.test_amending_stops import SEEN, trade, waiting
from tests.domain.words import BUY, STOP, STOP_LIMIT, UNIT, stop_limit


@pytest.fixture
def queue(market: Market) -> Market:
    """Two stops that wait to buy at 100, the first to be a limit order at 105."""
    market.buy("first", 5, 105, order_type=STOP_LIMIT, stop_price=100)
    market.buy("second", 5, None, order_type=STOP, stop_price=100)
    return market


def test_a_stop_that_is_to_be_a_market_order_has_no_price_to_change(queue: Market) -> None:
    assert queue.amend("second", price=105) == [
        queue.request_refused("second", RejectReason.NO_LIMIT_PRICE)
    ]
    assert waiting(queue) == ["first", "second"]


def test_only_a_stop_that_waits_has_a_trigger_to_change(queue: Market) -> None:
    trade(queue, 100)
    no_trigger = RejectReason.NO_STOP_PRICE
    assert queue.amend("first", stop_price=90) == [queue.request_refused("first", no_trigger)]
    queue.sell("limit", 1, 200)
    assert queue.amend("limit", stop_price=90) == [queue.request_refused("limit", no_trigger)]
    assert (queue.bids, queue.asks) == ([("first", 5, 105)], [("limit", 1, 200)])


@pytest.mark.parametrize(
    ("changes", "reason", "limit"),
    [
        ({"stop_price": 101}, RejectReason.TICK_SIZE, 5),
        ({"price": 104}, RejectReason.TICK_SIZE, 5),
        ({"quantity": 9}, RejectReason.MAX_QUANTITY, 8),
        ({"price": 205}, RejectReason.PRICE_TOO_HIGH, 200),
    ],
)
def test_the_rules_of_the_instrument_hold_for_a_stop_that_waits(
    queue: Market, changes: dict[str, Any], reason: RejectReason, limit: int
) -> None:
    queue.set_rules(tick_size=5, max_quantity=8, max_price=200)
    assert queue.amend("first", **changes) == [queue.request_refused("first", reason, limit)]
    assert waiting(queue) == ["first", "second"]


def test_the_moving_band_does_not_hold_for_a_stop_that_waits(market: Market) -> None:
    trade(market, 1_000)
    market.set_rules(band_percent=UNIT)
    market.buy("stop", 5, 1_100, order_type=STOP_LIMIT, stop_price=1_100)
    assert market.amend("stop", price=1_200) == [
        market.reduced(
            "stop",
            BUY,
            5,
            1_200,
            remaining=5,
            was=5,
            conditions=stop_limit(1_100),
            **SEEN,
        )
    ]
