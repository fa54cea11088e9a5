"""Examples of exchanges' public documentation, worked by hand.

Only facts are taken from them. Where we do otherwise the test says so: what Binance calls
EXPIRED_IN_MATCH, and Kraken "Canceled", is CANCELLED here, with the reason
SELF_TRADE_PREVENTION; Binance's "prevented quantity" is what our DECREMENT takes off the
quantity of the order that stays.
"""

from decimal import Decimal
from typing import Any

import pytest

from domain.values import OrderStatus, SelfTradePrevention, to_units
from tests.domain.support import Exchange, Market, fill
from tests.domain.words import (
    MARKET,
    PREVENTED,
    SELL,
    STOP_LIMIT,
    TOO_LITTLE,
    execution,
    gone,
    mode,
)

TAKER = SelfTradePrevention.CANCEL_TAKER
MAKER = SelfTradePrevention.CANCEL_MAKER
BOTH = SelfTradePrevention.CANCEL_BOTH
DECREMENT = SelfTradePrevention.DECREMENT


def units(amount: str) -> int:
    return to_units(Decimal(amount))


# Binance, "Self Trade Prevention (STP) FAQ", spot API documentation, faqs/stp_faq.md.

PRICES = {"maker 1": ("1.2", "1.2"), "maker 2": ("1.3", "1.1"), "maker 3": ("8.1", "1")}


@pytest.fixture
def binance(market: Market) -> Market:
    """The makers of scenarios B and C: quantity and price of each."""
    for name, (quantity, price) in PRICES.items():
        market.buy(name, units(quantity), units(price))
    return market


def test_binance_a_without_prevention_the_orders_trade(market: Market) -> None:
    one = units("1")
    market.buy("maker", one, one)
    assert market.sell("taker", one, one) == [
        market.matched("taker", SELL, one, one, fills=[fill(1, "maker", one, one, left=0)])
    ]


def test_binance_b_expire_maker_takes_all_makers_away_and_the_taker_rests(
    binance: Market,
) -> None:
    three, one = units("3"), units("1")
    assert binance.sell("taker", three, one, self_trade_prevention=MAKER) == [
        binance.matched(
            "taker",
            SELL,
            three,
            one,
            prevented=[
                gone(name, units(price), units(quantity), left=units(quantity))
                for name, (quantity, price) in PRICES.items()
            ],
            rested=three,
            conditions=mode(MAKER),
        )
    ]
    assert (binance.bids, binance.asks) == ([], [("taker", three, one)])


def test_binance_c_expire_taker_leaves_all_makers(binance: Market) -> None:
    three, one = units("3"), units("1")
    assert binance.sell("taker", three, one, self_trade_prevention=TAKER) == [
        binance.matched("taker", SELL, three, one, reason=PREVENTED)
    ]
    assert binance.bids == [
        (name, units(quantity), units(price)) for name, (quantity, price) in PRICES.items()
    ]


def test_binance_d_expire_both(market: Market) -> None:
    three, one = units("3"), units("1")
    market.buy("maker", one, one)
    assert market.sell("taker", three, one, self_trade_prevention=BOTH) == [
        market.matched(
            "taker",
            SELL,
            three,
            one,
            prevented=[gone("maker", one, one, left=one)],
            reason=PREVENTED,
        )
    ]
    assert (market.bids, market.asks) == ([], [])


def test_binance_e_the_mode_of_the_taker_rules(market: Market) -> None:
    one = units("1")
    market.buy("maker", one, one, self_trade_prevention=MAKER)
    assert market.sell("taker", one, one, self_trade_prevention=TAKER) == [
        market.matched("taker", SELL, one, one, reason=PREVENTED)
    ]
    assert market.bids == [("maker", one, one)]


def test_binance_f_a_market_order_that_took_its_maker_away_finds_nothing(
    exchange: Exchange,
) -> None:
    one = units("1")
    exchange.buy("maker", one, one)
    terms = {"order_type": MARKET, "self_trade_prevention": MAKER}
    assert exchange.sell("taker", one, None, **terms) == [
        exchange.matched(
            "taker",
            SELL,
            one,
            None,
            prevented=[gone("maker", one, one, left=one)],
            reason=TOO_LITTLE,
        )
    ]
    assert exchange["maker"].status is OrderStatus.CANCELLED
    assert exchange["taker"].status is OrderStatus.EXPIRED


def test_binance_g_decrement_takes_the_smaller_from_the_larger(exchange: Exchange) -> None:
    """There the maker's quantity stays 6, of which 2 were prevented; here it is 4."""
    six, four, two = units("6"), units("4"), units("2")
    exchange.buy("maker", six, two)
    [matched] = exchange.sell("taker", two, two, self_trade_prevention=DECREMENT)
    assert (matched.fills, matched.reason) == ((), PREVENTED)
    [prevented] = matched.prevented
    assert (prevented.quantity, prevented.remaining, prevented.is_cancelled) == (four, four, False)
    assert exchange.bids == [("maker", four, two)]
    assert (exchange["maker"].status, exchange["maker"].quantity) == (OrderStatus.OPEN, four)
    assert (exchange["taker"].status, exchange["taker"].quantity) == (OrderStatus.CANCELLED, two)


# Kraken, support.kraken.com.


def test_kraken_a_market_order_that_meets_its_own_is_cancelled_and_the_maker_stays(
    exchange: Exchange,
) -> None:
    """Self trading prevention: 5000 XDG at 0.002449, and 5000 sold at the market."""
    quantity, price = units("5000"), units("0.002449")
    exchange.buy("maker", quantity, price)
    terms = {"order_type": MARKET, "self_trade_prevention": TAKER}
    assert exchange.sell("taker", quantity, None, **terms) == [
        exchange.matched("taker", SELL, quantity, None, reason=PREVENTED)
    ]
    assert exchange.bids == [("maker", quantity, price)]
    assert exchange["taker"].status is OrderStatus.CANCELLED


def test_kraken_what_would_meet_its_own_is_cancelled_after_what_does_not(market: Market) -> None:
    """Self trading prevention: an order that can be filled in part."""
    market.buy("other", 2, 101, user="other")
    market.buy("maker", 5, 100)
    assert market.sell("taker", 5, 100, self_trade_prevention=TAKER) == [
        market.matched(
            "taker",
            SELL,
            5,
            100,
            fills=[fill(1, "other", 101, 2, left=0, user="other")],
            reason=PREVENTED,
        )
    ]
    assert market.bids == [("maker", 5, 100)]


def trade(market: Market, price: int) -> Any:
    """A trade of 1 at a price: what it triggered."""
    market.sell(f"s {price}", 1, price, user="other")
    [matched] = market.buy(f"b {price}", 1, price, user="other")
    return matched.triggered


def test_kraken_stop_loss_limit(market: Market) -> None:
    """Stop loss limit orders: BTC at 8000, trigger 7950, limit 7900."""
    assert trade(market, 8_000) == ()
    market.sell("stop", 1, 7_900, order_type=STOP_LIMIT, stop_price=7_950)
    assert trade(market, 7_951) == ()
    market.buy("bid", 1, 7_920, user="other")
    assert market.sell("falls", 1, 7_949, user="other")  # a quote: nothing yet
    [matched] = market.buy("taker", 1, 7_949, user="other")
    filled = fill(4, "bid", 7_920, 1, left=0, user="other")
    assert matched.triggered == (execution("stop", SELL, 1, 7_900, [filled]),)


def test_kraken_stop_loss_limit_rests_below_which_it_does_not_sell(market: Market) -> None:
    trade(market, 8_000)
    market.sell("stop", 1, 7_900, order_type=STOP_LIMIT, stop_price=7_950)
    market.buy("too low", 1, 7_899, user="other")
    assert trade(market, 7_950) == (execution("stop", SELL, 1, 7_900, rested=1),)
    assert market.asks == [("stop", 1, 7_900)]


def test_kraken_take_profit_limit(market: Market) -> None:
    """Take profit limit orders: ETH at 1500, profit price 1700, not to be sold below 1680."""
    trade(market, 1_500)
    terms = {"order_type": STOP_LIMIT, "stop_price": 1_700, "take_profit": True}
    market.sell("profit", 1, 1_680, **terms)
    market.buy("bid", 1, 1_690, user="other")
    assert trade(market, 1_699) == ()
    filled = fill(4, "bid", 1_690, 1, left=0, user="other")
    assert trade(market, 1_700) == (execution("profit", SELL, 1, 1_680, [filled]),)
