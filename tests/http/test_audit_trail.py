"""GET /orders/{id}/events: an order's story, requests and their outcomes included."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from tests.http.support import Service, exact, order, shown

NOON = datetime(2024, 2, 9, 12, tzinfo=UTC)


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.second = 0

    def __call__(self) -> datetime:
        return NOON + timedelta(seconds=self.second)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clocked(stalled: Service, clock: Clock) -> Service:
    """A service that goes by the clock, and whose n-th new id is n."""
    ids = count(1)
    stalled.client = stalled.client_with(clock=clock, new_id=lambda: UUID(int=next(ids)))
    return stalled


def at(second: int) -> str:
    return f"2024-02-09T12:00:{second:02d}Z"


def trail(service: Service, order_id: str) -> list[dict[str, Any]]:
    events = exact(service.client.get(f"/orders/{order_id}/events"))["events"]
    assert isinstance(events, list)
    return events


def test_the_whole_life_of_an_order_is_told_in_the_order_of_the_log(
    clocked: Service, clock: Clock
) -> None:
    client = clocked.client
    clock.second = 1
    maker = client.post("/orders", json=order(quantity=3, clientOrderId="c-1"))
    order_id = maker.json["orderId"]
    path = f"/orders/{order_id}"
    clocked.follow()
    clock.second = 2
    client.patch(path, json={"price": "100.5"})
    clocked.follow()
    clock.second = 3
    client.post("/orders", json=order(type="SELL"))
    clocked.follow()
    clock.second = 4
    client.patch(path, json={"quantity": 1})
    clocked.follow()
    clock.second = 5
    client.delete(path)
    clocked.follow()
    about = {"orderId": order_id, "userId": "user123", "asset": "BTC-USD"}
    replace, refused, cancel = (str(UUID(int=number)) for number in (1, 3, 4))
    assert trail(clocked, order_id) == [
        {
            "version": "1",
            "type": "order.placed",
            "occurredAt": at(1),
            **about,
            "side": "BUY",
            "price": "100",
            "quantity": "3",
            "orderType": "LIMIT",
            "timeInForce": "GTC",
            "clientOrderId": "c-1",
            "postOnly": False,
            "stopPrice": None,
            "takeProfit": False,
            "displayQuantity": None,
            "expiresAt": None,
            "selfTradePrevention": "NONE",
            "quoteQuantity": None,
        },
        {
            "version": "2",
            "type": "order.opened",
            "occurredAt": at(1),
            **about,
            "status": "OPEN",
            "bookVersion": "1",
        },
        {
            "version": "3",
            "type": "request.replace",
            "occurredAt": at(2),
            **about,
            "requestId": replace,
            "price": "100.5",
            "quantity": None,
            "stopPrice": None,
            "displayQuantity": None,
        },
        {
            "version": "4",
            "type": "order.replaced",
            "occurredAt": at(2),
            **about,
            "status": "OPEN",
            "bookVersion": "2",
            "requestId": replace,
            "price": "100.5",
            "quantity": "3",
            "stopPrice": None,
            "displayQuantity": None,
            "fills": [],
            "reason": None,
            "reasonText": None,
        },
        {
            "version": "5",
            "type": "order.filled",
            "occurredAt": at(3),
            **about,
            "status": "PARTIALLY_FILLED",
            "bookVersion": "3",
            "fills": [{"tradeId": "1", "price": "100.5", "quantity": "1", "liquidity": "MAKER"}],
            "quantity": None,
        },
        {
            "version": "6",
            "type": "request.replace",
            "occurredAt": at(4),
            **about,
            "requestId": refused,
            "price": None,
            "quantity": "1",
            "stopPrice": None,
            "displayQuantity": None,
        },
        {
            "version": "7",
            "type": "order.request_refused",
            "occurredAt": at(4),
            **about,
            "status": "PARTIALLY_FILLED",
            "bookVersion": "4",
            "requestId": refused,
            "reason": "QUANTITY_NOT_ABOVE_FILLED",
            "limit": None,
            "reasonText": "The new quantity is not above what is already filled",
        },
        {
            "version": "8",
            "type": "request.cancel",
            "occurredAt": at(5),
            **about,
            "requestId": cancel,
        },
        {
            "version": "9",
            "type": "order.cancelled",
            "occurredAt": at(5),
            **about,
            "status": "CANCELLED",
            "bookVersion": "5",
            "fills": [],
            "quantity": None,
            "requestId": cancel,
            "reason": "USER_REQUEST",
            "reasonText": "The user cancelled the order",
        },
    ]


def test_an_order_that_expires_tells_what_it_traded(clocked: Service) -> None:
    clocked.client.post("/orders", json=order(type="SELL"))
    taker = clocked.client.post("/orders", json=order(quantity=2, timeInForce="IOC"))
    clocked.follow()
    [_, expired] = trail(clocked, taker.json["orderId"])
    assert expired["type"] == "order.expired"
    assert expired["status"] == "EXPIRED"
    assert expired["reason"] == "INSUFFICIENT_LIQUIDITY"
    assert expired["fills"] == [
        {"tradeId": "1", "price": "100", "quantity": "1", "liquidity": "TAKER"}
    ]


def test_an_order_has_a_trail_from_the_moment_it_is_acknowledged(clocked: Service) -> None:
    placed = clocked.client.post("/orders", json=order())
    [event] = trail(clocked, placed.json["orderId"])
    assert event["type"] == "order.placed"


def test_a_request_is_in_the_trail_with_its_outcome_also_when_the_view_is_behind(
    clocked: Service,
) -> None:
    placed = clocked.client.post("/orders", json=order())
    clocked.client.delete(f"/orders/{placed.json['orderId']}")
    clocked.match()
    clocked.market.orders.process_batch("Matching")
    types = [event["type"] for event in trail(clocked, placed.json["orderId"])]
    assert types == ["order.placed", "request.cancel", "order.opened", "order.cancelled"]


def test_a_request_that_is_not_decided_yet_is_in_the_trail(service: Service) -> None:
    placed = service.client.post("/orders", json=order())
    path = f"/orders/{placed.json['orderId']}"
    asked = service.client.delete(path)
    events = service.client.get(f"{path}/events", headers=shown(asked)).json["events"]
    assert "request.cancel" in [event["type"] for event in events]
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))


def test_a_command_that_made_the_engine_fail_is_told_as_such(
    clocked: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("application.matching.decide", fail)
    placed = clocked.client.post("/orders", json=order())
    clocked.follow()
    [_, rejected] = trail(clocked, placed.json["orderId"])
    assert rejected["type"] == "order.rejected"
    assert rejected["status"] == "REJECTED"
    assert rejected["reason"] == "INTERNAL_ERROR"
    assert rejected["reasonText"] == "The engine failed on this command; nothing changed"


def test_what_is_decided_while_a_trail_is_read_is_there_with_its_request(
    stalled: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stalled.client.post("/orders", json=order()).headers["Location"]
    stalled.follow()
    stalled.client.patch(path, json={"price": 99})
    stalled.follow()
    orders = stalled.market.orders
    events_of = orders.events_of

    def and_then_cancel(ids: Sequence[UUID]) -> list[Any]:
        found = events_of(ids)
        monkeypatch.undo()
        stalled.client.delete(path)
        stalled.follow()
        return found

    monkeypatch.setattr(orders, "events_of", and_then_cancel)
    events = stalled.client.get(f"{path}/events").json["events"]
    asked = {event["requestId"] for event in events if event["type"].startswith("request.")}
    assert {event["requestId"] for event in events if event.get("requestId")} == asked
