"""docs/asyncapi.yaml lists what is published, and says what it looks like."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import ValidationError

from application.contents import matching, parts
from application.messages import FORMS
from application.publishing import FEEDS
from domain.errors import CancelReason, RejectReason
from domain.instrument import TradingStatus
from domain.values import (
    Liquidity,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from tests.application.day import eventful_day, long_day
from tests.asyncapi import COMPONENTS, MESSAGES, check_headers, check_payload, topics

SCHEMAS = COMPONENTS["schemas"]
OF_EVENTS = {
    message_type: content
    for form in FORMS.values()
    for message_type, content in zip(form.types, form.versions, strict=True)
}
BESIDE_EVENTS = {"trades.executed.v1", "trades.executed.v2", "log.progress.v1", "dead-letter"}
# What is on topics, and is not sent any more.
EARLIER = {each for form in FORMS.values() for each in form.types[:-1]} | {"trades.executed.v1"}

CONTENTS = {
    MESSAGES[message_type]["payload"]["$ref"]: content
    for message_type, content in OF_EVENTS.items()
}
CONTENTS |= {
    f"#/components/schemas/{content.__name__}": content
    for content in (
        matching.TradesExecuted,
        matching.Trade,
        parts.OrderTrade,
        parts.BookTradeV1,
        parts.BookTrade,
        parts.Prevented,
        parts.Departure,
        parts.Execution,
        parts.Conditions,
        parts.Instrument,
    )
}


def schema(reference: str) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMAS[reference.removeprefix("#/components/schemas/")]
    return found


def test_every_message_is_listed() -> None:
    assert set(MESSAGES) == set(OF_EVENTS) | BESIDE_EVENTS


def test_every_message_is_listed_under_the_topic_that_it_is_sent_to() -> None:
    sent: dict[str, set[str]] = {"dead-letters": {"dead-letter"}}
    for day in (eventful_day(), long_day(seed=1)):
        for name, log in (("Orders", day.orders_log), ("Matching", day.matching_log)):
            for entry in log:
                for each in FEEDS[name].publications(*entry):
                    sent.setdefault(each.topic, {"log.progress.v1"}).add(each.type)
    listed = topics()
    assert sent == {topic: types - EARLIER for topic, types in listed.items()}
    topic_of = {each: topic for topic, types in listed.items() for each in types}
    for earlier in EARLIER:
        assert topic_of[earlier] == topic_of[earlier.replace(".v1", ".v2")]


PUBLISHED_EARLIER = (Path(__file__).parent / "published_v1.jsonl").read_text().splitlines()


@pytest.mark.parametrize("line", PUBLISHED_EARLIER, ids=lambda line: json.loads(line)["type"])
def test_what_earlier_releases_published_is_what_the_schemas_say(line: str) -> None:
    value = line.partition('"value": ')[2].removesuffix("}").encode()
    check_payload(json.loads(line)["type"], value)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_published_is_what_the_schemas_say(seed: int) -> None:
    for day in (eventful_day(), long_day(seed)):
        for name, log in (("Orders", day.orders_log), ("Matching", day.matching_log)):
            for entry in log:
                for each in FEEDS[name].publications(*entry):
                    check_payload(each.type, each.value)


@pytest.mark.parametrize("reference", CONTENTS)
def test_a_schema_names_each_field_and_allows_no_other(reference: str) -> None:
    described = schema(reference)
    fields = list(CONTENTS[reference].__struct_encode_fields__)
    assert list(described["properties"]) == described["required"] == fields
    assert described["additionalProperties"] is False


@pytest.mark.parametrize(
    "choices",
    [
        Side,
        OrderType,
        TimeInForce,
        SelfTradePrevention,
        OrderStatus,
        Liquidity,
        TradingStatus,
        CancelReason,
        RejectReason,
    ],
)
def test_what_there_is_to_choose_from_is_what_the_model_has(choices: Any) -> None:
    assert SCHEMAS[choices.__name__]["enum"] == [choice.value for choice in choices]


HEADERS = {
    "content-type": "application/json",
    "ce_specversion": "1.0",
    "ce_id": "17",
    "ce_source": "/Orders",
    "ce_type": "com.ordermatchingengine.order.placed.v2",
    "ce_time": "2024-02-09T12:00:00.000001Z",
    "ce_position": "17",
    "ce_predecessor": "0",
    "ce_partitions": "8",
}


def test_headers_are_those_of_the_message() -> None:
    check_headers("order.placed.v2", HEADERS)
    check_headers("order.placed.v2", {**HEADERS, "traceparent": "of somebody else"})
    for name in HEADERS:
        with pytest.raises(ValidationError):
            check_headers("order.placed.v2", {n: v for n, v in HEADERS.items() if n != name})


@pytest.mark.parametrize(
    "wrong",
    [
        {"ce_source": "/Matching"},
        {"ce_type": "com.ordermatchingengine.order.placed.v1"},
        {"ce_type": "com.ordermatchingengine.order.opened.v1"},
        {"ce_id": "17-0"},
        {"ce_position": "-1"},
        {"ce_predecessor": ""},
        {"ce_time": "2024-02-09 12:00:00"},
    ],
    ids=str,
)
def test_wrong_headers_are_seen(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        check_headers("order.placed.v2", {**HEADERS, **wrong})


def test_progress_is_told_for_a_partition_and_says_nothing_else() -> None:
    told = {
        "ce_id": "17-book.events-3",
        "ce_source": "/Matching",
        "ce_type": "com.ordermatchingengine.log.progress.v1",
    }
    check_headers("log.progress.v1", {**HEADERS, **told})
    check_payload("log.progress.v1", b"{}")
    with pytest.raises(ValidationError):
        check_payload("log.progress.v1", b'{"position":17}')


def test_a_dead_letter_says_why_and_where_it_was() -> None:
    headers = {"reason": "no ce_type", "topic": "book.events", "partition": "3", "offset": "0"}
    check_headers("dead-letter", headers)
    for name in headers:
        with pytest.raises(ValidationError):
            check_headers("dead-letter", {n: v for n, v in headers.items() if n != name})
