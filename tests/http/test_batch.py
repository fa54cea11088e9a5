"""POST /orders/batch: many orders, one commit, each for itself."""

import pytest

from tests.http.support import Service, new_asset, order, shown


def test_every_entry_has_a_result_of_its_own(service: Service) -> None:
    asset = new_asset()
    known = order(asset=asset, clientOrderId="known")
    service.client.post("/orders", json=known)
    events = service.count_events()
    answered = service.client.post(
        "/orders/batch",
        json={
            "orders": [
                order(asset=asset),
                order(asset=asset, price=0, quantity=None),
                known,
                known | {"price": 7},
                "order",
                order(asset=asset, clientOrderId="twice"),
                order(asset=asset, clientOrderId="twice"),
                order(asset=asset, clientOrderId="twice", type="SELL"),
            ]
        },
    )
    assert answered.status_code == 200
    results = answered.json["results"]
    assert [result["status"] for result in results] == [201, 400, 200, 409, 400, 201, 200, 409]
    assert results[0]["order"]["price"] == 100
    assert results[0]["order"]["status"] == "PENDING"
    assert results[1]["errors"] == [
        {"field": "price", "message": "Price must be greater than 0"},
        {"field": "quantity", "message": "Quantity must be greater than 0"},
    ]
    assert results[3]["errors"] == [
        {
            "field": "clientOrderId",
            "message": "ClientOrderId stands for another order already",
        }
    ]
    assert results[4]["errors"] == [{"field": "order", "message": "Order must be a JSON object"}]
    assert results[5]["order"] == results[6]["order"]
    page = service.client.get(f"/orders?asset={asset}", headers=shown(answered)).json
    assert len(page["orders"]) == 3
    assert service.count_events() > events


def test_a_batch_takes_orders_of_all_types(service: Service) -> None:
    asset = new_asset()
    entries = [
        order(asset=asset, type="SELL", quantity=5, displayQuantity=2),
        order(asset=asset, orderType="STOP", price=None, stopPrice=100),
        order(asset=asset, orderType="MARKET", price=None, quantity=None, quoteQuantity=200),
        order(asset=asset, orderType="MARKET"),
        order(asset=asset, postOnly=True),
    ]
    answered = service.client.post("/orders/batch", json={"orders": entries})
    results = answered.json["results"]
    assert [result["status"] for result in results] == [201, 201, 201, 400, 201]
    assert [fault["field"] for fault in results[3]["errors"]] == ["price"]
    page = service.client.get(f"/orders?asset={asset}", headers=shown(answered)).json
    found = {each["orderId"]: each["status"] for each in page["orders"]}
    placed = [result["order"]["orderId"] for result in results if "order" in result]
    assert [found[order_id] for order_id in placed] == [
        "PARTIALLY_FILLED",
        "FILLED",
        "FILLED",
        "REJECTED",
    ]


def test_a_batch_does_not_wait(service: Service) -> None:
    answered = service.client.post(
        "/orders/batch", json={"orders": [order(asset=new_asset())]}, headers={"Prefer": "wait=5"}
    )
    assert answered.json["results"][0]["order"]["status"] == "PENDING"
    assert "Preference-Applied" not in answered.headers


def test_orders_of_a_batch_are_matched_in_its_order(service: Service) -> None:
    asset = new_asset()
    answered = service.client.post(
        "/orders/batch",
        json={
            "orders": [
                order(asset=asset, type="SELL", price=101),
                order(asset=asset, type="SELL", price=100),
                order(asset=asset, type="BUY", price=101, quantity=2),
            ]
        },
    )
    ids = [result["order"]["orderId"] for result in answered.json["results"]]
    trades = service.client.get(f"/trades?asset={asset}", headers=shown(answered)).json["trades"]
    assert [(t["tradeId"], t["makerOrderId"], t["price"]) for t in trades] == [
        (2, ids[0], 101),
        (1, ids[1], 100),
    ]


def test_a_batch_of_which_nothing_can_be_placed_changes_nothing(unfollowed: Service) -> None:
    events = unfollowed.count_events()
    answered = unfollowed.client.post("/orders/batch", json={"orders": [{}, 1]})
    assert answered.status_code == 200
    assert [result["status"] for result in answered.json["results"]] == [400, 400]
    assert "Position" not in answered.headers
    assert unfollowed.count_events() == events


def test_a_thousand_orders_are_one_batch(unfollowed: Service) -> None:
    events = unfollowed.count_events()
    answered = unfollowed.client.post("/orders/batch", json={"orders": [order()] * 1000})
    assert {result["status"] for result in answered.json["results"]} == {201}
    assert unfollowed.count_events() == events + 1000


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Orders is required"),
        ({"orders": None}, "Orders is required"),
        ({"orders": {}}, "Orders must be an array"),
        ({"orders": []}, "Orders must have 1 to 1000 entries"),
        ({"orders": [{}] * 1001}, "Orders must have 1 to 1000 entries"),
    ],
)
def test_what_is_no_batch_is_refused_whole(
    service: Service, body: dict[str, object], message: str
) -> None:
    refused = service.client.post("/orders/batch", json=body)
    assert refused.status_code == 400
    assert refused.json["errors"] == [{"field": "orders", "message": message}]


def test_an_order_mentioned_twice_stands_where_it_was_mentioned_first(service: Service) -> None:
    asset = new_asset()
    first, second = (order(asset=asset, clientOrderId=name) for name in ("first", "second"))
    placed = service.client.post("/orders/batch", json={"orders": [first, second, first]})
    assert [result["status"] for result in placed.json["results"]] == [201, 201, 200]
    book = service.client.get(f"/books/{asset}?level=3", headers=shown(placed)).json
    assert [bid["orderId"] for bid in book["bids"]] == [
        result["order"]["orderId"] for result in placed.json["results"][:2]
    ]
