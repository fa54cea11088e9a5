"""GET /orders, /books and /trades: filters, pages, depth, and the past."""

from typing import Any

import pytest

from tests.http.support import WAIT, Service, exact, new_asset, order, shown


def place(service: Service, **fields: object) -> dict[str, Any]:
    placed = service.client.post("/orders", json=order(**fields), headers=WAIT)
    assert placed.status_code == 201
    return {**placed.json, "shown": shown(placed)}


def ids(page: dict[str, Any]) -> list[str]:
    return [row["orderId"] for row in page["orders"]]


def test_orders_are_listed_newest_first_as_each_one_is_read(service: Service) -> None:
    asset = new_asset()
    first, second = place(service, asset=asset), place(service, asset=asset, type="SELL")
    page = service.client.get(f"/orders?asset={asset}", headers=second["shown"]).json
    assert list(page) == ["orders", "nextCursor"]
    assert ids(page) == [second["orderId"], first["orderId"]]
    assert page["nextCursor"] is None
    for row in page["orders"]:
        assert service.client.get(f"/orders/{row['orderId']}").json == row


def test_filters_narrow_the_list_together(service: Service) -> None:
    asset, user = new_asset(), new_asset()
    mine = place(service, asset=asset, userId=user)
    place(service, asset=asset)
    place(service, userId=user, asset=new_asset())
    filled = place(service, asset=asset, userId=user, type="SELL")
    get = service.client.get
    query = f"/orders?asset={asset}&userId={user}"
    assert ids(get(query, headers=filled["shown"]).json) == [filled["orderId"], mine["orderId"]]
    assert ids(get(f"{query}&status=FILLED").json) == [filled["orderId"], mine["orderId"]]
    assert ids(get(f"{query}&status=OPEN").json) == []
    assert get(f"/orders?userId={new_asset()}").json == {"orders": [], "nextCursor": None}


def test_pages_stay_as_they_are_while_new_orders_arrive(service: Service) -> None:
    asset = new_asset()
    placed = [place(service, asset=asset) for _ in range(7)]
    expected = [one["orderId"] for one in reversed(placed)]
    query, seen = f"/orders?asset={asset}&limit=3", []
    page = service.client.get(query, headers=placed[-1]["shown"]).json
    while True:
        assert len(page["orders"]) <= 3
        seen += ids(page)
        if page["nextCursor"] is None:
            break
        newcomer = place(service, asset=asset)
        cursor = page["nextCursor"]
        page = service.client.get(f"{query}&cursor={cursor}", headers=newcomer["shown"]).json
    assert seen == expected


def test_a_last_page_that_is_full_has_no_cursor(service: Service) -> None:
    asset = new_asset()
    place(service, asset=asset)
    last = place(service, asset=asset)
    page = service.client.get(f"/orders?asset={asset}&limit=2", headers=last["shown"]).json
    assert len(page["orders"]) == 2
    assert page["nextCursor"] is None


def test_a_book_has_its_levels_best_first(service: Service) -> None:
    asset = new_asset()
    for side, price, quantity in (
        ("BUY", 99, "0.1"),
        ("BUY", 100, "0.1"),
        ("BUY", 100, "0.2"),
        ("SELL", "101.5", 1),
        ("SELL", 102, 2),
    ):
        last = place(service, asset=asset, type=side, price=price, quantity=quantity)
    book = service.client.get(f"/books/{asset}", headers=last["shown"])
    assert book.text == (
        f'{{"asset":"{asset}","version":5,'
        '"bids":[{"price":100,"quantity":0.3,"orders":2},{"price":99,"quantity":0.1,"orders":1}],'
        '"asks":[{"price":101.5,"quantity":1,"orders":1},{"price":102,"quantity":2,"orders":1}]}'
    )
    top = service.client.get(f"/books/{asset}?depth=1&level=2").json
    assert [level["price"] for level in top["bids"] + top["asks"]] == [100, 101.5]


def test_a_book_has_a_hundred_levels_unless_told(service: Service) -> None:
    asset = new_asset()
    orders = [order(asset=asset, price=price) for price in range(1, 151)]
    placed = service.client.post("/orders/batch", json={"orders": orders})
    get = service.client.get
    assert len(get(f"/books/{asset}", headers=shown(placed)).json["bids"]) == 100
    assert len(get(f"/books/{asset}?depth=149").json["bids"]) == 149
    assert len(get(f"/books/{asset}?version=150").json["bids"]) == 100
    assert len(get(f"/books/{asset}?level=3").json["bids"]) == 150
    assert len(get(f"/books/{asset}?level=3&version=150").json["bids"]) == 150
    assert len(get(f"/books/{asset}?level=3&depth=2").json["bids"]) == 2


def test_a_book_by_orders_has_them_in_priority(service: Service) -> None:
    asset = new_asset()
    later = place(service, asset=asset, price=99)
    first = place(service, asset=asset, price=100, quantity=5)
    second = place(service, asset=asset, price=100, quantity=7)
    place(service, asset=asset, price=100, type="SELL", quantity=2)
    ask = place(service, asset=asset, price=101, type="SELL")
    book = service.client.get(f"/books/{asset}?level=3", headers=ask["shown"]).json
    assert book == {
        "asset": asset,
        "version": 5,
        "bids": [
            {"orderId": first["orderId"], "price": 100, "quantity": 3},
            {"orderId": second["orderId"], "price": 100, "quantity": 7},
            {"orderId": later["orderId"], "price": 99, "quantity": 1},
        ],
        "asks": [{"orderId": ask["orderId"], "price": 101, "quantity": 1}],
    }


@pytest.mark.parametrize("level", [2, 3])
def test_every_past_of_a_book_can_be_had(service: Service, level: int) -> None:
    asset = new_asset()
    past = [{"asset": asset, "version": 0, "bids": [], "asks": []}]
    for fields in (
        {"price": 100, "quantity": 3},
        {"price": 99},
        {"price": 100, "type": "SELL", "quantity": 2},
        {"price": 98, "type": "SELL", "quantity": 5},
    ):
        placed = place(service, asset=asset, **fields)
        query = f"/books/{asset}?level={level}"
        past.append(service.client.get(query, headers=placed["shown"]).json)
    assert [book["version"] for book in past] == [0, 1, 2, 3, 4]
    for version, book in enumerate(past):
        query = f"/books/{asset}?level={level}&version={version}"
        assert service.client.get(query).json == book
    beyond = service.client.get(f"/books/{asset}?version=5")
    assert beyond.status_code == 404
    assert beyond.json["detail"] == f"The book of {asset} has no version 5"


def test_an_asset_that_nobody_traded_has_an_empty_book(service: Service) -> None:
    asset = new_asset()
    empty = {"asset": asset, "version": 0, "bids": [], "asks": []}
    for query in ("", "?level=3", "?version=0", "?level=3&version=0"):
        book = service.client.get(f"/books/{asset}{query}")
        assert book.status_code == 200
        assert book.json == empty
    assert service.client.get(f"/books/{asset}?version=1").status_code == 404


def test_trades_are_numbered_by_asset_and_print_at_the_makers_price(service: Service) -> None:
    asset = new_asset()
    makers = [place(service, asset=asset, type="SELL", price=p) for p in ("100.5", "100.25")]
    taker = place(service, asset=asset, price=101, quantity=2)
    trades = service.client.get(f"/trades?asset={asset}", headers=taker["shown"])
    executed_at = taker["createdAt"]
    assert exact(trades) == {
        "trades": [
            {
                "tradeId": str(number),
                "asset": asset,
                "price": price,
                "quantity": "1",
                "makerOrderId": maker["orderId"],
                "takerOrderId": taker["orderId"],
                "takerSide": "BUY",
                "executedAt": executed_at,
            }
            for number, price, maker in ((2, "100.5", makers[0]), (1, "100.25", makers[1]))
        ],
        "nextCursor": None,
    }


def test_trades_of_an_order_are_those_of_either_side(service: Service) -> None:
    asset = new_asset()
    maker = place(service, asset=asset, quantity=2)
    takers = [place(service, asset=asset, type="SELL") for _ in range(2)]
    last = takers[-1]["shown"]
    get = service.client.get
    of_maker = get(f"/trades?orderId={maker['orderId']}", headers=last).json["trades"]
    assert [trade["tradeId"] for trade in of_maker] == [2, 1]
    of_taker = get(f"/trades?orderId={takers[0]['orderId']}&asset={asset}").json["trades"]
    assert [trade["tradeId"] for trade in of_taker] == [1]
    assert get(f"/trades?orderId={takers[0]['orderId']}&asset=OTHER").json["trades"] == []


def test_trades_come_in_pages(service: Service) -> None:
    asset = new_asset()
    sells = [order(asset=asset, type="SELL") for _ in range(5)]
    service.client.post("/orders/batch", json={"orders": sells})
    taker = place(service, asset=asset, quantity=5)  # five trades of one command
    query, seen = f"/trades?asset={asset}&limit=2", []
    page = service.client.get(query, headers=taker["shown"]).json
    while page["nextCursor"]:
        seen += [trade["tradeId"] for trade in page["trades"]]
        page = service.client.get(f"{query}&cursor={page['nextCursor']}").json
    seen += [trade["tradeId"] for trade in page["trades"]]
    assert seen == [5, 4, 3, 2, 1]
