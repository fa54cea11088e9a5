"""More examples of exchanges' public documentation: of Coinbase, CME Globex, and Kraken.

Only facts are taken from them; where we do otherwise the test says so.
"""

from typing import Any

import pytest

from domain.errors import CancelReason, RejectReason
from domain.values import SelfTradePrevention
from tests.domain.support import Market, fill
from tests.domain.words import (
    BUY,
    MARKET,
    PREVENTED,
    SELL,
    STOP,
    STOP_LIMIT,
    TOO_LITTLE,
    UNIT,
    execution,
    gone,
    iceberg,
    lowered,
    mode,
)

CO = SelfTradePrevention.CANCEL_MAKER  # cancel oldest
CN = SelfTradePrevention.CANCEL_TAKER  # cancel newest
CB = SelfTradePrevention.CANCEL_BOTH
DC = SelfTradePrevention.DECREMENT  # decrement and cancel


def trade(market: Market, price: int) -> Any:
    """A trade of 1 at a price: what it triggered."""
    market.sell(f"s {price}", 1, price, user="other")
    [matched] = market.buy(f"b {price}", 1, price, user="other")
    return matched.triggered


# Coinbase Exchange, "Matching engine", docs.cdp.coinbase.com/exchange/concepts/matching-engine.


def test_coinbase_price_improvement_is_the_takers(market: Market) -> None:
    """A buys 1 at 100, then B sells 1 at 80: it trades at 100."""
    market.buy("A", 1, 100)
    assert market.sell("B", 1, 80) == [
        market.matched("B", SELL, 1, 80, fills=[fill(1, "A", 100, 1, left=0)])
    ]


@pytest.mark.parametrize(
    ("size", "prevention", "facts", "maker_left"),
    [
        (7, DC, {"prevented": [gone("maker", 100, 5, left=5)], "lowered": 5, "rested": 2}, 0),
        (2, DC, {"prevented": [lowered("maker", 100, 3, left=3, was=5)]}, 3),
        (5, DC, {"prevented": [gone("maker", 100, 5, left=5)]}, 0),
        (7, CO, {"prevented": [gone("maker", 100, 5, left=5)], "rested": 7}, 0),
        (7, CN, {}, 5),
        (7, CB, {"prevented": [gone("maker", 100, 5, left=5)]}, 0),
    ],
)
def test_coinbase_self_trade_prevention(
    market: Market, *, size: int, prevention: SelfTradePrevention, facts: Any, maker_left: int
) -> None:
    """The table of flags: dc (larger, smaller, equal), co, cn, cb; the maker has 5."""
    market.sell("maker", 5, 100)
    if "rested" in facts:
        ends: dict[str, Any] = {"conditions": mode(prevention)}
    else:
        ends = {"reason": PREVENTED}
    quantity = size - facts.get("lowered", 0)
    assert market.buy("taker", size, 100, self_trade_prevention=prevention) == [
        market.matched("taker", BUY, quantity, 100, **facts, **ends)
    ]
    assert market.asks == ([("maker", maker_left, 100)] if maker_left else [])


def test_coinbase_market_orders_by_funds_are_decremented_there_and_cancelled_here(
    market: Market,
) -> None:
    """There the funds are lowered, and it goes on; here it ends at its user's order."""
    market.sell("maker", 5, 10 * UNIT)
    terms = {"order_type": MARKET, "quote_quantity": 100, "self_trade_prevention": DC}
    assert market.buy("taker", None, None, **terms) == [
        market.matched("taker", BUY, None, None, reason=PREVENTED)
    ]
    assert market.asks == [("maker", 5, 10 * UNIT)]


# Coinbase Advanced, "Understanding the order types", help.coinbase.com.


def test_coinbase_market_protection_of_ten_percent(market: Market) -> None:
    """After a trade at 4000 nothing is bought at more than 4400: the rest is returned.

    There 4400 itself is excluded, here it is the last price of the band.
    """
    market.sell("at 4399", 1, 4_399)
    market.sell("at 4400", 1, 4_400)
    market.sell("at 4401", 1, 4_401)
    market.sell("first", 1, 4_000)
    market.buy("last", 1, 4_000)
    market.set_rules(band_percent=10 * UNIT)
    assert market.buy("m", 3, None, order_type=MARKET) == [
        market.matched(
            "m",
            BUY,
            3,
            None,
            fills=[fill(2, "at 4399", 4_399, 1, left=0), fill(3, "at 4400", 4_400, 1, left=0)],
            reason=CancelReason.PRICE_BAND,
        )
    ]


@pytest.mark.parametrize("last", [105, 106])
def test_coinbase_a_stop_limit_triggers_at_its_price_or_across_it_and_rests(
    market: Market, last: int
) -> None:
    """Coinbase Prime, "Order type: Stop limit": the last trade equals or crosses the stop price."""
    market.buy("stop", 5, 104, order_type=STOP_LIMIT, stop_price=105)
    assert trade(market, 104) == ()
    assert trade(market, last) == (execution("stop", BUY, 5, 104, rested=5),)
    assert market.bids == [("stop", 5, 104)]


def test_coinbase_a_stop_loss_is_at_or_below_and_a_stop_entry_at_or_above(market: Market) -> None:
    """Coinbase Pro's API: ``loss`` for sells, ``entry`` for buys, both by the last trade."""
    trade(market, 100)
    market.sell("loss", 1, None, order_type=STOP, stop_price=95)
    market.buy("entry", 1, None, order_type=STOP, stop_price=105)
    assert trade(market, 96) == trade(market, 104) == ()
    assert trade(market, 95) == (execution("loss", SELL, 1, None, reason=TOO_LITTLE),)
    assert trade(market, 105) == (execution("entry", BUY, 1, None, reason=TOO_LITTLE),)


def test_coinbase_post_only_is_rejected_whole_where_a_part_would_take(market: Market) -> None:
    """Trading Technologies, "Coinbase supported order types": Limit (Post Only)."""
    market.sell("ask", 1, 100)
    assert market.buy("p", 5, 100, post_only=True) == [
        market.refused("p", RejectReason.POST_ONLY_WOULD_TAKE)
    ]


# CME Globex, "iLink - Order Qualifiers" and "Order types", cmegroup.com/confluence.


def test_cme_a_display_quantity_comes_again_at_the_bottom_of_the_book(market: Market) -> None:
    """A bid of 100 at 9968 that shows 2; another of 3 comes behind it.

    There at most 60 slices are allowed (Eurodollars), here 1000.
    """
    assert market.buy("order", 100, 9_968, display_quantity=2) == [
        market.matched("order", BUY, 100, 9_968, rested=100, shown=2, conditions=iceberg(2))
    ]
    market.buy("behind", 3, 9_968)
    assert market.sell("a", 2, 9_968) == [
        market.matched("a", SELL, 2, 9_968, fills=[fill(1, "order", 9_968, 2, left=98, refill=2)])
    ]
    assert market.sell("b", 4, 9_968) == [
        market.matched(
            "b",
            SELL,
            4,
            9_968,
            fills=[fill(2, "behind", 9_968, 3, left=0), fill(3, "order", 9_968, 1, left=97)],
        )
    ]


def test_cme_all_of_a_level_takes_what_is_hidden_too(market: Market) -> None:
    """FIFO where an aggressor takes a whole level: what is hidden is not traded through.

    There each order fills whole in its turn, here slice after slice: the sums are the same.
    """
    market.sell("order", 10, 100, display_quantity=4)
    market.sell("plain", 5, 100)
    market.sell("worse", 5, 101)
    [matched] = market.buy("b", 17, 101)
    assert [(each.price, each.quantity) for each in matched.fills] == [
        (100, 4),
        (100, 5),
        (100, 4),
        (100, 2),
        (101, 2),
    ]
    assert market.asks == [("worse", 3, 101)]


def test_cme_a_market_order_with_protection(market: Market) -> None:
    """2 at 90025, 3 at 90300, 3 at 90550, and 90675 is beyond the limit of 90625.

    There the rest is placed at 90625, here it expires.
    """
    for quantity, price in ((2, 90_025), (3, 90_300), (3, 90_550), (5, 90_675)):
        market.sell(f"at {price}", quantity, price)
    market.set_rules(max_price=90_625)
    assert market.buy("m", 10, None, order_type=MARKET) == [
        market.matched(
            "m",
            BUY,
            10,
            None,
            fills=[
                fill(1, "at 90025", 90_025, 2, left=0),
                fill(2, "at 90300", 90_300, 3, left=0),
                fill(3, "at 90550", 90_550, 3, left=0),
            ],
            reason=CancelReason.PRICE_BAND,
        )
    ]
    assert market.bids == []


# Kraken, "Iceberg Orders", "Take profit orders", "Other order options", support.kraken.com.


def test_kraken_an_iceberg_is_revealed_in_increments_of_its_display(market: Market) -> None:
    """At least a fifteenth is shown there: here the smallest that is, 2 of 30."""
    market.sell("ice", 30, 100, display_quantity=2)
    for number in range(1, 15):
        left = 30 - 2 * number
        name = f"b{number}"
        assert market.buy(name, 2, 100) == [
            market.matched(
                name, BUY, 2, 100, fills=[fill(number, "ice", 100, 2, left=left, refill=2)]
            )
        ]
    assert market.buy("last", 2, 100) == [
        market.matched("last", BUY, 2, 100, fills=[fill(15, "ice", 100, 2, left=0)])
    ]


def test_kraken_take_profit_is_a_market_order_and_may_fill_at_less(market: Market) -> None:
    """Bought at 100, with a profit target of 120."""
    trade(market, 100)
    market.sell("profit", 1, None, order_type=STOP, stop_price=120, take_profit=True)
    market.buy("bid", 1, 110, user="other")
    assert trade(market, 119) == ()
    filled = fill(4, "bid", 110, 1, left=0, user="other")
    assert trade(market, 120) == (execution("profit", SELL, 1, None, [filled]),)


def test_kraken_post_limit_is_posted_or_not_at_all(market: Market) -> None:
    """There it is cancelled, here REJECTED."""
    market.sell("ask", 1, 100)
    assert market.buy("p", 1, 100, post_only=True) == [
        market.refused("p", RejectReason.POST_ONLY_WOULD_TAKE)
    ]
    [matched] = market.buy("q", 1, 99, post_only=True)
    assert (matched.fills, matched.rested) == ((), 1)
