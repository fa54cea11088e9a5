"""MARKET orders, by quantity and by amount."""

import pytest

from tests.http.support import Service, Trading, outcome

MARKET = {"orderType": "MARKET"}


def test_a_market_order_trades_at_any_price_and_never_rests(service: Service) -> None:
    trading = Trading(service)
    trading.sell(100)
    trading.sell(900, 2)
    placed = trading.buy(None, 4, **MARKET)
    assert outcome(placed) == ("EXPIRED", 3, "INSUFFICIENT_LIQUIDITY")
    assert placed["timeInForce"] == "IOC"
    assert placed["price"] is None
    assert (placed["quantity"], placed["remainingQuantity"]) == (4, 1)
    assert placed["averagePrice"] == 633.33333333
    assert trading.now(placed) == placed
    assert trading.trades() == [(100, 1), (900, 2)]
    assert (trading.book()["bids"], trading.book()["asks"]) == ([], [])


def test_a_market_order_that_finds_enough_is_filled(service: Service) -> None:
    trading = Trading(service)
    trading.buy(100, 5)
    assert outcome(trading.sell(None, 2, **MARKET)) == ("FILLED", 2, None)
    assert outcome(trading.sell(None, 2, **MARKET, timeInForce="FOK")) == ("FILLED", 2, None)
    killed = trading.sell(None, 2, **MARKET, timeInForce="FOK")
    assert outcome(killed) == ("EXPIRED", 0, "INSUFFICIENT_LIQUIDITY")


def test_a_market_order_stops_where_the_band_ends(service: Service) -> None:
    trading = Trading(service)
    far = trading.sell(120)
    trading.buy(100)
    trading.sell(100)
    trading.sell(105)
    trading.rule(bandPercent=10)
    placed = trading.buy(None, 3, **MARKET)
    assert outcome(placed) == ("EXPIRED", 1, "PRICE_BAND")
    assert placed["reasonText"] == "All that the book held beyond was outside of the price band"
    assert trading.queue("asks") == [(far["orderId"], 120, 1)]


@pytest.mark.parametrize(
    ("amount", "filled", "status", "reason"),
    [
        ("300", 2, "FILLED", None),
        ("100", 1, "FILLED", None),
        ("250", 1.7, "EXPIRED", "NO_WHOLE_LOT"),
        ("9.99", 0, "EXPIRED", "NO_WHOLE_LOT"),
        ("301", 2, "EXPIRED", "INSUFFICIENT_LIQUIDITY"),
    ],
)
def test_a_market_order_by_amount_spends_at_most_so_much_in_whole_lots(
    service: Service, amount: str, filled: float, status: str, reason: str | None
) -> None:
    trading = Trading(service)
    trading.rule(lotSize="0.1")
    trading.sell(100)
    trading.sell(200)
    placed = trading.buy(None, None, **MARKET, quoteQuantity=amount)
    assert outcome(placed) == (status, filled, reason)
    assert placed["quoteQuantity"] == float(amount)
    assert placed["quantity"] is None
    assert placed["remainingQuantity"] is None
    assert trading.now(placed) == placed


def test_a_market_order_that_sells_receives_its_amount(service: Service) -> None:
    trading = Trading(service)
    trading.buy(100, 2)
    placed = trading.sell(None, None, **MARKET, quoteQuantity=150)
    assert outcome(placed) == ("FILLED", 1.5, None)
    assert placed["averagePrice"] == 100


def test_a_market_order_by_amount_trades_no_more_than_one_order_may_have(
    service: Service,
) -> None:
    trading = Trading(service)
    trading.rule(maxQuantity=2)
    trading.sell(10, 2)
    trading.sell(10, 2)
    placed = trading.buy(None, None, **MARKET, quoteQuantity=1000)
    assert outcome(placed) == ("EXPIRED", 2, "QUANTITY_LIMIT")


def test_a_market_order_in_an_empty_book_has_traded_nothing(service: Service) -> None:
    for terms in ({"quantity": 1}, {"quantity": None, "quoteQuantity": 1}):
        placed = Trading(service).place(type="BUY", price=None, **MARKET, **terms)
        assert outcome(placed) == ("EXPIRED", 0, "INSUFFICIENT_LIQUIDITY")
        assert placed["averagePrice"] is None
