"""DELETE /orders: all of a user's orders at once, of an asset or of all."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.instrument import Limits
from domain.requests import LimitsRequest
from tests.http.support import (
    WAIT,
    Client,
    Service,
    Trading,
    new_asset,
    only,
    order,
    outcome,
    shown,
)


def new_user() -> str:
    return f"user-{new_asset()}"


def test_a_mass_cancel_is_taken_before_it_is_decided(stalled: Service) -> None:
    client = stalled.client
    placed = client.post("/orders", json=order())
    asked = client.delete("/orders?userId=user123&asset=BTC-USD")
    assert asked.status_code == 202
    assert list(asked.json) == ["requestId"]
    assert "Preference-Applied" not in asked.headers
    assert client.get(placed.headers["Location"]).json["status"] == "PENDING"
    stalled.follow()
    found = client.get(placed.headers["Location"], headers=shown(asked)).json
    assert outcome(found) == ("CANCELLED", 0, "USER_REQUEST")


def test_a_mass_cancel_that_waits_answers_with_the_cancelled_orders(service: Service) -> None:
    trading, me = Trading(service), new_user()
    mine = [
        trading.buy(100, userId=me),
        trading.buy(99, 9, userId=me, displayQuantity=2),
        trading.sell(101, 2, userId=me),
        trading.sell(None, orderType="STOP", stopPrice=95, userId=me),
    ]
    somebodys = trading.buy(98, userId=new_user())
    trading.buy(101, userId=new_user())
    before = trading.book()["version"]
    answer = trading.ask("DELETE", f"/orders?userId={me}&asset={trading.asset}", None, 200)
    assert list(answer) == ["cancelled"]
    assert sorted(answer["cancelled"]) == sorted(each["orderId"] for each in mine)
    assert [outcome(trading.now(each)) for each in mine] == [
        ("CANCELLED", 0, "USER_REQUEST"),
        ("CANCELLED", 0, "USER_REQUEST"),
        ("CANCELLED", 1, "USER_REQUEST"),
        ("CANCELLED", 0, "USER_REQUEST"),
    ]
    assert trading.now(mine[2])["remainingQuantity"] == 1
    assert trading.queue("bids") == [(somebodys["orderId"], 98, 1)]
    assert trading.queue("asks") == []
    assert trading.book()["version"] == before + 1


def test_a_mass_cancel_of_an_asset_leaves_those_of_others(service: Service) -> None:
    here, there, me = Trading(service), Trading(service), new_user()
    gone, stays = here.buy(100, userId=me), there.buy(100, userId=me)
    answer = here.ask("DELETE", f"/orders?userId={me}&asset={here.asset}", None, 200)
    assert answer["cancelled"] == [gone["orderId"]]
    assert there.now(stays)["status"] == "OPEN"


def test_a_mass_cancel_of_all_assets_is_one_request_for_all_of_them(service: Service) -> None:
    me, floors = new_user(), [Trading(service) for _ in range(3)]
    mine = [trading.buy(100, userId=me) for trading in floors]
    untouched = Trading(service)
    untouched.buy(100, userId=new_user())
    answer = floors[0].ask("DELETE", f"/orders?userId={me}", None, 200)
    assert sorted(answer["cancelled"]) == sorted(each["orderId"] for each in mine)
    requests = set()
    for placed in mine:
        assert floors[0].now(placed)["status"] == "CANCELLED"
        *_, cancelled = floors[0].trail(placed)
        requests.add(cancelled["requestId"])
    assert len(requests) == 1
    assert untouched.book()["version"] == 1


def test_the_audit_trail_has_the_request_that_cancelled_an_order(service: Service) -> None:
    trading, me = Trading(service), new_user()
    for query, asset in (
        (f"userId={me}&asset={trading.asset}", trading.asset),
        (f"userId={me}", "*"),
    ):
        placed = trading.buy(100, userId=me)
        asked = service.client.delete(f"/orders?{query}")
        events = service.client.get(
            f"/orders/{placed['orderId']}/events", headers=shown(asked)
        ).json["events"]
        request = only(events, "request.mass_cancel")
        cancelled = only(events, "order.cancelled")
        assert request["requestId"] == asked.json["requestId"]
        assert (request["userId"], request["asset"]) == (me, asset)
        assert "orderId" not in request
        assert cancelled["requestId"] == request["requestId"]
        assert cancelled["reasonText"] == "The user cancelled the order"
        assert [event["version"] for event in events] == [1, 2, 3, 4]


def test_where_there_is_nothing_to_cancel_nothing_happens(service: Service) -> None:
    trading, me = Trading(service), new_user()
    trading.buy(100, userId=new_user())
    for query in (f"userId={me}", f"userId={me}&asset={trading.asset}", f"userId={me}&asset=X"):
        assert trading.ask("DELETE", f"/orders?{query}", None, 200) == {"cancelled": []}
    assert trading.book()["version"] == 1


def test_orders_that_come_after_it_are_not_cancelled(stalled: Service) -> None:
    client = stalled.client
    before = client.post("/orders", json=order())
    client.delete("/orders?userId=user123")
    after = client.post("/orders", json=order())
    stalled.follow()
    states = [client.get(each.headers["Location"]).json["status"] for each in (before, after)]
    assert states == ["CANCELLED", "OPEN"]


def test_an_order_that_is_leaving_is_counted_and_can_not_be_cancelled(stalled: Service) -> None:
    now = datetime.now(UTC)
    bound = LimitsRequest.make(
        uuid4(), user_id="engine", asset="*", limits=Limits(max_parts=2), time=now
    )
    stalled.market.orders.ask(bound)
    early = stalled.client_with(clock=lambda: now)
    end = (now + timedelta(milliseconds=500)).isoformat()
    ends = [order(userId="other", timeInForce="GTD", expiresAt=end)] * 3
    others, mine = (
        [early.post("/orders", json=each).headers["Location"] for each in orders]
        for orders in (ends, [order()] * 3)
    )
    stalled.follow()
    late = stalled.client_with(clock=lambda: now + timedelta(milliseconds=900))
    # Two of the others' are in this event.
    asked = decided(stalled, late, "/orders?userId=user123")
    assert (asked.status_code, asked.json) == (200, {"cancelled": [], "leaving": 4})
    refused = decided(stalled, late, mine[0])
    assert (refused.status_code, refused.json["reason"]) == (409, "ORDER_NOT_OPEN")
    stalled.follow()
    assert [late.get(path).json["status"] for path in others] == ["EXPIRED"] * 3
    assert [late.get(path).json["status"] for path in mine] == ["CANCELLED"] * 3


def decided(stalled: Service, client: Client, path: str) -> Any:
    """The answer to a DELETE that waits, once Matching has had it, and nobody else."""
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(client.delete, path, headers=WAIT)
        stalled.until_wait(1)
        stalled.match()
        return answer.result(60)


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("", [("userId", "UserId is required")]),
        ("?asset=BTC-USD", [("userId", "UserId is required")]),
        ("?userId=", [("userId", "UserId is required")]),
        (
            "?userId=me&status=OPEN&asset=*",
            [
                (
                    "asset",
                    "Asset must be 1 to 32 of A-Z a-z 0-9 ._:-, beginning with a letter or digit",
                ),
                ("status", "status is unknown"),
            ],
        ),
        ("?userId=a&userId=b", [("userId", "UserId is given more than once")]),
    ],
)
def test_a_mass_cancel_names_its_user_and_leaves_no_trace_otherwise(
    unfollowed: Service, query: str, errors: list[tuple[str, str]]
) -> None:
    before = unfollowed.count_events()
    refused = unfollowed.client.delete(f"/orders{query}", headers=WAIT)
    assert refused.status_code == 400
    assert [(each["field"], each["message"]) for each in refused.json["errors"]] == errors
    assert unfollowed.count_events() == before
