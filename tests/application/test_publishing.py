"""What leaves the market: topics, keys, types and values, exactly."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from application.messages import message
from application.publishing import FEEDS, Publication
from application.views.books import resting_of
from domain.order_book import OrderBook
from domain.values import Side, to_units
from tests.application.day import Day, eventful_day, long_day
from tests.domain.support import order_id, seconds


def of_orders(event: Any) -> list[Publication]:
    return list(FEEDS["Orders"].publications(7, event))


def of_matching(event: Any) -> list[Publication]:
    return list(FEEDS["Matching"].publications(7, event))


def test_an_order_that_was_placed() -> None:
    day = Day()
    day.buy("a", 150_000_000, 4_500_000_000_001, user="alice")
    (_, placed), *_ = day.orders_log
    value = (
        f'{{"occurredAt":"2024-02-09T12:00:01Z","orderId":"{order_id("a")}","userId":"alice",'
        '"asset":"BTC-USD","side":"BUY","price":45000.00000001,"quantity":1.5,'
        '"orderType":"LIMIT","timeInForce":"GTC","clientOrderId":null}'
    )
    assert of_orders(placed) == [
        Publication("7", "orders.events", "BTC-USD", "order.placed.v1", seconds(1), value.encode())
    ]


def test_what_became_of_an_order_tells_its_place_in_the_order_s_story() -> None:
    day = Day()
    day.buy("a", 5, 100)
    _, (_, opened) = day.orders_log
    [published] = of_orders(opened)
    assert published.type == "order.opened.v1"
    assert json.loads(published.value)["orderVersion"] == 2
    assert "orderVersion" not in message(opened)  # an audit trail numbers by itself


def test_a_decision_that_traded_and_its_trades() -> None:
    day = Day()
    day.sell("a", 10, 100, user="alice")
    [matched] = day.buy("b", 4, 200, user="bob")
    maker, taker = order_id("a"), order_id("b")
    decided = (
        '{"occurredAt":"2024-02-09T12:00:02Z","asset":"BTC-USD","bookVersion":2,'
        f'"commandPosition":20,"orderId":"{taker}","userId":"bob","side":"BUY","price":0.000002,'
        f'"quantity":0.00000004,"trades":[{{"tradeId":1,"makerOrderId":"{maker}",'
        '"makerUserId":"alice","price":0.000001,"quantity":0.00000004,'
        '"makerRemaining":0.00000006}],"rested":0,"reason":null,"reasonText":null}'
    )
    executed = (
        f'{{"asset":"BTC-USD","takerOrderId":"{taker}","takerSide":"BUY",'
        '"executedAt":"2024-02-09T12:00:02Z","trades":[{"tradeId":1,"price":0.000001,'
        f'"quantity":0.00000004,"makerOrderId":"{maker}"}}]}}'
    )
    time = seconds(2)
    assert of_matching(matched) == [
        Publication("7", "book.events", "BTC-USD", "book.matched.v1", time, decided.encode()),
        Publication("7-trades", "trades", "BTC-USD", "trades.executed.v1", time, executed.encode()),
    ]


def test_an_amended_order_that_trades_is_the_taker_of_its_trades() -> None:
    day = Day()
    day.sell("a", 10, 100)
    day.buy("b", 4, 90)
    [replaced] = day.amend("b", price=100)
    decision, trades = of_matching(replaced)
    assert (decision.type, trades.type) == ("book.replaced.v1", "trades.executed.v1")
    assert json.loads(trades.value)["takerOrderId"] == str(order_id("b"))
    assert json.loads(trades.value)["takerSide"] == Side.BUY


def test_a_decision_without_trades_is_one_message() -> None:
    day = eventful_day()
    quiet = [event for event in day.events if not getattr(event, "fills", ())]
    assert {type(event) for event in quiet} > {OrderBook.Created, OrderBook.Refused}
    for event in quiet:
        [published] = of_matching(event)
        assert published.topic == "book.events"


def test_each_event_goes_to_topics_of_its_feed_under_its_asset() -> None:
    day = eventful_day()
    for name, log in (("Orders", day.orders_log), ("Matching", day.book_log)):
        feed = FEEDS[name]
        published = [each for entry in log for each in feed.publications(*entry)]
        assert {each.topic for each in published} == set(feed.topics)
        assert {each.key for each in published} == {"BTC-USD"}


@pytest.mark.parametrize("day", [eventful_day(), *[long_day(seed) for seed in range(4)]])
def test_the_book_is_rebuilt_as_the_page_about_messages_says(day: Day) -> None:
    page = Path(__file__).parents[2] / "docs" / "messages.md"
    [code] = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    book: dict[str, Any] = {}
    for event in day.events:
        published, *_ = of_matching(event)
        names["apply"](book, published.type, json.loads(published.value, parse_float=Decimal))

    def side(wanted: Side, sign: int) -> list[tuple[str, int, int]]:
        found = [(each, order) for each, order in book.items() if order["side"] == wanted]
        found.sort(key=lambda pair: sign * pair[1]["price"])
        return [
            (each, to_units(Decimal(order["price"])), to_units(Decimal(order["quantity"])))
            for each, order in found
        ]

    expected = resting_of(day.book, None)
    assert side(Side.BUY, -1) == [
        (str(row.order_id), row.price, row.quantity) for row in expected.bids
    ]
    assert side(Side.SELL, 1) == [
        (str(row.order_id), row.price, row.quantity) for row in expected.asks
    ]
    assert expected.bids or expected.asks
