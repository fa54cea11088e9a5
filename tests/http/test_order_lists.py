"""GET /orders: by status, open or ended, by clientOrderId, and between two times."""

import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from interface.http.tokens import Token, encode
from tests.http.support import WAIT, Service, exact, new_asset, order, shown

ENDED = "FILLED,CANCELLED,REJECTED,EXPIRED"
NOON = datetime(2024, 2, 9, 12, tzinfo=UTC)


class Listed:
    """The orders of one user in one asset, by name."""

    def __init__(self, service: Service) -> None:
        self.client = service.client
        self.asset, self.user = new_asset(), new_asset()
        self.names: dict[str, str] = {}
        self.position: dict[str, str] = {}

    def place(self, name: str, **fields: Any) -> dict[str, Any]:
        fields = {"asset": self.asset, "userId": self.user, "clientOrderId": name, **fields}
        placed = self.client.post("/orders", json=order(**fields), headers=WAIT)
        assert placed.status_code == 201, placed.text
        self.position = shown(placed)
        self.names[placed.json["orderId"]] = name
        answer: dict[str, Any] = placed.json
        return answer

    def cancel(self, order_id: str) -> None:
        cancelled = self.client.delete(f"/orders/{order_id}", headers=WAIT)
        assert cancelled.status_code == 200
        self.position = shown(cancelled)

    def get(self, **query: str) -> list[str]:
        """The names of the orders on all pages, of three orders each."""
        names, cursor = [], None
        while True:
            asked = query | ({"cursor": cursor} if cursor else {})
            page = self.client.get(
                "/orders", query_string={"limit": 3, **asked}, headers=self.position
            )
            assert page.status_code == 200, page.text
            names += [self.names[each["orderId"]] for each in page.json["orders"]]
            cursor = page.json["nextCursor"]
            if cursor is None:
                return names


def test_open_orders_are_all_that_have_not_ended(service: Service) -> None:
    listed = Listed(service)
    listed.place("resting", price=10)
    listed.place("done", price=50)
    listed.place("partial", price=40, quantity=5)
    listed.place("taker", type="SELL", price=40, quantity=3)
    listed.cancel(listed.place("cancelled", price=5)["orderId"])
    listed.place("stop", orderType="STOP", price=None, stopPrice=70)
    listed.place("late", price=9)
    user, asset = {"userId": listed.user}, {"asset": listed.asset}
    still_open = ["late", "stop", "partial", "resting"]
    ended = ["cancelled", "taker", "done"]
    for limits in (user, asset, user | asset):
        assert listed.get(open="true", **limits) == still_open
        assert listed.get(open="false", **limits) == ended
        assert listed.get(status="PENDING,OPEN,PARTIALLY_FILLED", **limits) == still_open
        assert listed.get(status=ENDED, **limits) == ended
        assert listed.get(status="PARTIALLY_FILLED", **limits) == ["partial"]
        assert listed.get(status="OPEN", **limits) == ["late", "stop", "resting"]
        assert listed.get(status="OPEN,OPEN,CANCELLED", **limits) == [
            *("late", "stop", "cancelled", "resting")
        ]
        assert listed.get(status="FILLED,OPEN", open="true", **limits) == [
            *("late", "stop", "resting")
        ]
        assert listed.get(status="FILLED,OPEN", open="false", **limits) == ["taker", "done"]
        assert listed.get(status="FILLED", open="true", **limits) == []
    assert listed.get(open="true", userId=listed.user, asset=new_asset()) == []


def test_an_order_is_open_before_it_is_decided(stalled: Service) -> None:
    placed = stalled.client.post("/orders", json=order())
    stalled.market.order_view.process_batch("Orders")
    for query in ("open=true", "status=PENDING", "open=true&userId=user123"):
        page = stalled.client.get(f"/orders?{query}").json
        assert page == {"orders": [placed.json], "nextCursor": None}


def test_a_status_that_there_is_not_is_told_with_those_that_there_are(service: Service) -> None:
    refused = service.client.get("/orders?status=OPEN,DONE")
    assert refused.status_code == 400
    assert refused.json["errors"] == [
        {
            "field": "status",
            "message": "Status must be PENDING, OPEN, PARTIALLY_FILLED, FILLED, CANCELLED, REJECTED"
            " or EXPIRED, or several of them with commas between",
        }
    ]


def test_an_order_is_found_by_its_client_order_id(service: Service) -> None:
    listed = Listed(service)
    listed.place("a", price=10)
    listed.place("b", price=10)
    key = {"userId": listed.user, "asset": listed.asset, "clientOrderId": "a"}
    assert listed.get(**key) == ["a"]
    assert listed.get(**key, open="true", status="OPEN", since="2024-01-01T00:00:00Z") == ["a"]
    for nothing in (
        {"clientOrderId": "c"},
        {"userId": new_asset()},
        {"asset": new_asset()},
        {"open": "false"},
        {"status": "FILLED,PENDING"},
        {"until": "2024-01-01T00:00:00Z"},
        {"since": "2999-01-01T00:00:00Z"},
        {"cursor": encode(Token.ORDERS_CURSOR, 1)},
    ):
        assert listed.get(**{**key, **nothing}) == []


def test_an_order_is_found_by_its_client_order_id_as_soon_as_it_is_acknowledged(
    stalled: Service,
) -> None:
    placed = stalled.client.post("/orders", json=order(clientOrderId="a"))
    query = "/orders?userId=user123&asset=BTC-USD&clientOrderId=a"
    assert stalled.client.get(query).json == {"orders": [placed.json], "nextCursor": None}
    assert stalled.client.get(f"{query}&open=false").json["orders"] == []
    assert stalled.client.get("/orders?userId=user123").json["orders"] == []


def test_times_limit_the_list_exactly(stalled: Service) -> None:
    now = [NOON]
    client = stalled.client_with(clock=lambda: now[0])
    ids = []
    for offset in (0, 1, 1.000001, 0.2, 2, 3):  # the fourth is of a host whose clock is late
        now[0] = NOON + timedelta(seconds=offset)
        ids.append(client.post("/orders", json=order()).json["orderId"])
    stalled.follow()

    def found(**query: str) -> list[int]:
        numbers: list[int] = []
        cursor: dict[str, str] = {}
        while True:
            page = client.get("/orders", query_string={"limit": 2, **query, **cursor}).json
            numbers += [ids.index(each["orderId"]) for each in page["orders"]]
            if page["nextCursor"] is None:
                return numbers
            cursor = {"cursor": page["nextCursor"]}

    for limits in ({}, {"userId": "user123"}, {"asset": "BTC-USD"}, {"open": "true"}):
        assert found(**limits, since="2024-02-09T12:00:01Z") == [5, 4, 2, 1]
        assert found(**limits, since="2024-02-09T12:00:01.000001Z") == [5, 4, 2]
        assert found(**limits, until="2024-02-09T12:00:01Z") == [3, 0]
        assert found(**limits, until="2024-02-09T13:00:01.000001+01:00") == [3, 1, 0]
        assert found(**limits, since="2024-02-09T12:00:00.2Z", until="2024-02-09T12:00:03Z") == [
            4,
            3,
            2,
            1,
        ]
        assert found(**limits, since="2024-02-09T12:00:03Z", until="2024-02-09T12:00:03Z") == []
        assert found(**limits, since="2024-02-09T12:00:03Z", until="2024-02-09T12:00:01Z") == []
        assert found(**limits, since="2024-02-09T12:00:03.5Z") == []
        assert found(**limits, until="9999-12-31T23:59:59.999999Z") == [5, 4, 3, 2, 1, 0]


def test_a_cursor_beyond_all_positions_brings_the_newest(service: Service) -> None:
    asset = new_asset()
    placed = service.client.post("/orders", json=order(asset=asset), headers=WAIT)
    cursor = encode(Token.ORDERS_CURSOR, 10**19 - 1)
    page = service.client.get(f"/orders?asset={asset}&cursor={cursor}", headers=shown(placed))
    assert page.status_code == 200
    assert [each["orderId"] for each in page.json["orders"]] == [placed.json["orderId"]]


def test_an_order_that_trades_while_pages_are_read_is_on_one_of_them(service: Service) -> None:
    """Thirty orders are traded with all the time, while others come and go; none of them ends."""
    user, assets = new_asset(), [new_asset() for _ in range(30)]
    lasting = [order(userId=user, asset=asset, quantity=100_000) for asset in assets]
    placed = service.client.post("/orders/batch", json={"orders": lasting})
    ids = {result["order"]["orderId"] for result in placed.json["results"]}
    ending = threading.Event()

    def trade() -> None:
        chance, client = random.Random(1), service.another_client()
        while not ending.is_set():
            asset = chance.choice(assets)
            client.post("/orders", json=order(asset=asset, type="SELL", userId=user, quantity=1))
            client.post("/orders", json=order(asset=asset, userId=user, price=99, quantity=1))
            client.delete(f"/orders?userId={user}&asset={new_asset()}")

    trader = threading.Thread(target=trade, name="trader")
    trader.start()
    try:
        statuses = set()
        for _ in range(15):
            seen, cursor = [], ""
            while True:
                query = f"/orders?userId={user}&open=true&limit=4{cursor}"
                page = service.client.get(query, headers=shown(placed)).json
                seen += [each["orderId"] for each in page["orders"]]
                statuses |= {each["status"] for each in page["orders"] if each["orderId"] in ids}
                if page["nextCursor"] is None:
                    break
                cursor = f"&cursor={page['nextCursor']}"
            assert len(seen) == len(set(seen))
            assert ids <= set(seen)
    finally:
        ending.set()
        trader.join()
    assert "PARTIALLY_FILLED" in statuses


def test_what_an_order_has_cost_is_exact_wherever_it_is_shown(service: Service) -> None:
    asset = new_asset()
    client = service.client
    for price, quantity in (("0.00000003", 1_000_000), ("0.00000004", 4_000_000)):
        sell = order(asset=asset, type="SELL", price=price, quantity=quantity)
        assert client.post("/orders", json=sell, headers=WAIT).status_code == 201
    market = {"price": None, "quantity": None, "orderType": "MARKET", "quoteQuantity": "0.05"}
    bought = client.post("/orders", json=order(asset=asset, **market), headers=WAIT)
    shown_now = exact(bought)
    assert shown_now["filledQuantity"] == "1500000"
    assert shown_now["filledNotional"] == "0.05"
    assert shown_now["averagePrice"] == "0.00000003"
    path = f"/orders/{shown_now['orderId']}"
    assert exact(client.get(path, headers=shown(bought))) == shown_now
    [listed] = exact(client.get(f"/orders?asset={asset}&status=FILLED&limit=1"))["orders"]
    assert listed == shown_now
    dust = order(asset=asset, price="0.00000004", quantity="0.00000001", clientOrderId="dust")
    for headers in (WAIT, {}):  # placed, and asked again
        answer = client.post("/orders", json=dust, headers=headers)
        assert exact(answer)["filledNotional"] == "0.0000000000000004"
    [result] = exact(client.post("/orders/batch", json={"orders": [dust]}))["results"]
    assert result["order"]["filledNotional"] == "0.0000000000000004"


def test_the_largest_sum_is_written_out(service: Service) -> None:
    asset, most = new_asset(), 10_000_000_000
    client = service.client
    for side in ("SELL", "BUY"):
        both = [
            order(asset=asset, type=side, price=most, quantity=quantity)
            for quantity in (most, "9999999999.99999999")
        ]
        placed = client.post("/orders/batch", json={"orders": both})
    first, second = (result["order"]["orderId"] for result in placed.json["results"])
    notionals = [
        exact(client.get(f"/orders/{each}", headers=shown(placed)))["filledNotional"]
        for each in (first, second)
    ]
    assert notionals == ["100000000000000000000", "99999999999999999900"]
