"""PUT /users/{userId}: the kill switch. All of a user's orders go, and no new ones come."""

from typing import Any

import pytest

from tests.http.support import Service, Trading, new_asset, only, order, outcome, path, shown

TEXT = "The user was suspended, and all their orders cancelled"


def suspend(trading: Trading, user: str, *, suspended: bool = True) -> dict[str, Any]:
    return trading.ask("PUT", f"/users/{user}", {"suspended": suspended}, 200)


@pytest.fixture
def me() -> str:
    return f"user-{new_asset()}"


def test_a_suspension_is_taken_before_it_is_decided(stalled: Service) -> None:
    client = stalled.client
    placed = client.post("/orders", json=order())
    stalled.follow()
    asked = client.put("/users/user123", json={"suspended": True})
    assert asked.status_code == 202
    assert list(asked.json) == ["userId", "suspended", "requestId"]
    assert (asked.json["userId"], asked.json["suspended"]) == ("user123", True)
    after = client.post("/orders", json=order())  # recorded, and refused at its place in the log
    assert (after.status_code, after.json["status"]) == (201, "PENDING")
    stalled.follow()
    found = client.get(placed.headers["Location"], headers=shown(asked)).json
    assert outcome(found) == ("CANCELLED", 0, "USER_SUSPENDED")
    found = client.get(after.headers["Location"]).json
    assert outcome(found) == ("REJECTED", 0, "USER_SUSPENDED")


def test_a_suspension_cancels_all_orders_of_the_user(service: Service, me: str) -> None:
    floors = [Trading(service), Trading(service)]
    mine = [trading.buy(100, userId=me) for trading in floors]
    mine.append(floors[0].sell(None, userId=me, orderType="STOP", stopPrice=95))
    somebodys = floors[0].buy(99, userId=f"{me}-other")
    answer = suspend(floors[0], me)
    assert (answer["userId"], answer["suspended"]) == (me, True)
    assert sorted(answer["cancelled"]) == sorted(each["orderId"] for each in mine)
    for each in mine:
        found = floors[0].now(each)
        assert outcome(found) == ("CANCELLED", 0, "USER_SUSPENDED")
        assert found["reasonText"] == TEXT
    assert floors[0].now(somebodys)["status"] == "OPEN"
    events = floors[0].trail(mine[0])
    request, cancelled = only(events, "request.user"), only(events, "order.cancelled")
    assert (request["asset"], request["userId"], request["suspended"]) == ("*", me, True)
    assert cancelled["requestId"] == request["requestId"]


def test_a_suspended_user_places_nothing_until_it_is_lifted(service: Service, me: str) -> None:
    trading = Trading(service)
    suspend(trading, me)
    for fields in ({}, {"orderType": "STOP", "price": None, "stopPrice": 5}, {"postOnly": True}):
        placed = trading.place(userId=me, **fields)
        assert outcome(placed) == ("REJECTED", 0, "USER_SUSPENDED")
        assert placed["reasonText"] == "The user is suspended"
    assert trading.buy(100, userId=f"{me}-other")["status"] == "OPEN"
    answer = suspend(trading, me, suspended=False)
    assert answer == {"userId": me, "suspended": False, "cancelled": []}
    assert trading.buy(100, userId=me)["status"] == "OPEN"


def test_a_suspension_comes_before_an_amend_that_is_yet_to_be_decided(stalled: Service) -> None:
    client = stalled.client
    placed = client.post("/orders", json=order())
    stalled.follow()
    client.put("/users/user123", json={"suspended": True})
    asked = client.patch(placed.headers["Location"], json={"price": 101})
    assert asked.status_code == 202
    stalled.follow()
    events = client.get(f"{path(placed.json)}/events").json["events"]
    refused = events[-1]
    assert refused["type"] == "order.request_refused"
    assert (refused["reason"], refused["reasonText"]) == ("USER_SUSPENDED", "The user is suspended")
    assert client.get(path(placed.json)).json["price"] == 100


def test_cancels_of_a_suspended_user_are_taken(service: Service, me: str) -> None:
    trading = Trading(service)
    placed = trading.buy(100, userId=me)
    suspend(trading, me)
    again = service.client.delete(path(placed))
    assert (again.status_code, again.json["reason"]) == (200, "USER_SUSPENDED")
    assert trading.ask("DELETE", f"/orders?userId={me}", None, 200) == {"cancelled": []}


def test_a_suspension_said_again_is_as_good(service: Service, me: str) -> None:
    trading = Trading(service)
    for suspended in (True, True, False, False):
        assert suspend(trading, me, suspended=suspended)["suspended"] is suspended
    assert trading.buy(100, userId=me)["status"] == "OPEN"


@pytest.mark.parametrize(
    ("user", "body", "errors"),
    [
        ("user123", {}, [("suspended", "Suspended is required")]),
        ("user123", {"suspended": None}, [("suspended", "Suspended is required")]),
        ("user123", {"suspended": "true"}, [("suspended", "Suspended must be true or false")]),
        ("user123", {"suspended": 1}, [("suspended", "Suspended must be true or false")]),
        (
            "user123",
            {"suspended": False, "name": "x"},
            [("name", "name is unknown")],
        ),
        (
            "-x",
            {"suspended": True},
            [
                (
                    "userId",
                    "UserId must be 1 to 64 of A-Z a-z 0-9 ._:@-, beginning with a letter or digit",
                )
            ],
        ),
    ],
)
def test_a_bad_body_is_refused_and_leaves_no_trace(
    unfollowed: Service, user: str, body: object, errors: list[tuple[str, str]]
) -> None:
    before = unfollowed.count_events()
    refused = unfollowed.client.put(f"/users/{user}", json=body)
    assert refused.status_code == 400
    assert [(each["field"], each["message"]) for each in refused.json["errors"]] == errors
    assert unfollowed.count_events() == before
    assert unfollowed.client.put(f"/users/{user}?x=1", json={"suspended": True}).status_code == 400
