"""Trades are numbered 1, 2, 3, ... per asset, without gaps."""

from domain.values import TimeInForce
from tests.domain.support import Market


def numbers(market: Market) -> list[int]:
    return [fill.trade_id for event in market.events for fill in getattr(event, "fills", ())]


def test_numbers_go_on_over_all_commands_whatever_comes_between(market: Market) -> None:
    market.sell("a", 1, 100)
    market.sell("b", 5, 100)
    market.buy("c", 3, 100)  # 1, 2
    market.cancel("b")
    market.cancel("unknown")
    market.buy("d", 1, 100, time_in_force=TimeInForce.IOC)
    market.buy("e", 4, 90)
    market.sell("f", 2, 100)
    market.amend("f", quantity=1)
    market.amend("e", quantity=1_000)
    market.amend("e", price=100)  # 3
    market.sell("g", 7, 80, time_in_force=TimeInForce.IOC)  # 4
    assert numbers(market) == [1, 2, 3, 4]
    assert market.book.last_trade_id == 4


def test_each_asset_counts_its_own() -> None:
    markets = [Market("BTC-USD"), Market("ETH-USD")]
    for market in markets:
        market.sell("seller", 2, 100)
    for market in markets:
        market.buy("b1", 1, 100)
    markets[1].buy("b2", 1, 100)
    assert numbers(markets[0]) == [1]
    assert numbers(markets[1]) == [1, 2]
