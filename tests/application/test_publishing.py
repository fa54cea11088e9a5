"""What leaves the market: topics, keys, types and values, exactly."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from application.messages import message, sentence
from application.publishing import FEEDS, Publication
from domain.errors import CancelReason, RejectReason
from domain.order import Order
from domain.order_book import OrderBook
from domain.outcomes import arrivals
from domain.values import UNITS_PER_ONE, OrderType, Side, TimeInForce, to_units
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
        '"orderType":"LIMIT","timeInForce":"GTC","clientOrderId":null,"postOnly":false,'
        '"stopPrice":null,"takeProfit":false,"displayQuantity":null,"expiresAt":null,'
        '"selfTradePrevention":"NONE","quoteQuantity":null}'
    )
    assert of_orders(placed) == [
        Publication("7", "orders.events", "BTC-USD", "order.placed.v2", seconds(1), value.encode())
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
        f'"commandPosition":20,"expired":[],"leaving":0,"continues":false,'
        f'"userId":"bob","orderId":"{taker}","side":"BUY",'
        '"price":0.000002,"quantity":0.00000004,'
        f'"trades":[{{"tradeId":1,"makerOrderId":"{maker}",'
        '"makerUserId":"alice","price":0.000001,"quantity":0.00000004,'
        '"makerRemaining":0.00000006,"refill":0}],"prevented":[],"rested":0,"shown":0,'
        '"lowered":0,"waits":false,"conditions":null,"reason":null,"reasonText":null,'
        '"triggered":[],"queued":null,"unfinished":false}'
    )
    executed = (
        '{"asset":"BTC-USD","executedAt":"2024-02-09T12:00:02Z","trades":[{"tradeId":1,'
        f'"price":0.000001,"quantity":0.00000004,"makerOrderId":"{maker}",'
        f'"takerOrderId":"{taker}","takerSide":"BUY"}}]}}'
    )
    time = seconds(2)
    assert of_matching(matched) == [
        Publication("7", "book.events", "BTC-USD", "book.matched.v3", time, decided.encode()),
        Publication("7-trades", "trades", "BTC-USD", "trades.executed.v2", time, executed.encode()),
    ]


def test_an_amended_order_that_trades_is_the_taker_of_its_trades() -> None:
    day = Day()
    day.sell("a", 10, 100)
    day.buy("b", 4, 90)
    [replaced] = day.amend("b", price=100)
    decision, trades = of_matching(replaced)
    assert (decision.type, trades.type) == ("book.replaced.v3", "trades.executed.v2")
    [trade] = json.loads(trades.value)["trades"]
    assert (trade["takerOrderId"], trade["takerSide"]) == (str(order_id("b")), Side.BUY)


def test_the_trades_of_a_cascade_are_one_message_and_each_names_its_taker() -> None:
    day = Day()
    day.sell("a", 1, 100)
    day.sell("b", 2, 101)
    day.sell("c", 3, 102)
    day.buy("stop", 2, None, order_type=OrderType.STOP, stop_price=100)
    [matched] = day.buy("d", 1, 100)
    decision, trades = of_matching(matched)
    told = json.loads(trades.value)["trades"]
    assert [trade["tradeId"] for trade in told] == [1, 2]
    assert [trade["takerOrderId"] for trade in told] == [str(order_id("d")), str(order_id("stop"))]
    [triggered] = json.loads(decision.value)["triggered"]
    assert triggered["orderId"] == str(order_id("stop"))
    assert [trade["makerRemaining"] for trade in triggered["trades"]] == [0]


def test_a_stop_that_trades_at_once_is_the_only_taker() -> None:
    day = Day()
    day.sell("a", 5, 100)
    day.buy("b", 1, 100)
    [matched] = day.buy("stop", 2, None, order_type=OrderType.STOP, stop_price=90)
    decision, trades = of_matching(matched)
    assert json.loads(decision.value)["trades"] == []
    [trade] = json.loads(trades.value)["trades"]
    assert (trade["takerOrderId"], trade["takerSide"]) == (str(order_id("stop")), Side.BUY)


def test_all_trades_are_published_once_in_their_order() -> None:
    for day in (eventful_day(), long_day(1)):
        ids = [
            trade["tradeId"]
            for event in day.events
            for published in of_matching(event)[1:]
            for trade in json.loads(published.value)["trades"]
        ]
        assert ids == list(range(1, day.book.last_trade_id + 1))


def test_a_rule_says_what_it_allows() -> None:
    day = Day()
    day.set_rules(tick_size=50_000_000)
    [refused] = day.sell("a", 1, 1)
    told = json.loads(of_matching(refused)[0].value)
    assert (told["reason"], told["limit"]) == ("TICK_SIZE", 0.5)
    assert told["reasonText"] == "The price must be a multiple of the tick size, 0.5"
    _, rejected = day.orders_log[-1]
    told = json.loads(of_orders(rejected)[0].value)
    assert told["reasonText"] == "The price must be a multiple of the tick size, 0.5"


def test_a_trigger_that_a_rule_forbids_says_which() -> None:
    day = Day()
    day.sell("a", 1, 100)
    day.sell("b", 5, 101)
    terms = {"order_type": OrderType.STOP_LIMIT, "stop_price": 100, "post_only": True}
    day.buy("stop", 2, 110, **terms)
    [matched] = day.buy("c", 1, 100)
    [triggered] = json.loads(of_matching(matched)[0].value)["triggered"]
    [event] = [event for _, event in day.orders_log if isinstance(event, Order.Triggered)]
    [published] = of_orders(event)
    assert published.type == "order.triggered.v1"
    for told in (triggered, json.loads(published.value)):
        assert (told["reason"], told["rejection"]) == (None, "POST_ONLY_WOULD_TAKE")
        assert told["limit"] is None
        assert told["reasonText"] == "The order is post-only, and would take"


def test_sentences() -> None:
    assert sentence(None) is None
    assert sentence(CancelReason.USER_REQUEST) == "The user cancelled the order"
    assert sentence(RejectReason.LOT_SIZE, 1).endswith("lot size, 0.00000001")  # type: ignore[union-attr]
    for reason in RejectReason:
        assert "{" not in str(sentence(reason, 4_500_000_000_000))
        assert ("45000" in str(sentence(reason, 4_500_000_000_000))) == ("{" in reason.sentence)


def test_what_other_things_look_like() -> None:
    day = Day()
    day.set_rules(band_percent=1_050_000_000, session_end=65, min_notional=5_000_000)
    _, request = day.orders_log[-1]
    told = json.loads(of_orders(request)[0].value, parse_float=Decimal)["instrument"]
    assert told == {
        "tickSize": Decimal("0.00000001"),
        "lotSize": Decimal("0.00000001"),
        "minQuantity": None,
        "maxQuantity": None,
        "minNotional": Decimal("0.05"),
        "minPrice": None,
        "maxPrice": None,
        "bandPercent": Decimal("10.5"),
        "sessionEnd": "01:05",
        "status": "TRADING",
        "limits": {
            "maxOpenOrders": None,
            "maxOpenStopsPerUser": None,
            "maxOpenStops": None,
            "maxSlices": None,
            "maxEventParts": None,
        },
    }
    gtd = {"time_in_force": TimeInForce.GTD, "expires_at": seconds(3)}
    [matched] = day.buy("a", 10 * UNITS_PER_ONE, 2 * UNITS_PER_ONE, **gtd)
    told = json.loads(of_matching(matched)[0].value)
    assert told["conditions"] == {
        "orderType": "LIMIT",
        "timeInForce": "GTD",
        "postOnly": False,
        "selfTradePrevention": "NONE",
        "displayQuantity": None,
        "expiresAt": "2024-02-09T12:00:03Z",
        "stopPrice": None,
        "takeProfit": False,
    }
    [expired] = day.pass_time(seconds(3))
    told = json.loads(of_matching(expired)[0].value)
    assert told["expired"] == [
        {
            "orderId": str(order_id("a")),
            "userId": "user",
            "side": "BUY",
            "price": 2,
            "remaining": 10,
            "shown": 10,
            "reason": "TIME_EXPIRED",
        }
    ]


def test_what_is_asked_of_all_assets_is_in_every_partition() -> None:
    """And what the venue made of it in one."""
    day = Day()
    day.let_in("mallory", suspended=True)
    day.set_default(tick_size=2)
    assert [of_orders(event)[0].key for _, event in day.orders_log] == [None, None]
    of_venue = [of_matching(event) for _, event in day.matching_log[1:]]
    assert [
        [(each.topic, each.key, each.type) for each in published] for published in of_venue
    ] == [
        [("book.events", "*", "venue.opened.v1")],
        [("book.events", "*", "venue.user_changed.v1")],
        [("book.events", "*", "venue.default_changed.v2")],
    ]


def test_a_decision_without_trades_is_one_message() -> None:
    day = eventful_day()
    quiet = [
        event
        for _, event in day.matching_log
        if not any(arrival.fills for arrival in arrivals(event))
    ]
    assert {type(event) for event in quiet} > {OrderBook.Created, OrderBook.Refused}
    for event in quiet:
        [published] = of_matching(event)
        assert published.topic == "book.events"


def test_each_event_goes_to_topics_of_its_feed_under_its_asset() -> None:
    day = eventful_day()
    for name, log in (("Orders", day.orders_log), ("Matching", day.matching_log)):
        feed = FEEDS[name]
        published = [each for entry in log for each in feed.publications(*entry)]
        assert {each.topic for each in published} == set(feed.topics)
        assert {each.key for each in published} == {"BTC-USD", None if name == "Orders" else "*"}


@pytest.mark.parametrize("day", [eventful_day(), *[long_day(seed) for seed in range(4)]])
def test_the_book_is_rebuilt_as_the_page_about_messages_says(day: Day) -> None:
    page = Path(__file__).parents[2] / "docs" / "messages.md"
    [code] = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    told: dict[str, Any] = {}
    book: Any = None

    def side(wanted: Side, sign: int) -> list[tuple[object, ...]]:
        leaving = {str(gone.order_id) for gone in book.floor.departing}
        found = [
            (each, order)
            for each, order in told.items()
            if order["side"] == wanted and each not in leaving
        ]
        found.sort(key=lambda pair: sign * pair[1]["price"])
        return [
            (each, *[to_units(Decimal(order[name])) for name in ("price", "shown", "remaining")])
            for each, order in found
        ]

    for _, event in day.matching_log:
        published, *_ = of_matching(event)
        names["apply"](told, published.type, json.loads(published.value, parse_float=Decimal))
        if isinstance(event, OrderBook.Event | OrderBook.Created):
            book = event.mutate(book)
        for wanted, sign in ((Side.BUY, -1), (Side.SELL, 1)):
            assert side(wanted, sign) == [
                (str(order.order_id), order.price, order.shown, order.remaining)
                for order in book.book.walk(wanted)
            ]
    assert told
