"""Events that come back from their messages are those that went out."""

import json
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from eventsourcing.persistence import JSONTranscoder
from eventsourcing.utils import resolve_topic

from application.deciding import decide, is_for_all, is_for_books, is_for_venue, tell
from application.messages import FORMS, TYPES, content
from application.persistence.log import Entry
from application.persistence.mapper import JSONMapper
from application.publishing import FEEDS, Publication
from application.reading import NotAMessage, event_of, types_beside
from application.views.books import BookViewRecorder
from application.views.orders import OrderViewRecorder
from application.views.trades import TradeViewRecorder
from domain.errors import CancelReason, RejectReason
from domain.order_book import OrderBook
from domain.requests import InstrumentRequest
from domain.values import book_id, venue_id
from domain.venue import Venue
from tests.application.day import Day, eventful_day, long_day
from tests.domain.support import state

DAYS = [eventful_day(), *[long_day(seed) for seed in range(4)]]


def published(event: Any) -> Publication:
    """The message of the event itself, whichever log it is of."""
    of_matching = OrderBook.Event | OrderBook.Created | Venue.Event | Venue.Created
    feed = FEEDS["Matching" if isinstance(event, of_matching) else "Orders"]
    return feed.publications(1, event)[0]


def back(event: Any) -> Any:
    message = published(event)
    return event_of(message.type, message.value)


def read_back(entries: list[Entry]) -> list[Entry]:
    return [(position, back(event)) for position, event in entries]


def rows(view: type[Any], entries: list[Entry]) -> Any:
    return object.__new__(view).changes(entries)


def test_the_days_have_every_type_of_event() -> None:
    entries = chain(*[day.orders_log + day.matching_log for day in DAYS])
    assert {type(event) for _, event in entries} == set(TYPES)


def test_one_day_has_every_reason() -> None:
    """Each in a message that says it."""
    day = DAYS[0]
    told = b"".join(published(event).value for _, event in day.orders_log + day.matching_log)
    for reason in chain(RejectReason, CancelReason):
        assert f'"{reason.value}"'.encode() in told


@pytest.mark.parametrize("day", DAYS)
def test_an_event_comes_back_whole(day: Day) -> None:
    for _, event in day.orders_log + day.matching_log:
        assert back(event) == event
        assert type(back(event)) is type(event)
        assert vars(back(event)) == vars(event)
        assert repr(back(event)) == repr(event)  # a member of an enumeration equals its value


@pytest.mark.parametrize("day", DAYS)
def test_its_message_is_then_the_same_again(day: Day) -> None:
    for _, event in day.orders_log + day.matching_log:
        assert published(back(event)) == published(event)


@pytest.mark.parametrize("day", DAYS)
def test_the_views_make_the_same_rows(day: Day) -> None:
    books, orders = day.matching_log, day.commands_log + day.book_log
    assert rows(BookViewRecorder, read_back(books)) == rows(BookViewRecorder, books)
    assert rows(TradeViewRecorder, read_back(books)) == rows(TradeViewRecorder, books)
    assert rows(OrderViewRecorder, read_back(orders)) == rows(OrderViewRecorder, orders)


@pytest.mark.parametrize("day", DAYS[1:])
def test_matching_decides_the_same(day: Day) -> None:
    opened, *decided = day.events
    book, venue = back(opened).mutate(None), Venue.open(opened.timestamp)
    for position, command in read_back(day.commands_log):
        if is_for_venue(command):
            tell(venue, position, command)
        if not is_for_all(command) or is_for_books(command):
            decide(book, position, command, venue)
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
    ["", "order.placed", "order.placed.v3", "order.opened.v2", "order.decided.v1", "book"],
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
    with pytest.raises(NotAMessage, match=r"order\.placed\.v2 can't be read: "):
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
    for wrong in (
        {"quantity": "1"},
        {"makerUserId": None},
        {"tradeId": 0},
        {"refill": None},
        {"surprise": 1},
    ):
        with pytest.raises(NotAMessage):
            event_of(MATCHED.type, changed(MATCHED, trades=[{**trades[0], **wrong}]))


def test_the_content_of_what_is_not_an_event_of_ours_is_not_made_up() -> None:
    with pytest.raises(KeyError):
        content(UUID(int=1))


@pytest.mark.parametrize(
    "time", ["24:00", "7:05", "07:60", "07:05:00", "-1:05", "", "\u0660\u0667:\u0660\u0665", "a"]
)
def test_a_wrong_time_of_day_is_refused(time: str) -> None:
    instrument = json.loads(RULES.value)["instrument"]
    with pytest.raises(NotAMessage):
        event_of(RULES.type, changed(RULES, instrument={**instrument, "sessionEnd": time}))


@pytest.mark.parametrize("part", ["orderId", "remaining", "reason"])
def test_each_field_of_what_stands_in_a_message_is_needed(part: str) -> None:
    [departed, *rest] = json.loads(CANCELLED.value)["departed"]
    del departed[part]
    with pytest.raises(NotAMessage, match=f"missing required field `{part}`"):
        event_of(CANCELLED.type, changed(CANCELLED, departed=[departed, *rest]))


def of_kind(kind: type[Any]) -> Publication:
    """The longest message of such an event."""
    day = DAYS[0]
    entries = day.orders_log + day.matching_log
    messages = [published(event) for _, event in entries if type(event) is kind]
    return max(messages, key=lambda each: len(each.value))


RULES = of_kind(InstrumentRequest.Created)
CANCELLED = of_kind(OrderBook.MassCancelled)


def test_types_carry_their_version() -> None:
    assert {form.types[-1] for form in FORMS.values()} == {
        published(event).type for day in DAYS for _, event in day.orders_log + day.matching_log
    }
    assert FORMS[type(DAYS[0].orders_log[0][1])].types == ("order.placed.v1", "order.placed.v2")


def test_the_types_beside_are_those_of_all_versions_of_other_events() -> None:
    everything = {each for form in FORMS.values() for each in form.types}
    assert types_beside(["order.placed"]) == everything - {"order.placed.v1", "order.placed.v2"}
    assert types_beside([]) == set()


def test_the_venue_is_always_the_same() -> None:
    of_venue = [
        event for _, event in DAYS[0].matching_log if isinstance(event, Venue.Event | Venue.Created)
    ]
    for event in map(back, of_venue):
        assert (event.asset, event.originator_id) == ("*", venue_id())
    assert of_venue


# What earlier releases have published, and stored: each line of the one was published of that of
# the same topic in the other, by the release whose version it is.

HERE = Path(__file__).parent
EARLIER = {
    json.loads(line)["type"]: line.partition('"value": ')[2].removesuffix("}").encode()
    for line in (HERE / "published_v1.jsonl").read_text().splitlines()
}
STORED = {
    (each["topic"], each["state"].get("class_version", 1)): each
    for each in map(json.loads, (HERE / "stored_events.jsonl").read_text().splitlines())
}


def test_there_is_an_example_of_each_first_version() -> None:
    firsts = {form.types[0] for form in FORMS.values() if len(form.types) > 1}
    assert EARLIER.keys() >= firsts


@pytest.mark.parametrize("message_type", EARLIER)
def test_what_earlier_releases_published_is_what_they_stored(message_type: str) -> None:
    topic, _, version = message_type.rpartition(".v")
    event_type = resolve_topic(topic)
    behind = len(FORMS[event_type].versions) - int(version)
    released = STORED[topic, event_type.class_version - behind]
    event = JSONMapper(JSONTranscoder()).read(
        UUID(released["originator_id"]),
        released["originator_version"],
        topic,
        json.dumps(released["state"]).encode(),
    )
    found = event_of(message_type, EARLIER[message_type])
    assert (type(found), found) == (type(event), event)
    assert repr(found) == repr(event)
    assert back(found) == event  # and it goes on as today's


@pytest.mark.parametrize("message_type", EARLIER)
def test_a_first_version_has_its_fields_and_no_others(message_type: str) -> None:
    value = msgspec.json.decode(EARLIER[message_type], type=dict[str, msgspec.Raw])
    event_of(message_type, msgspec.json.encode(value))
    for field in value:
        lacking = {name: fact for name, fact in value.items() if name != field}
        with pytest.raises(NotAMessage, match=f"missing required field `{field}`"):
            event_of(message_type, msgspec.json.encode(lacking))
    for field in {"expired", "postOnly", "limit", "shown", "surprise"} - value.keys():
        with pytest.raises(NotAMessage, match=f"unknown field `{field}`"):
            event_of(message_type, msgspec.json.encode({**value, field: None}))
