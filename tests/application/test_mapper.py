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
from domain.facts import Departure, Execution, Fill, Prevented
from domain.instrument import Limits
from domain.order_book import OrderBook
from domain.values import Conditions, SelfTradePrevention, Side, Terms
from tests.application.day import eventful_day, long_day

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


def version_of(released: dict[str, Any]) -> int:
    version: int = released["state"].get("class_version", 1)
    return version


def current_version(topic: str) -> int:
    version: int = getattr(resolve_topic(topic), "class_version", 1)
    return version


def name_of(released: dict[str, Any]) -> str:
    return f"{released['topic']} {version_of(released)}"


OLDER = [each for each in RELEASED if version_of(each) < current_version(each["topic"])]


@pytest.mark.parametrize("released", RELEASED, ids=name_of)
def test_an_event_of_every_released_version_is_read(released: dict[str, Any]) -> None:
    event = MAPPER.to_domain_event(stored(released))
    assert type(event) is resolve_topic(released["topic"])
    assert set(vars(event)) == {field.name for field in fields(event)}  # type: ignore[arg-type]
    now = MAPPER.to_stored_event(event)
    if released in OLDER:
        assert json.loads(now.state)["class_version"] == current_version(released["topic"])
        assert MAPPER.to_domain_event(now) == event
    else:
        assert now == stored(released)


@pytest.mark.parametrize("released", OLDER, ids=name_of)
def test_what_an_older_version_says_is_not_changed(released: dict[str, Any]) -> None:
    now = json.loads(MAPPER.to_stored_event(MAPPER.to_domain_event(stored(released))).state)
    for name, fact in released["state"].items():
        if name == "fills" and released["topic"].startswith("book."):
            assert now[name] == [{**fill, "refill": 0} for fill in fact]
        elif name == "instrument":
            limits = dict.fromkeys(field.name for field in fields(Limits))
            assert now[name] == (fact and {**fact, "limits": limits})
        elif name == "state":
            assert {side: now[name][side]["order_ids"] for side in ("bids", "asks")} == {
                side: fact[side]["order_ids"] for side in ("bids", "asks")
            }
        elif name == "triggered":
            assert now[name] == [{**each, "turn": "TRIGGERED", "queued": None} for each in fact]
        elif name != "class_version":
            assert now[name] == fact


def test_an_order_of_the_first_release_is_a_plain_one() -> None:
    released = next(each for each in OLDER if each["topic"] == "order.placed")
    placed: Any = MAPPER.to_domain_event(stored(released))
    terms = Terms._make(map(vars(placed).__getitem__, Terms._fields))
    assert terms == Terms(
        "user", "BTC-USD", Side.BUY, 4_500_000_000_000, 150_000_000, client_order_id="mine-1"
    )
    assert type(placed.self_trade_prevention) is SelfTradePrevention


def test_every_topic_has_a_released_example_as_it_is_now() -> None:
    abstract = {"order.decided", "order.traded", "book.decided", "book.arrived"}
    current = {
        (event.TOPIC, current_version(event.TOPIC))
        for aggregate in Aggregate.__subclasses__()
        if aggregate.__module__.startswith("domain.")
        for event in vars(aggregate).values()
        if isinstance(event, type) and hasattr(event, "TOPIC") and event.TOPIC not in abstract
    }
    released = {(each["topic"], version_of(each)) for each in RELEASED}
    assert len(released) == len(RELEASED)
    assert released >= current
    assert {topic for topic, _ in released} == {topic for topic, _ in current}


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
        fills=(Fill(1, UUID(int=3), "maker", 4_500_000_000_000, 50_000_000, 7, 5),),
        prevented=(Prevented(UUID(int=4), 1, 9, 0, 0, 4, is_cancelled=True),),
        rested=0,
        shown=0,
        lowered=0,
        waits=False,
        conditions=Conditions(expires_at=datetime(2024, 2, 10, tzinfo=UTC)),
        reason=CancelReason.INSUFFICIENT_LIQUIDITY,
        triggered=(
            Execution(
                UUID(int=5), "u", Side.SELL, None, 9, (), (), 0, 0, 0, CancelReason.PRICE_BAND
            ),
        ),
        queued=None,
        unfinished=False,
        leaving=2,
        continues=True,
        expired=(Departure(UUID(int=6), "v", Side.SELL, 3, 2, 1, CancelReason.TIME_EXPIRED),),
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
                "maker_remaining": 7,
                "refill": 5,
            }
        ],
        "prevented": [
            {
                "order_id": "00000000-0000-0000-0000-000000000004",
                "price": 1,
                "quantity": 9,
                "remaining": 0,
                "shown": 0,
                "previous_shown": 4,
                "is_cancelled": True,
            }
        ],
        "rested": 0,
        "shown": 0,
        "lowered": 0,
        "waits": False,
        "conditions": {
            "order_type": "LIMIT",
            "time_in_force": "GTC",
            "post_only": False,
            "self_trade_prevention": "NONE",
            "display_quantity": None,
            "expires_at": "2024-02-10T00:00:00Z",
            "stop_price": None,
            "take_profit": False,
        },
        "reason": "INSUFFICIENT_LIQUIDITY",
        "triggered": [
            {
                "order_id": "00000000-0000-0000-0000-000000000005",
                "user_id": "u",
                "side": "SELL",
                "price": None,
                "quantity": 9,
                "fills": [],
                "prevented": [],
                "rested": 0,
                "shown": 0,
                "lowered": 0,
                "reason": "PRICE_BAND",
                "rejection": None,
                "limit": None,
                "turn": "TRIGGERED",
                "queued": None,
            }
        ],
        "queued": None,
        "unfinished": False,
        "leaving": 2,
        "continues": True,
        "expired": [
            {
                "order_id": "00000000-0000-0000-0000-000000000006",
                "user_id": "v",
                "side": "SELL",
                "price": 3,
                "remaining": 2,
                "shown": 1,
                "reason": "TIME_EXPIRED",
            }
        ],
        "class_version": 3,
    }
    assert MAPPER.to_domain_event(found) == event


def test_an_event_that_lacks_a_field_is_refused_with_its_place() -> None:
    released = next(r for r in RELEASED if r["topic"] == "book.cancelled")
    for state in (released["state"], {**released["state"], "class_version": 2}):
        for lacking in ({"timestamp"}, {"order_id", "remaining"}):
            kept = {name: fact for name, fact in state.items() if name not in lacking}
            with pytest.raises(MapperDeserialisationError, match=r"book\.cancelled .* version \d+"):
                MAPPER.to_domain_event(stored({**released, "state": kept}))


def test_an_older_version_of_a_class_is_upcast() -> None:
    released = next(r for r in OLDER if r["topic"] == "book.cancelled")
    old: Any = MAPPER.to_domain_event(stored(released, remaining=10))
    assert (old.remaining, old.shown, old.expired) == (10, 10, ())
    assert isinstance(old.order_id, UUID)
    now = MAPPER.to_stored_event(old)
    assert json.loads(now.state)["class_version"] == 3
    assert MAPPER.to_domain_event(now) == old


def test_a_version_that_is_not_known_yet_is_refused() -> None:
    for released in RELEASED:
        later = stored(released, class_version=current_version(released["topic"]) + 1)
        with pytest.raises(MapperDeserialisationError, match=r"class version \d, known up to"):
            MAPPER.to_domain_event(later)


def test_an_event_of_today_is_not_upcast(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        pytest.fail("it takes several times as long")

    monkeypatch.setattr("application.persistence.mapper.upcast", refuse)
    for released in RELEASED:
        if released not in OLDER:
            MAPPER.to_domain_event(stored(released))


@pytest.mark.parametrize("day", [eventful_day(), long_day(seed=1)])
def test_all_that_is_in_events_and_in_snapshots_comes_back(day: Any) -> None:
    book: Any = None
    for _, event in day.orders_log + day.matching_log:
        back = MAPPER.to_domain_event(MAPPER.to_stored_event(event))
        assert (type(back), back) == (type(event), event)
    for _, event in day.book_log:
        book = event.mutate(book)
        if book.version % 10 == 0:
            snapshot: Any = OrderBook.Snapshot.take(book)
            restored: Any = MAPPER.to_domain_event(MAPPER.to_stored_event(snapshot))
            assert restored.state == snapshot.state


def test_no_field_of_an_event_can_hold_a_float() -> None:
    for released in RELEASED:
        cls: type[DomainEventProtocol[UUID]] = resolve_topic(released["topic"])
        assert not [field for field in fields(cls) if "float" in str(field.type)]  # type: ignore[arg-type]
