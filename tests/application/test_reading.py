"""Events that come back from their messages are those that went out."""

import json
from itertools import chain
from typing import Any
from uuid import UUID

import pytest

from application.matching import decide
from application.messages import TYPES, content
from application.persistence.log import Entry
from application.publishing import FEEDS, Publication, versioned
from application.reading import NotAMessage, event_of
from application.views.books import BookViewRecorder
from application.views.orders import OrderViewRecorder
from application.views.trades import TradeViewRecorder
from domain.order_book import OrderBook
from domain.values import book_id
from tests.application.day import Day, eventful_day, long_day
from tests.domain.support import state

DAYS = [eventful_day(), *[long_day(seed) for seed in range(4)]]


def published(event: Any) -> Publication:
    """The message of the event itself, whichever log it is of."""
    feed = FEEDS[
        "Matching" if isinstance(event, OrderBook.Decided | OrderBook.Created) else "Orders"
    ]
    return feed.publications(1, event)[0]


def back(event: Any) -> Any:
    message = published(event)
    return event_of(message.type, message.value)


def read_back(entries: list[Entry]) -> list[Entry]:
    return [(position, back(event)) for position, event in entries]


def rows(view: type[Any], entries: list[Entry]) -> Any:
    return object.__new__(view).changes(entries)


def test_the_days_have_every_type_of_event() -> None:
    entries = chain(*[day.orders_log + day.book_log for day in DAYS])
    assert {type(event) for _, event in entries} == set(TYPES)


@pytest.mark.parametrize("day", DAYS)
def test_an_event_comes_back_whole(day: Day) -> None:
    for _, event in day.orders_log + day.book_log:
        assert back(event) == event
        assert type(back(event)) is type(event)
        assert vars(back(event)) == vars(event)
        assert repr(back(event)) == repr(event)  # a member of an enumeration equals its value


@pytest.mark.parametrize("day", DAYS)
def test_its_message_is_then_the_same_again(day: Day) -> None:
    for _, event in day.orders_log + day.book_log:
        assert published(back(event)) == published(event)


@pytest.mark.parametrize("day", DAYS)
def test_the_views_make_the_same_rows(day: Day) -> None:
    books, orders = day.book_log, day.orders_log
    assert rows(BookViewRecorder, read_back(books)) == rows(BookViewRecorder, books)
    assert rows(TradeViewRecorder, read_back(books)) == rows(TradeViewRecorder, books)
    assert rows(OrderViewRecorder, read_back(orders)) == rows(OrderViewRecorder, orders)


@pytest.mark.parametrize("day", DAYS[1:])
def test_matching_decides_the_same(day: Day) -> None:
    opened, *decided = day.events
    book = back(opened).mutate(None)
    for position, command in read_back(day.commands_log):
        decide(book, position, command)
    assert book.collect_events() == decided


@pytest.mark.parametrize("day", DAYS)
def test_a_book_is_rebuilt_from_the_messages_of_its_own_log(day: Day) -> None:
    book: Any = None
    for _, event in read_back(day.book_log):
        book = event.mutate(book)
    assert state(book) == state(day.book)


def test_the_book_of_another_asset_is_another_one() -> None:
    opened = OrderBook.open("ETH-USD", DAYS[0].time).collect_events()[0]
    assert back(opened).originator_id == book_id("ETH-USD") != DAYS[0].book.id


# What is not such a message.

PLACED = published(DAYS[0].orders_log[0][1])
MATCHED = published(DAYS[0].events[2])


def without(message: Publication, field: str) -> bytes:
    value = json.loads(message.value)
    del value[field]
    return json.dumps(value).encode()


def changed(message: Publication, **fields: Any) -> bytes:
    return json.dumps({**json.loads(message.value), **fields}).encode()


@pytest.mark.parametrize(
    "message_type",
    ["", "order.placed", "order.placed.v2", "order.decided.v1", "trades.executed.v1", "book"],
)
def test_a_type_that_no_event_has_is_refused(message_type: str) -> None:
    with pytest.raises(NotAMessage, match="is not the type of an event"):
        event_of(message_type, PLACED.value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        PLACED.value[:-1],
        PLACED.value + b"}",
        PLACED.value.replace(b'"alice"', b'"\xff"'),
        PLACED.value.replace(b"45000", b"[" * 100_000 + b"]" * 100_000),
    ],
)
def test_what_is_not_a_json_object_with_its_fields_is_refused(value: bytes) -> None:
    with pytest.raises(NotAMessage, match=r"order\.placed\.v1 can't be read: "):
        event_of(PLACED.type, value)


@pytest.mark.parametrize("message", [PLACED, MATCHED], ids=["placed", "matched"])
def test_each_field_is_needed(message: Publication) -> None:
    for field in json.loads(message.value):
        with pytest.raises(NotAMessage, match=f"missing required field `{field}`"):
            event_of(message.type, without(message, field))


@pytest.mark.parametrize(
    "wrong",
    [
        {"surprise": 1},
        {"orderId": "x"},
        {"orderId": None},
        {"userId": 1},
        {"side": "HOLD"},
        {"occurredAt": "2024-02-09T12:00:00"},
        {"occurredAt": 1},
    ],
    ids=str,
)
def test_a_wrong_field_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(NotAMessage):
        event_of(PLACED.type, changed(PLACED, **wrong))


@pytest.mark.parametrize(
    "amount",
    [
        *[
            "-1",
            "-0",
            "-0.5",
            "1e2",
            "1E-2",
            "1.5e3",
            '"1"',
            '"1.5"',
            "null",
            "true",
            "[1]",
            "[1.5]",
        ],
        *["0.000000001", "10000000001", "10000000000.00000001", "9" * 5_000, "NaN", "1_0"],
    ],
)
def test_an_amount_that_is_not_exactly_one_is_refused(amount: str) -> None:
    value = PLACED.value.replace(b'"price":45000', f'"price":{amount}'.encode())
    assert value != PLACED.value
    with pytest.raises(NotAMessage):
        event_of(PLACED.type, value)


@pytest.mark.parametrize(
    ("amount", "units"),
    [
        ("0.00000001", 1),
        ("0.1", 10_000_000),
        ("1.50", 150_000_000),
        ("123.45678901", 12_345_678_901),
        ("9999999999.99999999", 10**18 - 1),
        ("10000000000", 10**18),
    ],
)
def test_an_amount_is_read_exactly(amount: str, units: int) -> None:
    value = PLACED.value.replace(b'"price":45000', f'"price":{amount}'.encode())
    assert event_of(PLACED.type, value).price == units


def test_a_wrong_trade_in_a_decision_is_refused() -> None:
    trades = json.loads(MATCHED.value)["trades"]
    for wrong in ({"quantity": "1"}, {"makerUserId": None}, {"tradeId": 0}, {"surprise": 1}):
        with pytest.raises(NotAMessage):
            event_of(MATCHED.type, changed(MATCHED, trades=[{**trades[0], **wrong}]))


def test_the_content_of_what_is_not_an_event_of_ours_is_not_made_up() -> None:
    with pytest.raises(KeyError):
        content(UUID(int=1))


def test_types_carry_their_version() -> None:
    assert versioned("order.placed") == PLACED.type
