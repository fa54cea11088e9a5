"""STOP and STOP_LIMIT orders: how they wait, what triggers them, and what that sets off."""

import pytest

from tests.http.support import Service, Trading, outcome

STOP = {"orderType": "STOP"}
STOP_LIMIT = {"orderType": "STOP_LIMIT"}


def trade_at(trading: Trading, price: int) -> None:
    """Has one trade there, and leaves the book as it was."""
    trading.sell(price)
    trading.buy(price)


def test_a_stop_waits_open_and_is_seen_by_nobody(service: Service) -> None:
    trading = Trading(service)
    placed = trading.buy(None, 2, **STOP, stopPrice=105)
    limited = trading.sell(90, 2, **STOP_LIMIT, stopPrice=95)
    for each in (placed, limited):
        assert outcome(each) == ("OPEN", 0, None)
        assert trading.now(each) == each
    assert (placed["price"], placed["stopPrice"], placed["takeProfit"]) == (None, 105, None)
    assert (limited["price"], limited["stopPrice"]) == (90, 95)
    for level in ("", "?level=3"):
        book = trading.read(f"/books/{trading.asset}{level}")
        assert (book["bids"], book["asks"]) == ([], [])


def test_what_an_immediate_stop_limit_cannot_trade_at_its_trigger_expires(
    service: Service,
) -> None:
    trading = Trading(service)
    stop = trading.buy(110, 3, **STOP_LIMIT, stopPrice=105, timeInForce="IOC")
    assert outcome(stop) == ("OPEN", 0, None)
    trading.sell(110, 2)
    trade_at(trading, 105)
    assert outcome(trading.now(stop)) == ("EXPIRED", 2, "INSUFFICIENT_LIQUIDITY")


def test_a_trigger_moved_to_where_a_rule_forbids_the_order_is_refused_and_it_goes_on_waiting(
    service: Service,
) -> None:
    trading = Trading(service)
    trade_at(trading, 100)
    trading.sell(104)
    stop = trading.buy(105, **STOP_LIMIT, stopPrice=110, postOnly=True)
    refused = trading.amend(stop, 409, stopPrice=100)
    assert refused["reason"] == "POST_ONLY_WOULD_TAKE"
    assert trading.now(stop) == stop


def test_quotes_trigger_nothing(service: Service) -> None:
    trading = Trading(service)
    stop = trading.buy(None, **STOP, stopPrice=105)
    trading.sell(110)
    trading.buy(106)
    assert outcome(trading.now(stop)) == ("OPEN", 0, None)


@pytest.mark.parametrize(
    ("side", "kind", "price", "status"),
    [
        ("BUY", "stop", 105, "FILLED"),
        ("BUY", "stop", 104, "OPEN"),
        ("BUY", "takeProfit", 105, "FILLED"),
        ("BUY", "takeProfit", 106, "OPEN"),
        ("SELL", "stop", 105, "FILLED"),
        ("SELL", "stop", 106, "OPEN"),
        ("SELL", "takeProfit", 105, "FILLED"),
        ("SELL", "takeProfit", 104, "OPEN"),
    ],
)
def test_a_trade_that_reaches_its_trigger_makes_a_stop_a_market_order(
    service: Service, side: str, kind: str, price: int, status: str
) -> None:
    trading = Trading(service)
    take_profit = kind == "takeProfit"
    stop = trading.place(type=side, price=None, **STOP, stopPrice=105, takeProfit=take_profit)
    assert stop["takeProfit"] == (take_profit or None)
    trading.buy(50, 2)
    trading.sell(150, 2)
    trade_at(trading, price)
    now = trading.now(stop)
    assert now["status"] == status
    assert now["orderType"] == "STOP"
    if status == "FILLED":
        assert now["averagePrice"] == (150 if side == "BUY" else 50)
        triggered = trading.trail(stop)[-1]
        assert (triggered["type"], triggered["status"]) == ("order.triggered", "FILLED")
        assert triggered["fills"][0]["liquidity"] == "TAKER"


def test_a_stop_limit_becomes_a_limit_order_which_may_rest(service: Service) -> None:
    trading = Trading(service)
    stop = trading.buy(106, 3, **STOP_LIMIT, stopPrice=105, displayQuantity=2)
    trading.sell(106)
    trade_at(trading, 105)
    assert outcome(trading.now(stop)) == ("PARTIALLY_FILLED", 1, None)
    assert trading.queue("bids") == [(stop["orderId"], 106, 2)]


def test_a_stop_that_the_last_trade_is_through_triggers_at_once(service: Service) -> None:
    trading = Trading(service)
    trade_at(trading, 105)
    trading.sell(107)
    placed = trading.buy(None, **STOP, stopPrice=104)
    assert outcome(placed) == ("FILLED", 1, None)
    assert trading.trades()[-1] == (107, 1)


def test_a_stop_that_finds_too_little_expires_like_a_market_order(service: Service) -> None:
    trading = Trading(service)
    stop = trading.buy(None, 3, **STOP, stopPrice=105)
    trading.sell(106)
    trade_at(trading, 105)
    assert outcome(trading.now(stop)) == ("EXPIRED", 1, "INSUFFICIENT_LIQUIDITY")


def test_a_post_only_stop_that_would_take_when_it_is_triggered_is_rejected(
    service: Service,
) -> None:
    trading = Trading(service)
    stop = trading.buy(106, **STOP_LIMIT, stopPrice=105, postOnly=True)
    trading.sell(106)
    trade_at(trading, 105)
    now = trading.now(stop)
    assert outcome(now) == ("REJECTED", 0, "POST_ONLY_WOULD_TAKE")
    assert now["reasonText"] == "The order is post-only, and would take"
    triggered = trading.trail(stop)[-1]
    assert (triggered["type"], triggered["rejection"]) == (
        "order.triggered",
        "POST_ONLY_WOULD_TAKE",
    )


def test_a_stop_limit_outside_of_the_band_of_its_moment_is_rejected(service: Service) -> None:
    trading = Trading(service)
    stop = trading.buy(120, **STOP_LIMIT, stopPrice=105)
    trading.rule(bandPercent=10)
    trade_at(trading, 105)
    now = trading.now(stop)
    assert outcome(now) == ("REJECTED", 0, "PRICE_TOO_HIGH")
    assert now["reasonText"] == "The price must be at most 115.5, the band's upper end"


def test_a_cascade_settles_within_the_command_that_began_it(service: Service) -> None:
    trading = Trading(service)
    for price in (100, 99, 98, 97):
        trading.buy(price)
    last = trading.sell(None, **STOP, stopPrice=98)
    second = trading.sell(None, **STOP, stopPrice=99)
    first = trading.sell(None, **STOP, stopPrice=100)
    before = trading.book()["version"]
    began = trading.sell(100)
    assert outcome(began) == ("FILLED", 1, None)
    assert trading.book()["version"] == before + 1
    assert trading.trades() == [(100, 1), (99, 1), (98, 1), (97, 1)]
    for stop, price in ((first, 99), (second, 98), (last, 97)):
        assert trading.now(stop)["status"] == "FILLED"
        assert trading.now(stop)["averagePrice"] == price
    found = trading.read(f"/trades?asset={trading.asset}")["trades"]
    takers = [each["takerOrderId"] for each in reversed(found)]
    assert takers == [each["orderId"] for each in (began, first, second, last)]


def test_the_nearest_trigger_comes_first_and_at_one_trigger_the_earliest(
    service: Service,
) -> None:
    trading = Trading(service)
    far = trading.buy(None, **STOP, stopPrice=107)
    early = trading.buy(None, **STOP, stopPrice=106)
    late = trading.buy(None, **STOP, stopPrice=106)
    for price in (108, 109, 110):
        trading.sell(price)
    trading.sell(107)
    trading.buy(107)
    average = [trading.now(each)["averagePrice"] for each in (early, late, far)]
    assert average == [108, 109, 110]


def test_a_stop_that_waits_can_be_cancelled_and_found(service: Service) -> None:
    trading = Trading(service)
    stop = trading.sell(None, **STOP, stopPrice=95)
    listed = trading.read(f"/orders?asset={trading.asset}&status=OPEN")["orders"]
    assert [each["orderId"] for each in listed] == [stop["orderId"]]
    assert outcome(trading.cancel(stop)) == ("CANCELLED", 0, "USER_REQUEST")
    trading.buy(50)
    trade_at(trading, 90)
    assert trading.now(stop)["status"] == "CANCELLED"
