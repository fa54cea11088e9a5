"""Placing an order, and reading it: the original system's request and response, field by field."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from tests.http.support import WAIT, Service, exact, new_asset, order

ORDER_ID = UUID("550e8400-e29b-41d4-a716-446655440000")
NOON = datetime(2024, 2, 9, 12, 0, 0, tzinfo=UTC)

ORIGINAL_REQUEST = (
    b'{"userId":"user123","asset":"BTC-USD","type":"BUY","price":45000.00,"quantity":1.5}'
)
ORIGINAL_FIELDS = (
    b'{"orderId":"550e8400-e29b-41d4-a716-446655440000","userId":"user123","asset":"BTC-USD",'
    b'"type":"BUY","price":45000,"quantity":1.5,"status":"PENDING",'
    b'"createdAt":"2024-02-09T12:00:00Z","updatedAt":"2024-02-09T12:00:00Z",'
)
WHAT_TRADING_ADDS = (
    b'"orderType":"LIMIT","timeInForce":"GTC","filledQuantity":0,"remainingQuantity":1.5,'
    b'"averagePrice":null,"filledNotional":0,"clientOrderId":null,"stopPrice":null,'
    b'"takeProfit":null,"displayQuantity":null,"expiresAt":null,"postOnly":null,"selfTradePrevention":null,'
    b'"quoteQuantity":null,"reason":null,"reasonText":null}'
)


def test_the_original_request_gives_the_original_response_to_the_byte(stalled: Service) -> None:
    client = stalled.client_with(clock=lambda: NOON, new_id=lambda: ORDER_ID)
    placed = client.post("/orders", data=ORIGINAL_REQUEST, content_type="application/json")
    assert placed.status_code == 201
    assert placed.content_type == "application/json"
    assert placed.headers["Location"] == f"/orders/{ORDER_ID}"
    assert placed.data == ORIGINAL_FIELDS + WHAT_TRADING_ADDS
    before_the_view_has_it = client.get(f"/orders/{ORDER_ID}")
    assert before_the_view_has_it.status_code == 200
    assert before_the_view_has_it.data == placed.data


def test_an_order_is_read_as_the_view_has_it_with_the_same_fields(stalled: Service) -> None:
    client = stalled.client_with(clock=lambda: NOON, new_id=lambda: ORDER_ID)
    placed = client.post("/orders", data=ORIGINAL_REQUEST, content_type="application/json")
    stalled.follow()
    read = client.get(f"/orders/{ORDER_ID}")
    assert read.data == placed.data.replace(b"PENDING", b"OPEN")


def test_times_are_utc_whatever_zone_they_come_in(stalled: Service) -> None:
    eastern = NOON.astimezone(timezone(timedelta(hours=-5)))
    client = stalled.client_with(clock=lambda: eastern, new_id=lambda: ORDER_ID)
    client.post("/orders", json=order())
    stalled.follow()
    read = client.get(f"/orders/{ORDER_ID}")
    assert read.json["createdAt"] == "2024-02-09T12:00:00Z"


def test_an_immediate_or_cancel_order_that_finds_nothing_says_why(service: Service) -> None:
    placed = service.client.post(
        "/orders", json=order(asset=new_asset(), timeInForce="IOC"), headers=WAIT
    )
    assert placed.status_code == 201
    assert placed.json["status"] == "EXPIRED"
    assert placed.json["reason"] == "INSUFFICIENT_LIQUIDITY"
    assert placed.json["reasonText"] == (
        "The book held too little at the order's price to fill it at once"
    )
    assert placed.json["timeInForce"] == "IOC"
    assert placed.json["remainingQuantity"] == 1


def test_an_optional_field_that_is_null_counts_as_not_given(service: Service) -> None:
    fields = order() | {"orderType": None, "timeInForce": None, "clientOrderId": None}
    placed = service.client.post("/orders", json=fields)
    assert placed.status_code == 201
    assert placed.json["orderType"] == "LIMIT"
    assert placed.json["timeInForce"] == "GTC"
    assert placed.json["clientOrderId"] is None


def test_the_average_price_is_rounded_half_even_to_eight_decimals(service: Service) -> None:
    client, asset = service.client, new_asset()
    for price in ("0.00000001", "0.00000002"):
        client.post("/orders", json=order(asset=asset, type="SELL", price=price))
    taker = client.post("/orders", json=order(asset=asset, quantity=2), headers=WAIT)
    assert exact(taker)["averagePrice"] == "0.00000002"
    assert taker.json["status"] == "FILLED"


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", ";charset=UTF-8"])
def test_json_in_utf_8_may_say_that_it_is(service: Service, charset: str) -> None:
    body = json.dumps(order())
    client = service.client
    placed = client.post("/orders", data=body, content_type=f"application/json{charset}")
    assert placed.status_code == 201


@pytest.mark.parametrize(
    "order_id",
    ["00000000-0000-4000-8000-000000000000", "nonsense", "0", "a" * 4000, "%00", "%ff", "batch"],
)
def test_an_order_that_nobody_placed_is_not_found(service: Service, order_id: str) -> None:
    for suffix in ("", "/events"):
        read = service.client.get(f"/orders/{order_id}{suffix}")
        assert read.status_code == 404
        assert read.content_type == "application/problem+json"
        assert read.json == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "Order not found",
        }


def test_an_order_is_found_by_its_id_in_capitals_too(service: Service) -> None:
    client = service.client
    placed = client.post("/orders", json=order())
    assert client.get(f"/orders/{placed.json['orderId'].upper()}").status_code == 200
