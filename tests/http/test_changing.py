"""PATCH and DELETE: what is asked of an order, and what comes of it."""

import pytest

from tests.http.support import WAIT, Service, exact, new_asset, order, shown


def place(service: Service, **fields: object) -> str:
    placed = service.client.post("/orders", json=order(**fields), headers=WAIT)
    assert placed.status_code == 201
    return f"/orders/{placed.json['orderId']}"


def test_a_cancel_is_taken_before_it_is_decided(stalled: Service) -> None:
    path = f"/orders/{stalled.client.post('/orders', json=order()).json['orderId']}"
    asked = stalled.client.delete(path)
    assert asked.status_code == 202
    assert asked.json["status"] == "PENDING"
    assert "Preference-Applied" not in asked.headers
    stalled.follow()
    assert stalled.client.get(path, headers=shown(asked)).json["status"] == "CANCELLED"


def test_a_cancel_that_waits_answers_with_the_cancelled_order(service: Service) -> None:
    path = place(service, asset=new_asset())
    cancelled = service.client.delete(path, headers=WAIT)
    assert cancelled.status_code == 200
    assert cancelled.headers["Preference-Applied"] == "wait"
    assert cancelled.json["status"] == "CANCELLED"
    assert cancelled.json["reason"] == "USER_REQUEST"
    assert cancelled.json["remainingQuantity"] == 1


def test_a_cancelled_order_can_be_cancelled_again_as_often_as_one_likes(service: Service) -> None:
    path = place(service, asset=new_asset())
    for _ in range(4):  # at once, when the order itself has not heard of it, and later
        cancelled = service.client.delete(path, headers=WAIT)
        assert cancelled.status_code == 200
        assert cancelled.json["status"] == "CANCELLED"
        assert service.client.get(path, headers=shown(cancelled)).json["status"] == "CANCELLED"


def test_a_cancelled_order_is_not_asked_for_a_second_time(stalled: Service) -> None:
    path = f"/orders/{stalled.client.post('/orders', json=order()).json['orderId']}"
    stalled.client.delete(path)
    stalled.follow()
    events = stalled.count_events()
    again = stalled.client.delete(path)
    assert again.status_code == 200
    assert again.json["status"] == "CANCELLED"
    assert stalled.client.get(path, headers=shown(again)).status_code == 200
    assert stalled.count_events() == events


def test_a_filled_order_can_be_neither_cancelled_nor_amended(service: Service) -> None:
    asset = new_asset()
    path = place(service, asset=asset)
    taken = service.client.post("/orders", json=order(asset=asset, type="SELL"), headers=WAIT)
    service.client.get(path, headers=shown(taken))
    for refused in (
        service.client.delete(path),
        service.client.delete(path, headers=WAIT),
        service.client.patch(path, json={"price": 1}),
        service.client.patch(path, json={"price": 1}, headers=WAIT),
    ):
        assert refused.status_code == 409
        assert refused.content_type == "application/problem+json"
        assert refused.json["detail"] == "Order is FILLED"
        assert refused.json["reason"] == "ORDER_NOT_OPEN"


def test_an_expired_order_cannot_be_cancelled(service: Service) -> None:
    placed = service.client.post(
        "/orders", json=order(asset=new_asset(), timeInForce="IOC"), headers=WAIT
    )
    path = f"/orders/{placed.json['orderId']}"
    service.client.get(path, headers=shown(placed))
    assert service.client.delete(path).status_code == 409


def test_a_cancelled_order_cannot_be_amended(service: Service) -> None:
    path = place(service, asset=new_asset())
    service.client.get(path, headers=shown(service.client.delete(path, headers=WAIT)))
    refused = service.client.patch(path, json={"quantity": 5})
    assert refused.status_code == 409
    assert refused.json["detail"] == "Order is CANCELLED"


def test_an_amendment_is_taken_before_it_is_decided(stalled: Service) -> None:
    path = f"/orders/{stalled.client.post('/orders', json=order()).json['orderId']}"
    stalled.follow()
    asked = stalled.client.patch(path, json={"price": 99})
    assert asked.status_code == 202
    assert asked.json["price"] == 100
    stalled.follow()
    assert stalled.client.get(path, headers=shown(asked)).json["price"] == 99


@pytest.mark.parametrize(
    ("change", "price", "quantity"),
    [
        ({"price": "99.5"}, "99.5", "1"),
        ({"quantity": "2.25"}, "100", "2.25"),
        ({"price": 101, "quantity": 3}, "101", "3"),
        ({"price": None, "quantity": 3}, "100", "3"),
    ],
)
def test_an_amendment_that_waits_answers_with_the_order_as_it_left_it(
    service: Service, change: dict[str, object], price: str, quantity: str
) -> None:
    path = place(service, asset=new_asset())
    amended = service.client.patch(path, json=change, headers=WAIT)
    assert amended.status_code == 200
    assert exact(amended)["price"] == price
    assert exact(amended)["quantity"] == quantity
    assert exact(amended)["remainingQuantity"] == quantity


def test_an_amendment_that_crosses_trades_at_once(service: Service) -> None:
    asset = new_asset()
    place(service, asset=asset, type="SELL", price=105)
    path = place(service, asset=asset, price=100, quantity=3)
    amended = service.client.patch(path, json={"price": 106}, headers=WAIT)
    assert amended.json["status"] == "PARTIALLY_FILLED"
    assert amended.json["filledQuantity"] == 1
    assert amended.json["averagePrice"] == 105
    assert amended.json["remainingQuantity"] == 2


def test_an_amendment_that_the_market_refuses_is_a_conflict_with_its_reason(
    service: Service,
) -> None:
    asset = new_asset()
    path = place(service, asset=asset, quantity=3)
    place(service, asset=asset, type="SELL", quantity=2)
    refused = service.client.patch(path, json={"quantity": 2}, headers=WAIT)
    assert refused.status_code == 409
    assert refused.json == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "The new quantity is not above what is already filled",
        "reason": "QUANTITY_NOT_ABOVE_FILLED",
    }
    assert refused.headers["Preference-Applied"] == "wait"
    after = service.client.get(path, headers=shown(refused)).json
    assert (after["quantity"], after["filledQuantity"]) == (3, 2)


def test_a_cancel_that_comes_too_late_is_a_conflict_when_it_waits(stalled: Service) -> None:
    client = stalled.client
    path = f"/orders/{client.post('/orders', json=order()).json['orderId']}"
    client.post("/orders", json=order(type="SELL"))
    late = client.delete(path)  # the order does not know yet that it will be filled
    assert late.status_code == 202
    stalled.follow()
    order_now = client.get(path, headers=shown(late)).json
    assert order_now["status"] == "FILLED"
    assert order_now["reason"] is None
    [refused] = [
        event
        for event in client.get(f"{path}/events").json["events"]
        if event["type"] == "order.request_refused"
    ]
    assert refused["reason"] == "ORDER_NOT_OPEN"
    assert refused["status"] == "FILLED"


@pytest.mark.parametrize("body", [{}, {"price": None}, {"price": None, "quantity": None}])
def test_an_amendment_needs_something_to_amend(service: Service, body: object) -> None:
    path = place(service, asset=new_asset())
    refused = service.client.patch(path, json=body)
    assert refused.status_code == 400
    assert refused.json["errors"] == [
        {
            "field": "price",
            "message": "Price, quantity, stopPrice or displayQuantity is required",
        }
    ]


def test_nothing_else_of_an_order_can_be_amended(service: Service) -> None:
    path = place(service, asset=new_asset())
    refused = service.client.patch(path, json={"price": 1, "type": "SELL", "userId": "thief"})
    assert refused.status_code == 400
    assert [fault["field"] for fault in refused.json["errors"]] == ["type", "userId"]


@pytest.mark.parametrize("order_id", ["nonsense", "550e8400-e29b-41d4-a716-446655440000"])
def test_an_order_that_nobody_placed_cannot_be_changed(service: Service, order_id: str) -> None:
    for refused in (
        service.client.delete(f"/orders/{order_id}"),
        service.client.patch(f"/orders/{order_id}", json={"price": 1}),
    ):
        assert refused.status_code == 404
        assert refused.json["detail"] == "Order not found"


def test_the_id_of_a_request_is_not_that_of_an_order(service: Service) -> None:
    path = place(service, asset=new_asset())
    asked = service.client.delete(path, headers=WAIT)
    events = service.client.get(f"{path}/events", headers=shown(asked)).json["events"]
    [request_id] = {event["requestId"] for event in events if "requestId" in event}
    for answer in (
        service.client.get(f"/orders/{request_id}"),
        service.client.get(f"/orders/{request_id}/events"),
        service.client.delete(f"/orders/{request_id}"),
        service.client.patch(f"/orders/{request_id}", json={"price": 1}),
    ):
        assert answer.status_code == 404
        assert answer.json["detail"] == "Order not found"


def test_who_was_told_of_a_decision_is_not_judged_by_what_was_before_it(stalled: Service) -> None:
    """Matching has decided, and said so; the order itself is yet to record it."""
    path = stalled.client.post("/orders", json=order()).headers["Location"]
    stalled.follow()
    stalled.client.delete(path)
    stalled.match()

    assert stalled.client.patch(path, json={"price": 2}).status_code == 409
    again = stalled.client.delete(path)
    assert (again.status_code, again.json["status"]) == (200, "CANCELLED")


def test_an_order_asked_for_again_is_told_as_matching_has_left_it(stalled: Service) -> None:
    fields = order(clientOrderId="mine")
    path = stalled.client.post("/orders", json=fields).headers["Location"]
    stalled.follow()
    stalled.client.patch(path, json={"price": 2, "quantity": 3})
    stalled.match()

    again = stalled.client.post("/orders", json=fields)
    assert again.status_code == 200
    assert (again.json["price"], again.json["quantity"]) == (2, 3)
