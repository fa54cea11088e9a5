"""clientOrderId: asked again, an order is placed once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest

from domain.values import derive_order_id
from tests.http.support import WAIT, Service, new_asset, order, shown


def test_the_same_again_is_the_same_order_and_nothing_new(unfollowed: Service) -> None:
    fields = order(asset=new_asset(), clientOrderId="c-1")
    first = unfollowed.client.post("/orders", json=fields)
    events = unfollowed.count_events()
    again = unfollowed.client.post("/orders", json=fields)
    assert first.status_code == 201
    assert again.status_code == 200
    assert again.json == first.json
    assert "Location" not in again.headers
    assert again.headers["Position"] == first.headers["Position"]
    assert unfollowed.count_events() == events


def test_the_same_again_waits_as_the_first_did(service: Service) -> None:
    fields = order(asset=new_asset(), clientOrderId="c-1")
    first = service.client.post("/orders", json=fields, headers=WAIT)
    again = service.client.post("/orders", json=fields, headers=WAIT)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json["status"] == "OPEN"
    assert again.json == first.json


def test_the_order_id_follows_from_user_asset_and_client_order_id(service: Service) -> None:
    asset = new_asset()
    placed = service.client.post("/orders", json=order(asset=asset, clientOrderId="c-1"))
    assert UUID(placed.json["orderId"]) == derive_order_id("user123", asset, "c-1")
    assert placed.json["clientOrderId"] == "c-1"


def test_another_spelling_of_the_same_request_is_the_same(service: Service) -> None:
    fields = order(asset=new_asset(), clientOrderId="c-1", price="100.00", quantity=1)
    first = service.client.post("/orders", json=fields)
    again = service.client.post(
        "/orders", json=fields | {"price": "1e2", "orderType": "LIMIT", "timeInForce": "GTC"}
    )
    assert again.status_code == 200
    assert again.json["orderId"] == first.json["orderId"]


def test_another_spelling_of_the_same_terms_is_the_same(service: Service) -> None:
    fields = order(
        asset=new_asset(),
        clientOrderId="c-1",
        orderType="STOP_LIMIT",
        stopPrice="100.50",
        timeInForce="GTD",
        expiresAt="2030-01-01T00:00:00Z",
    )
    first = service.client.post("/orders", json=fields)
    spelled = {"stopPrice": 100.5, "expiresAt": "2030-01-01T01:00:00.000+01:00"}
    unless_told = {"takeProfit": False, "postOnly": None, "selfTradePrevention": "NONE"}
    again = service.client.post("/orders", json=fields | spelled | unless_told)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json["orderId"] == first.json["orderId"]


@pytest.mark.parametrize(
    "other",
    [
        {"price": 101},
        {"quantity": 2},
        {"type": "SELL"},
        {"timeInForce": "IOC"},
        {"postOnly": True},
        {"displayQuantity": 1},
        {"selfTradePrevention": "DECREMENT"},
        {"orderType": "STOP_LIMIT", "stopPrice": 100},
        {"timeInForce": "GTD", "expiresAt": "2030-01-01T00:00:00Z"},
    ],
)
def test_another_request_under_the_same_id_is_a_conflict(
    unfollowed: Service, other: dict[str, object]
) -> None:
    fields = order(asset=new_asset(), clientOrderId="c-1")
    unfollowed.client.post("/orders", json=fields)
    events = unfollowed.count_events()
    refused = unfollowed.client.post("/orders", json=fields | other)
    assert refused.status_code == 409
    assert refused.content_type == "application/problem+json"
    message = "ClientOrderId stands for another order already"
    assert refused.json["detail"] == message
    assert refused.json["errors"] == [{"field": "clientOrderId", "message": message}]
    assert unfollowed.count_events() == events


def test_another_user_or_asset_may_use_the_same_id(service: Service) -> None:
    fields = order(asset=new_asset(), clientOrderId="c-1")
    for other in ({}, {"userId": "somebody"}, {"asset": new_asset()}):
        assert service.client.post("/orders", json=fields | other).status_code == 201


def test_the_id_of_an_order_that_is_gone_is_still_taken(service: Service) -> None:
    fields = order(asset=new_asset(), clientOrderId="c-1")
    placed = service.client.post("/orders", json=fields)
    path = f"/orders/{placed.json['orderId']}"
    cancelled = service.client.delete(path, headers=WAIT)
    assert cancelled.json["status"] == "CANCELLED"
    service.client.get(path, headers=shown(cancelled))
    again = service.client.post("/orders", json=fields, headers=WAIT)
    assert again.status_code == 200
    assert again.json["status"] == "CANCELLED"


def test_of_twenty_that_race_one_places_the_order(service: Service) -> None:
    fields = order(asset=new_asset(), clientOrderId="c-1")
    clients = [service.another_client() for _ in range(20)]
    barrier = Barrier(len(clients))

    def place(number: int) -> tuple[int, str]:
        barrier.wait()
        placed = clients[number].post("/orders", json=fields)
        return placed.status_code, placed.json["orderId"]

    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(place, range(len(clients))))
    assert sorted(status for status, _ in answers) == [200] * 19 + [201]
    assert len({order_id for _, order_id in answers}) == 1
    again = service.client.post("/orders", json=fields)
    page = service.client.get(f"/orders?asset={fields['asset']}", headers=shown(again)).json
    assert len(page["orders"]) == 1
