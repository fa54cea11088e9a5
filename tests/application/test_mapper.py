"""What is in the store can be read by people, and for years."""

import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, MapperDeserialisationError, StoredEvent
from eventsourcing.utils import resolve_topic

import application.persistence.book_snapshots  # noqa: F401 - registers their topic
from application.persistence.mapper import JSONMapper
from domain.aggregate import Aggregate
from domain.errors import CancelReason
from domain.order_book import Fill, OrderBook
from domain.values import Side

RELEASED = [
    json.loads(line)
    for line in (Path(__file__).parent / "stored_events.jsonl").read_text().splitlines()
]
MAPPER = JSONMapper(JSONTranscoder())


def stored(released: dict[str, Any], **changes: Any) -> StoredEvent:
    return StoredEvent(
        originator_id=UUID(released["originator_id"]),
        originator_version=released["originator_version"],
        topic=released["topic"],
        state=json.dumps({**released["state"], **changes}, separators=(",", ":")).encode(),
    )


@pytest.mark.parametrize("released", RELEASED, ids=lambda released: released["topic"])
def test_an_event_of_every_released_version_is_read_and_written_back_unchanged(
    released: dict[str, Any],
) -> None:
    event = MAPPER.to_domain_event(stored(released))
    assert type(event) is resolve_topic(released["topic"])
    assert MAPPER.to_stored_event(event) == stored(released)


def test_every_topic_has_a_released_example() -> None:
    abstract = {"order.decided", "book.decided"}
    topics = {
        event.TOPIC
        for aggregate in Aggregate.__subclasses__()
        if aggregate.__module__.startswith("domain.")
        for event in vars(aggregate).values()
        if isinstance(event, type) and hasattr(event, "TOPIC")
    }
    assert {released["topic"] for released in RELEASED} == topics - abstract


def test_the_store_holds_readable_json() -> None:
    matched: Any = OrderBook.Matched
    event = matched(
        originator_id=UUID(int=1),
        originator_version=7,
        timestamp=datetime(2024, 2, 9, 12, tzinfo=UTC),
        asset="BTC-USD",
        position=9,
        order_id=UUID(int=2),
        user_id="user123",
        side=Side.BUY,
        price=4_500_000_000_000,
        quantity=150_000_000,
        fills=(Fill(1, UUID(int=3), "maker", 4_500_000_000_000, 50_000_000, 0),),
        rested=0,
        reason=CancelReason.INSUFFICIENT_LIQUIDITY,
    )
    found = MAPPER.to_stored_event(event)
    assert found.topic == "book.matched"
    assert json.loads(found.state) == {
        "timestamp": "2024-02-09T12:00:00Z",
        "asset": "BTC-USD",
        "position": 9,
        "order_id": "00000000-0000-0000-0000-000000000002",
        "user_id": "user123",
        "side": "BUY",
        "price": 4_500_000_000_000,
        "quantity": 150_000_000,
        "fills": [
            {
                "trade_id": 1,
                "maker_order_id": "00000000-0000-0000-0000-000000000003",
                "maker_user_id": "maker",
                "price": 4_500_000_000_000,
                "quantity": 50_000_000,
                "maker_remaining": 0,
            }
        ],
        "rested": 0,
        "reason": "INSUFFICIENT_LIQUIDITY",
    }
    assert MAPPER.to_domain_event(found) == event


def test_an_event_that_lacks_a_field_is_refused_with_its_place() -> None:
    released = next(r for r in RELEASED if r["topic"] == "book.cancelled")
    faulty = stored({**released, "state": {"timestamp": released["state"]["timestamp"]}})
    with pytest.raises(MapperDeserialisationError, match=r"book\.cancelled .* version \d+"):
        MAPPER.to_domain_event(faulty)


def test_an_older_version_of_a_class_is_upcast(monkeypatch: pytest.MonkeyPatch) -> None:
    released = next(r for r in RELEASED if r["topic"] == "book.cancelled")

    def halve(state: dict[str, Any]) -> None:
        state["remaining"] //= 2

    monkeypatch.setattr(OrderBook.Cancelled, "class_version", 2, raising=False)
    monkeypatch.setattr(OrderBook.Cancelled, "upcast_v1_v2", staticmethod(halve), raising=False)

    old: Any = MAPPER.to_domain_event(stored(released, remaining=10))
    assert old.remaining == 5
    assert isinstance(old.order_id, UUID)
    now = MAPPER.to_stored_event(old)
    assert json.loads(now.state)["class_version"] == 2
    assert MAPPER.to_domain_event(now) == old


def test_no_field_of_an_event_can_hold_a_float() -> None:
    for released in RELEASED:
        cls: type[DomainEventProtocol[UUID]] = resolve_topic(released["topic"])
        assert not [field for field in fields(cls) if "float" in str(field.type)]  # type: ignore[arg-type]
