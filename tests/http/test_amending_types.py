"""PATCH on stops, icebergs and post-only orders: what changes, whose place, and what is refused."""

from typing import Any

import pytest

from tests.http.support import Service, Trading, only, outcome

STOP = {"orderType": "STOP"}
STOP_LIMIT = {"orderType": "STOP_LIMIT"}


def trade_at(trading: Trading, price: int) -> None:
    """Has one trade there, and leaves the book as it was."""
    trading.sell(price)
    trading.buy(price)


def test_the_terms_of_a_stop_that_waits_can_be_changed(service: Service) -> None:
    trading = Trading(service)
    stop = trading.buy(106, 3, **STOP_LIMIT, stopPrice=105, displayQuantity=1)
    changes = {"price": 108, "quantity": 4, "stopPrice": 107, "displayQuantity": 2}
    amended = trading.amend(stop, **changes)
    assert {name: amended[name] for name in changes} == changes
    assert outcome(amended) == ("OPEN", 0, None)
    assert trading.now(stop) == amended
    events = trading.trail(stop)
    request, replaced = only(events, "request.replace"), only(events, "order.replaced")
    assert {name: request[name] for name in changes} == changes
    assert {name: replaced[name] for name in changes} == changes
    trade_at(trading, 105)
    assert trading.now(stop)["status"] == "OPEN"
    trade_at(trading, 107)
    assert trading.queue("bids") == [(stop["orderId"], 108, 2)]


def test_a_trigger_that_the_last_trade_is_through_is_pulled_at_once(service: Service) -> None:
    trading = Trading(service)
    stop = trading.buy(None, **STOP, stopPrice=105)
    trade_at(trading, 104)
    trading.sell(106)
    amended = trading.amend(stop, stopPrice=103)
    assert outcome(amended) == ("FILLED", 1, None)
    assert trading.now(stop) == amended
    replaced = trading.trail(stop)[-1]
    assert (replaced["type"], replaced["status"]) == ("order.replaced", "FILLED")
    assert [fill["price"] for fill in replaced["fills"]] == [106]


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"quantity": 1}, "changed"),
        ({"quantity": 3}, "other"),
        ({"stopPrice": 105}, "changed"),
        ({"quantity": 2}, "changed"),
    ],
)
def test_a_stop_that_asks_for_no_more_keeps_its_place(
    service: Service, changes: dict[str, Any], first: str
) -> None:
    trading = Trading(service)
    changed = trading.buy(None, 2, **STOP, stopPrice=105)
    other = trading.buy(None, 2, **STOP, stopPrice=105)
    trading.amend(changed, **changes)
    for price in (110, 111):
        trading.sell(price, 3)
    trade_at(trading, 105)
    best = changed if first == "changed" else other
    assert trading.now(best)["averagePrice"] == 110


def test_an_iceberg_that_is_to_show_less_keeps_its_place(service: Service) -> None:
    trading = Trading(service)
    iceberg = trading.sell(100, 9, displayQuantity=3)
    other = trading.sell(100)
    amended = trading.amend(iceberg, displayQuantity=2)
    assert amended["displayQuantity"] == 2
    assert trading.queue("asks") == [(iceberg["orderId"], 100, 2), (other["orderId"], 100, 1)]
    trading.amend(iceberg, displayQuantity=4)
    assert trading.queue("asks") == [(other["orderId"], 100, 1), (iceberg["orderId"], 100, 4)]
    trading.amend(iceberg, quantity=3)
    assert trading.queue("asks") == [(other["orderId"], 100, 1), (iceberg["orderId"], 100, 3)]


@pytest.mark.parametrize(
    ("terms", "changes", "reason", "detail"),
    [
        (
            {**STOP, "price": None, "stopPrice": 105},
            {"price": 106},
            "NO_LIMIT_PRICE",
            "The order has no limit price that could be changed",
        ),
        (
            {},
            {"stopPrice": 105},
            "NO_STOP_PRICE",
            "The order waits for no trigger that could be changed",
        ),
        ({}, {"displayQuantity": 1}, "NO_DISPLAY_QUANTITY", "The order is no iceberg"),
        (
            {"displayQuantity": "0.5"},
            {"quantity": "501.5"},
            "TOO_MANY_SLICES",
            "The displayed quantity must be at least 0.5015, a thousandth of the quantity",
        ),
        (
            {"displayQuantity": "0.5"},
            {"displayQuantity": "0.00099"},
            "TOO_MANY_SLICES",
            "The displayed quantity must be at least 0.001, a thousandth of the quantity",
        ),
        (
            {"postOnly": True},
            {"price": 120},
            "POST_ONLY_WOULD_TAKE",
            "The order is post-only, and would take",
        ),
        (
            {},
            {"price": "100.25"},
            "TICK_SIZE",
            "The price must be a multiple of the tick size, 0.5",
        ),
        (
            {**STOP, "price": None, "stopPrice": 105},
            {"stopPrice": "105.25"},
            "TICK_SIZE",
            "The price must be a multiple of the tick size, 0.5",
        ),
        ({}, {"quantity": 600}, "MAX_QUANTITY", "The quantity must be at most 550"),
        (
            {},
            {"price": 130},
            "PRICE_TOO_HIGH",
            "The price must be at most 125, the band's upper end",
        ),
    ],
)
def test_an_amendment_that_breaks_a_rule_leaves_the_order_as_it_was(
    service: Service, terms: dict[str, Any], changes: dict[str, Any], reason: str, detail: str
) -> None:
    trading = Trading(service)
    trading.rule(tickSize="0.5", maxQuantity=550, maxPrice=125)
    trading.sell(120)
    placed = trading.place(**terms)
    assert placed["status"] == "OPEN"
    refused = trading.amend(placed, status=409, **changes)
    assert (refused["reason"], refused["detail"]) == (reason, detail)
    assert trading.now(placed) == placed
    refusal = trading.trail(placed)[-1]
    assert (refusal["type"], refusal["reasonText"]) == ("order.request_refused", detail)


def test_a_stop_that_has_been_triggered_has_no_trigger_any_more(service: Service) -> None:
    trading = Trading(service)
    stop = trading.buy(100, **STOP_LIMIT, stopPrice=105)
    trade_at(trading, 105)
    assert trading.queue("bids") == [(stop["orderId"], 100, 1)]
    refused = trading.amend(stop, status=409, stopPrice=104)
    assert refused["reason"] == "NO_STOP_PRICE"
    amended = trading.amend(stop, price=101)
    assert (amended["price"], amended["stopPrice"]) == (101, 105)
    assert trading.now(stop) == amended


def test_an_amendment_that_crosses_obeys_self_trade_prevention(service: Service) -> None:
    trading = Trading(service)
    trading.sell(101, userId="me")
    placed = trading.buy(100, userId="me", selfTradePrevention="CANCEL_TAKER")
    amended = trading.amend(placed, price=101)
    assert outcome(amended) == ("CANCELLED", 0, "SELF_TRADE_PREVENTION")
    assert trading.now(placed) == amended
    assert trading.book()["bids"] == []
