"""Instruments: their rules over HTTP, and what an order comes to that breaks one."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.http.support import (
    WAIT,
    Client,
    Service,
    Trading,
    exact,
    new_asset,
    only,
    order,
    outcome,
    shown,
)

DEFAULT = {
    "tickSize": "0.00000001",
    "lotSize": "0.00000001",
    "minQuantity": None,
    "maxQuantity": "10000000000",
    "minNotional": None,
    "minPrice": None,
    "maxPrice": None,
    "bandPercent": None,
    "sessionEnd": "00:00",
    "status": "TRADING",
    "maxOpenOrders": None,
    "maxOpenStopsPerUser": None,
    "maxOpenStops": None,
    "maxSlices": None,
}
RULES = {
    "tickSize": "0.5",
    "lotSize": "0.001",
    "minQuantity": "0.01",
    "maxQuantity": "100",
    "minNotional": "10",
    "minPrice": "1",
    "maxPrice": "100000",
    "bandPercent": "7.5",
    "sessionEnd": "22:00",
    "status": "POST_ONLY",
}


def test_an_asset_that_nobody_listed_has_the_default_rules(service: Service) -> None:
    asset = new_asset()
    read = service.client.get(f"/instruments/{asset}")
    assert read.status_code == 200
    assert exact(read) == {"asset": asset, **DEFAULT, "updatedAt": None, "userId": None}
    assert list(exact(read)) == ["asset", *DEFAULT, "updatedAt", "userId"]


def test_rules_are_taken_before_they_hold(stalled: Service) -> None:
    client = stalled.client
    asked = client.put("/instruments/BTC-USD", json=RULES)
    assert asked.status_code == 202
    assert "Preference-Applied" not in asked.headers
    told = exact(asked)
    UUID(told.pop("requestId"))
    assert {name: told[name] for name in RULES} == RULES
    assert (told["asset"], told["userId"]) == ("BTC-USD", "operator")
    assert exact(client.get("/instruments/BTC-USD"))["tickSize"] == DEFAULT["tickSize"]
    stalled.follow()
    assert exact(client.get("/instruments/BTC-USD", headers=shown(asked))) == told


def test_rules_that_wait_hold_when_they_are_answered(service: Service) -> None:
    trading = Trading(service)
    asked = service.client.put(f"/instruments/{trading.asset}", json=RULES, headers=WAIT)
    assert asked.status_code == 200
    assert asked.headers["Preference-Applied"] == "wait"
    read = service.client.get(f"/instruments/{trading.asset}", headers=shown(asked))
    assert read.json == asked.json
    assert outcome(trading.buy("100.25", postOnly=True)) == ("REJECTED", 0, "TICK_SIZE")


def test_rules_are_said_whole(service: Service) -> None:
    trading = Trading(service)
    trading.rule(**RULES)
    trading.rule(tickSize=2)
    assert trading.read(f"/instruments/{trading.asset}")["tickSize"] == 2
    read = trading.client.get(f"/instruments/{trading.asset}")
    rest = {name: value for name, value in DEFAULT.items() if name != "tickSize"}
    assert {name: exact(read)[name] for name in rest} == rest


def test_all_instruments_are_listed_those_of_all_others_first(stalled: Service) -> None:
    client = stalled.client
    none = client.get("/instruments").json["instruments"]
    assert [each["asset"] for each in none] == ["*"]
    assert none == [client.get("/instruments/*").json]
    for asset in ("B", "a", "A-1", "*", "C"):
        asked = client.put(f"/instruments/{asset}", json={"tickSize": 1})
    client.post("/orders", json=order(asset="D"))
    stalled.follow()
    listed = client.get("/instruments", headers=shown(asked)).json["instruments"]
    assert [each["asset"] for each in listed] == ["*", "A-1", "B", "C", "a"]
    for each in listed:
        assert each == client.get(f"/instruments/{each['asset']}").json


@pytest.mark.parametrize(
    ("rules", "fields", "reason", "text"),
    [
        (
            {"tickSize": "0.5"},
            {"price": "100.25"},
            "TICK_SIZE",
            "The price must be a multiple of the tick size, 0.5",
        ),
        (
            {"tickSize": "0.5"},
            {"orderType": "STOP", "price": None, "stopPrice": "100.25"},
            "TICK_SIZE",
            "The price must be a multiple of the tick size, 0.5",
        ),
        (
            {"lotSize": "0.1"},
            {"quantity": "0.25"},
            "LOT_SIZE",
            "The quantity must be a multiple of the lot size, 0.1",
        ),
        (
            {"minQuantity": "0.1"},
            {"quantity": "0.09999999"},
            "MIN_QUANTITY",
            "The quantity must be at least 0.1",
        ),
        (
            {"maxQuantity": 5},
            {"quantity": "5.00000001"},
            "MAX_QUANTITY",
            "The quantity must be at most 5",
        ),
        (
            {"minNotional": 10},
            {"price": 3, "quantity": "3.33333333"},
            "MIN_NOTIONAL",
            "The price times the quantity must be at least 10",
        ),
        (
            {"minPrice": 50},
            {"price": "49.99999999"},
            "PRICE_TOO_LOW",
            "The price must be at least 50, the band's lower end",
        ),
        (
            {"maxPrice": 50},
            {"price": "50.00000001"},
            "PRICE_TOO_HIGH",
            "The price must be at most 50, the band's upper end",
        ),
        ({"status": "HALTED"}, {}, "MARKET_HALTED", "Trading is halted: only cancels are taken"),
        (
            {"status": "POST_ONLY"},
            {},
            "MARKET_POST_ONLY",
            "The market takes post-only orders only",
        ),
        ({"status": "DELISTED"}, {}, "DELISTED", "The asset is not traded here any more"),
        # The first that is broken is told.
        (
            {"status": "HALTED", "tickSize": 5, "lotSize": 5},
            {"price": 1},
            "MARKET_HALTED",
            "Trading is halted: only cancels are taken",
        ),
        (
            {"tickSize": 5, "lotSize": 5},
            {"price": 1},
            "TICK_SIZE",
            "The price must be a multiple of the tick size, 5",
        ),
    ],
)
def test_an_order_that_breaks_a_rule_is_rejected_with_what_it_allows(
    service: Service,
    rules: dict[str, Any],
    fields: dict[str, Any],
    reason: str,
    text: str,
) -> None:
    trading = Trading(service)
    trading.rule(**rules)
    placed = trading.place(**fields)
    assert outcome(placed) == ("REJECTED", 0, reason)
    assert placed["reasonText"] == text
    assert trading.now(placed) == placed
    [_, rejected] = trading.trail(placed)
    assert (rejected["type"], rejected["reasonText"]) == ("order.rejected", text)
    assert (rejected["limit"] is not None) == any(map(str.isdigit, text))
    assert (trading.book()["bids"], trading.book()["asks"]) == ([], [])


@pytest.mark.parametrize(
    ("rules", "fields"),
    [
        ({"tickSize": "0.5"}, {"price": "100.5"}),
        ({"lotSize": "0.1"}, {"quantity": "0.3"}),
        ({"minQuantity": "0.1", "maxQuantity": "0.1"}, {"quantity": "0.1"}),
        ({"minNotional": 10}, {"price": 3, "quantity": "3.33333334"}),
        ({"minPrice": 50, "maxPrice": 50}, {"price": 50}),
        ({"status": "POST_ONLY"}, {"postOnly": True}),
        ({"bandPercent": 1}, {"price": 1}),  # there is no last trade
    ],
)
def test_an_order_that_keeps_a_rule_just_so_is_taken(
    service: Service, rules: dict[str, Any], fields: dict[str, Any]
) -> None:
    trading = Trading(service)
    trading.rule(**rules)
    assert outcome(trading.place(**fields)) == ("OPEN", 0, None)


def test_a_band_goes_by_the_last_trade(service: Service) -> None:
    trading = Trading(service)
    trading.rule(bandPercent="2.5")
    trading.sell(100, 2)
    trading.buy(100)
    low, high = trading.buy("97.49999999"), trading.sell("102.50000001")
    assert outcome(low) == ("REJECTED", 0, "PRICE_TOO_LOW")
    assert low["reasonText"] == "The price must be at least 97.5, the band's lower end"
    assert outcome(high) == ("REJECTED", 0, "PRICE_TOO_HIGH")
    assert high["reasonText"] == "The price must be at most 102.5, the band's upper end"
    assert trading.buy("97.5")["status"] == trading.sell("102.5")["status"] == "OPEN"


def test_while_trading_is_halted_nothing_but_cancels_is_taken(service: Service) -> None:
    trading = Trading(service)
    kept, gone = trading.buy(100), trading.buy(99)
    trading.rule(status="HALTED")
    refused = trading.amend(kept, status=409, price=101)
    assert refused["reason"] == "MARKET_HALTED"
    assert outcome(trading.sell(100)) == ("REJECTED", 0, "MARKET_HALTED")
    assert trading.cancel(gone)["status"] == "CANCELLED"
    trading.rule(status="TRADING")
    trading.sell(100)
    assert outcome(trading.now(kept)) == ("FILLED", 1, None)


def test_a_market_that_is_post_only_takes_no_other_orders_and_no_changes_of_them(
    service: Service,
) -> None:
    trading = Trading(service)
    plain = trading.buy(100)
    trading.rule(status="POST_ONLY")
    quote = trading.sell(101, postOnly=True)
    assert trading.amend(quote, price=102)["price"] == 102
    assert trading.amend(plain, status=409, price=99)["reason"] == "MARKET_POST_ONLY"
    stop = trading.buy(None, orderType="STOP", stopPrice=105)
    assert outcome(stop) == ("REJECTED", 0, "MARKET_POST_ONLY")


def test_an_asset_that_is_delisted_has_all_its_orders_cancelled(service: Service) -> None:
    trading = Trading(service)
    orders = [
        trading.buy(100),
        trading.sell(101, 5, displayQuantity=1),
        trading.sell(None, orderType="STOP", stopPrice=90),
    ]
    trading.rule(status="DELISTED")
    for each in orders:
        found = trading.now(each)
        assert outcome(found) == ("CANCELLED", 0, "DELISTED")
        assert found["reasonText"] == "The asset was delisted, and all its orders cancelled"
        events = trading.trail(each)
        request, cancelled = only(events, "request.instrument"), only(events, "order.cancelled")
        assert (request["asset"], request["userId"]) == (trading.asset, "operator")
        assert request["instrument"]["status"] == "DELISTED"
        assert cancelled["requestId"] == request["requestId"]
    assert (trading.book()["bids"], trading.book()["asks"]) == ([], [])
    rejected = trading.buy(100)
    assert outcome(rejected) == ("REJECTED", 0, "DELISTED")
    assert rejected["reasonText"] == "The asset is not traded here any more"
    trading.rule()
    assert trading.buy(100)["status"] == "OPEN"


def test_orders_that_rest_are_not_judged_again(service: Service) -> None:
    trading = Trading(service)
    placed = trading.buy("100.3", "0.7")
    trading.rule(tickSize=1, lotSize=1, minQuantity=5, maxPrice=50)
    assert trading.now(placed)["status"] == "OPEN"
    assert trading.queue("bids") == [(placed["orderId"], 100.3, 0.7)]
    assert trading.cancel(placed)["status"] == "CANCELLED"


def test_the_rule_that_holds_is_the_one_at_the_orders_place_in_the_log(stalled: Service) -> None:
    client = stalled.client
    before = client.post("/orders", json=order(price="100.3"))
    client.put("/instruments/BTC-USD", json={"tickSize": 1})
    after = client.post("/orders", json=order(price="100.3"))
    client.put("/instruments/BTC-USD", json={})
    last = client.post("/orders", json=order(price="100.3"))
    stalled.follow()
    states = [client.get(each.headers["Location"]).json for each in (before, after, last)]
    assert [each["status"] for each in states] == ["OPEN", "REJECTED", "OPEN"]


def test_what_holds_for_all_holds_for_assets_without_rules_of_their_own(
    stalled: Service,
) -> None:
    client = stalled.client
    say, place = _speaker(client, stalled), _placer(client, stalled)
    say("LISTED", {"tickSize": 2})
    assert place("LISTED", 100)["status"] == place("OTHER", 100.25)["status"] == "OPEN"
    say("*", {"tickSize": "0.5"})
    assert place("LISTED", 102)["status"] == "OPEN"
    rejected = place("OTHER", 100.25)
    assert outcome(rejected) == ("REJECTED", 0, "TICK_SIZE")
    assert rejected["reasonText"] == "The price must be a multiple of the tick size, 0.5"
    assert outcome(place("NEW", 100.25)) == ("REJECTED", 0, "TICK_SIZE")
    # So it is shown.
    told = client.get("/instruments/NEW").json
    assert (told["asset"], told["tickSize"], told["updatedAt"]) == ("NEW", 0.5, None)
    assert client.get("/instruments/LISTED").json["tickSize"] == 2
    assert client.get("/instruments/*").json["userId"] == "operator"


def test_what_holds_for_all_is_waited_for_too(service: Service) -> None:
    asked = service.client.put("/instruments/*", json={}, headers=WAIT)  # as it is by default
    assert asked.status_code == 200
    assert asked.headers["Preference-Applied"] == "wait"
    read = service.client.get("/instruments/*", headers=shown(asked))
    assert read.json == asked.json


def test_where_all_are_delisted_only_listed_assets_trade(stalled: Service) -> None:
    client = stalled.client
    say, place = _speaker(client, stalled), _placer(client, stalled)
    say("LISTED", {})
    listed, others = place("LISTED", 100), [place("A", 100), place("B", 100)]
    say("*", {"status": "DELISTED"})
    now = [client.get(f"/orders/{each['orderId']}").json for each in (listed, *others)]
    assert [each["status"] for each in now] == ["OPEN", "CANCELLED", "CANCELLED"]
    assert now[1]["reason"] == "DELISTED"
    *_, request, cancelled = client.get(f"/orders/{now[1]['orderId']}/events").json["events"]
    assert (request["type"], request["asset"]) == ("request.instrument", "*")
    assert cancelled["requestId"] == request["requestId"]
    assert outcome(place("A", 100)) == ("REJECTED", 0, "DELISTED")
    assert outcome(place("C", 100)) == ("REJECTED", 0, "DELISTED")
    assert place("LISTED", 100)["status"] == "OPEN"
    say("A", {})
    assert place("A", 100)["status"] == "OPEN"


def _speaker(client: Client, service: Service) -> Callable[[str, dict[str, Any]], None]:
    def say(asset: str, rules: dict[str, Any]) -> None:
        assert client.put(f"/instruments/{asset}", json=rules).status_code == 202
        service.follow()

    return say


def _placer(client: Client, service: Service) -> Callable[[str, float], dict[str, Any]]:
    def place(asset: str, price: float) -> dict[str, Any]:
        placed = client.post("/orders", json=order(asset=asset, price=price))
        service.follow()
        found: dict[str, Any] = client.get(placed.headers["Location"]).json
        return found

    return place


@pytest.mark.parametrize(
    ("asset", "body", "fields"),
    [
        ("BTC-USD", {"tickSize": 0}, ["tickSize"]),
        ("BTC-USD", {"tickSize": "x", "lotSize": -1}, ["tickSize", "lotSize"]),
        ("BTC-USD", {"minQuantity": 2, "maxQuantity": 1}, ["minQuantity"]),
        ("BTC-USD", {"minPrice": 2, "maxPrice": 1}, ["minPrice"]),
        ("BTC-USD", {"lotSize": 3, "minQuantity": 4, "maxQuantity": 5}, ["lotSize"]),
        ("BTC-USD", {"bandPercent": "1e-9"}, ["bandPercent"]),
        ("BTC-USD", {"sessionEnd": "24:00"}, ["sessionEnd"]),
        ("BTC-USD", {"sessionEnd": "9:00", "status": "OPEN"}, ["sessionEnd", "status"]),
        ("BTC-USD", {"asset": "BTC-USD", "userId": "me"}, ["asset", "userId"]),
        ("**", {}, ["asset"]),
        ("a%20b", {}, ["asset"]),
    ],
)
def test_bad_rules_are_refused_by_name_and_leave_no_trace(
    unfollowed: Service, asset: str, body: object, fields: list[str]
) -> None:
    before = unfollowed.count_events()
    refused = unfollowed.client.put(f"/instruments/{asset}", json=body, headers=WAIT)
    assert refused.status_code == 400
    assert [fault["field"] for fault in refused.json["errors"]] == fields
    assert unfollowed.count_events() == before


def test_a_past_version_of_a_book_is_had_across_a_change_of_rules(service: Service) -> None:
    trading = Trading(service)
    trading.buy(100)
    trading.rule(status="DELISTED")
    assert trading.book()["version"] == 2
    past = trading.read(f"/books/{trading.asset}?version=1")
    assert past["bids"] == [{"price": 100, "quantity": 1, "orders": 1}]


def test_an_order_that_a_new_rule_would_not_let_in_may_be_reduced(service: Service) -> None:
    trading = Trading(service)
    placed = trading.buy("95.5", 5)
    trading.rule(tickSize="1", minPrice="97", minQuantity="4")
    assert trading.amend(placed, quantity=4)["remainingQuantity"] == 4
    assert trading.amend(placed, 409, quantity=3)["reason"] == "MIN_QUANTITY"
    assert trading.amend(placed, 409, price="96")["reason"] == "PRICE_TOO_LOW"
    assert trading.amend(placed, price="97")["price"] == 97


def test_what_is_listed_again_has_no_last_trade(service: Service) -> None:
    trading = Trading(service)
    trading.sell(100)
    trading.buy(100)
    trading.rule(status="DELISTED")
    trading.rule(bandPercent="10")
    assert outcome(trading.sell(500)) == ("OPEN", 0, None)


# Limits.


def test_a_limit_is_a_count_wherever_it_is_told(service: Service) -> None:
    trading = Trading(service)
    trading.rule(maxOpenOrders=2, maxOpenStops="1e3")
    shown_rules = trading.read(f"/instruments/{trading.asset}")
    assert (shown_rules["maxOpenOrders"], shown_rules["maxOpenStops"]) == (2, 1000)
    trading.buy(10)
    trading.buy(10)
    refused = trading.buy(10)
    assert outcome(refused) == ("REJECTED", 0, "OPEN_ORDERS_LIMIT")
    assert refused["reasonText"] == (
        "The user has 2 open orders for this asset, which is the limit"
    )


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "x", "10000000001", True])
def test_a_limit_is_a_whole_number_above_0(service: Service, wrong: object) -> None:
    asked = service.client.put(f"/instruments/{new_asset()}", json={"maxSlices": wrong})
    assert asked.status_code == 400
    assert [fault["field"] for fault in asked.json["errors"]] == ["maxSlices"]


def test_limits_of_all_assets_stay_unless_others_are_given(stalled: Service) -> None:
    client = stalled.client
    client.put("/instruments/*", json={"maxOpenOrders": 7, "maxSlices": 9})
    stalled.follow()
    asked = client.put("/instruments/*", json={"tickSize": 2, "maxSlices": 1_000_000_000})
    stalled.follow()
    read = client.get("/instruments/*", headers=shown(asked)).json
    assert (read["tickSize"], read["maxOpenOrders"], read["maxSlices"]) == (2, 7, 1_000_000_000)
    assert {name: value for name, value in asked.json.items() if name != "requestId"} == read
