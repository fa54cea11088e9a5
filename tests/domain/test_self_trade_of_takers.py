"""Self-trade prevention of orders that never rest: IOC, MARKET, and by amount."""

import pytest

from domain.values import SelfTradePrevention
from tests.domain.support import Market, fill
from tests.domain.test_self_trade_of_all_types import buy, his
from tests.domain.test_self_trade_prevention import DECREMENT, MAKER, TAKER
from tests.domain.words import BUY, IOC, MARKET, PREVENTED, TOO_LITTLE, UNIT, gone


def test_an_ioc_is_lowered_and_its_rest_expires(market: Market) -> None:
    market.sell("mine", 4, 100, user="ann")
    market.sell("his", 1, 100, user="bob")
    assert buy(market, 7, DECREMENT, time_in_force=IOC) == [
        market.matched(
            "b",
            BUY,
            3,
            100,
            fills=[his(1, "his", 1, left=0)],
            prevented=[gone("mine", 100, 4, left=4)],
            lowered=4,
            reason=TOO_LITTLE,
        )
    ]


def test_a_market_order_takes_its_own_away_and_finds_too_little(market: Market) -> None:
    market.sell("mine", 4, 100, user="ann")
    assert buy(market, 7, MAKER, order_type=MARKET, price=None) == [
        market.matched(
            "b", BUY, 7, None, prevented=[gone("mine", 100, 4, left=4)], reason=TOO_LITTLE
        )
    ]


@pytest.mark.parametrize("prevention", [TAKER, DECREMENT])
def test_an_order_by_amount_ends_at_its_own_and_the_maker_stays_as_it_was(
    market: Market, prevention: SelfTradePrevention
) -> None:
    market.sell("his", 2, 10 * UNIT, user="bob")
    market.sell("mine", 4, 10 * UNIT, user="ann")
    terms = {"order_type": MARKET, "quote_quantity": 50, "self_trade_prevention": prevention}
    assert market.buy("b", None, None, user="ann", **terms) == [
        market.matched(
            "b",
            BUY,
            None,
            None,
            fills=[fill(1, "his", 10 * UNIT, 2, left=0, user="bob")],
            reason=PREVENTED,
        )
    ]
    assert market.asks == [("mine", 4, 10 * UNIT)]


def test_an_order_by_amount_takes_its_own_away_and_spends_all(market: Market) -> None:
    market.sell("mine", 4, 10 * UNIT, user="ann")
    market.sell("his", 5, 10 * UNIT, user="bob")
    terms = {"order_type": MARKET, "quote_quantity": 50, "self_trade_prevention": MAKER}
    assert market.buy("b", None, None, user="ann", **terms) == [
        market.matched(
            "b",
            BUY,
            None,
            None,
            fills=[fill(1, "his", 10 * UNIT, 5, left=0, user="bob")],
            prevented=[gone("mine", 10 * UNIT, 4, left=4)],
        )
    ]
