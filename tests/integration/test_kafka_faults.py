"""What goes wrong around views that are fed from Kafka: nothing is lost, nothing comes twice."""

import time
from collections import Counter
from typing import Any

import pytest
from confluent_kafka import Message

from application.persistence.partitions import Reach, partition_of
from interface.kafka.topics import create, topics_of
from interface.settings import Settings
from system import VIEWS
from tests.integration.conftest import Venue, at_work
from tests.integration.feeding import (
    SECONDS,
    cut,
    delete,
    headers,
    is_published,
    market,
    messages,
    on,
    send,
    send_all,
    servers,
    settled,
    trade,
    views,
)
from tests.integration.service import eventually
from tests.integration.test_rebuilding import rebuild_now
from tests.kafka.broker import Broker

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

PREFIX = "com.ordermatchingengine"


LOGS = ("orders.events", "book.events", "trades")


def test_what_is_not_ours_is_put_aside_with_its_reason(venue: Venue, settings: Settings) -> None:
    orders = settings.kafka_topic_prefix + "orders.events"
    with at_work(market(venue, settings), views(venue, settings)):
        trade(venue)
        settled(venue)  # topics that have others' messages before ours are not published to
        send(servers(settings), orders, 1, b"hello", {})
        trade(venue)
        settled(venue)
        eventually(lambda: put_aside(settings) != [], SECONDS)
    [letter] = put_aside(settings)
    assert letter.value() == b"hello"
    said = headers(letter)
    assert said.pop("offset").isdigit()
    assert said == {
        "reason": "it has no header ce_specversion",
        "consumer": settings.kafka_topic_prefix + "OrderView",
        "topic": orders,
        "partition": "1",
    }


def put_aside(settings: Settings) -> list[Message]:
    """The dead letters, each once: who reads a message again, as after a fault, sends it again."""
    letters = messages(servers(settings), settings.kafka_topic_prefix + "dead-letters")
    return list({(str(headers(each)), each.value()): each for each in letters}.values())


def test_what_claims_a_place_beyond_the_log_is_put_aside(venue: Venue, settings: Settings) -> None:
    """Taken at its word, the partition would be done with all that is still to come."""
    heads = {
        "ce_specversion": "1.0",
        "ce_source": "/Orders",
        "ce_type": f"{PREFIX}.log.progress.v1",
        "ce_position": str(10**12),
        "ce_predecessor": "0",
        "ce_partitions": "3",
    }
    orders = settings.kafka_topic_prefix + "orders.events"
    with at_work(market(venue, settings), views(venue, settings)):
        trade(venue)
        settled(venue)  # topics that have others' messages before ours are not published to
        for number in range(3):
            send(servers(settings), orders, number, b"{}", heads)
        trade(venue)
        settled(venue)
        eventually(lambda: len(put_aside(settings)) == 3, SECONDS)
    assert {headers(letter)["reason"] for letter in put_aside(settings)} == {
        "its position, 1000000000000, is beyond the end of the log"
    }


def place_of(venue: Venue, settings: Settings, asset: str) -> tuple[int, int]:
    """An asset's partition, and the position that all partitions of Orders' log have."""
    last = venue.market.orders.recorder.max_notification_id()
    assert last is not None
    return partition_of(asset, settings.kafka_partitions), last


@pytest.mark.parametrize("value", [pytest.param(b"{", marks=pytest.mark.slow), b'{"a\\u0000b":1}'])
def test_a_view_stands_before_what_it_cannot_read_until_it_is_made_anew(
    venue: Venue, settings: Settings, value: bytes
) -> None:
    """The publisher has lost its way: what it sends next says less than it should."""
    with at_work(market(venue, settings), views(venue, settings)):
        trade(venue)
        settled(venue)
        number, last = place_of(venue, settings, "BTC-USD")
        # Also the partitions in which nothing happened at last have been told of it.
        view = venue.market.order_view.recorder
        eventually(lambda: set(Reach.read(view, "Orders").positions) == {last}, SECONDS)
    fake = {
        "ce_specversion": "1.0",
        "ce_source": "/Orders",
        "ce_type": f"{PREFIX}.order.placed.v1",
        "ce_position": str(last + 1),
        "ce_predecessor": str(last),
        "ce_partitions": "3",
    }
    send(servers(settings), settings.kafka_topic_prefix + "orders.events", number, value, fake)
    trade(venue)  # before anybody reads it: what is beyond the end of the log is put aside
    with at_work(market(venue, settings), views(venue, settings)):
        eventually(lambda: view.parked() is not None, SECONDS)
        reason = view.parked()
        assert reason is not None
        assert reason.startswith(f"Orders#{number} {last + 1}, order.placed.v1: ")
        others = (venue.market.book_view, venue.market.trade_view)
        eventually(lambda: not any(each.pending("Matching", 1) for each in others), SECONDS)
        assert view.parked() == reason  # whatever comes in other partitions
        assert venue.difference() is None
        rebuild_now(venue, "orders")
        trade(venue)
        settled(venue)
        assert view.parked() is None


def test_a_view_stands_before_what_it_cannot_apply_and_what_comes_before_is_applied(
    venue: Venue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = VIEWS["orders"].recorder_class.changes

    def fail(recorder: Any, entries: Any) -> Any:
        if any(getattr(event, "user_id", "") == "poison" for _, event in entries):
            raise ArithmeticError("no")
        return changes(recorder, entries)

    monkeypatch.setattr(VIEWS["orders"].recorder_class, "changes", fail)
    first, poison, last = [venue.buy(100, 1, user_id=user) for user in ("a", "poison", "b")]
    view = venue.market.order_view.recorder
    with at_work(market(venue, settings), views(venue, settings)):
        eventually(lambda: view.parked() is not None, SECONDS)
        number, _ = place_of(venue, settings, "BTC-USD")
        assert view.parked() == f"Orders#{number} 2, order.placed: ArithmeticError: no"
        assert view.order(first) is not None
        assert view.order(poison) is None
        monkeypatch.undo()
        settled(venue)
        assert view.parked() is None
        assert view.order(last) is not None


def test_positions_that_were_lost_in_a_crash_are_read_again(
    venue: Venue, settings: Settings
) -> None:
    """Kafka's offsets are ahead of PostgreSQL then."""
    with at_work(market(venue, settings), views(venue, settings)):
        trade(venue)
        settled(venue)
        before = rows(venue)
    with at_work(market(venue, settings), views(venue, settings)):
        trade(venue)
        settled(venue)
    put_back(venue, before)
    with at_work(views(venue, settings)):  # and nothing new comes
        settled(venue)


_TABLES = ("trades", "tradeview_tracking")


def rows(venue: Venue) -> dict[str, list[dict[str, Any]]]:
    with venue.connect() as connection:
        return {
            table: connection.execute(f"SELECT * FROM trade_view.{table}").fetchall()
            for table in _TABLES
        }


def put_back(venue: Venue, before: dict[str, list[dict[str, Any]]]) -> None:
    with venue.connect() as connection, connection.cursor() as cursor:
        for table, found in before.items():
            cursor.execute(f"DELETE FROM trade_view.{table}")
            places = ", ".join(["%s"] * len(found[0]))
            cursor.executemany(
                f"INSERT INTO trade_view.{table} VALUES ({places})",
                [list(row.values()) for row in found],
            )


def test_a_view_stands_where_the_beginning_is_gone_until_it_is_made_anew(
    venue: Venue, settings: Settings
) -> None:
    with at_work(market(venue, settings)):
        trade(venue)
        name = settings.kafka_topic_prefix + "book.events"
        eventually(lambda: is_published(venue), SECONDS)
        cut(settings, name)
        trade(venue)
        with at_work(views(venue, settings)):
            parked = venue.market.trade_view.recorder.parked
            eventually(lambda: parked() is not None, SECONDS)
            assert "Matching#" in str(parked())
            assert "nothing is there after 0 and up to" in str(parked())
            for view in VIEWS:
                rebuild_now(venue, view)
            trade(venue)
            settled(venue)
            assert parked() is None


@pytest.mark.parametrize(
    "partitions",
    [3, *(pytest.param(number, marks=pytest.mark.slow) for number in (2, 5))],
)
def test_topics_are_made_anew_while_views_are_at_work(
    venue: Venue, settings: Settings, partitions: int
) -> None:
    with at_work(views(venue, settings), views(venue, settings)):
        with at_work(market(venue, settings)):
            trade(venue)
            settled(venue)
        delete(settings, *LOGS)
        eventually(lambda: made(settings, partitions), SECONDS)
        with at_work(market(venue, settings)):
            trade(venue)
            settled(venue)


def made(settings: Settings, partitions: int) -> bool:
    """The names of topics that are deleted are taken for a moment."""
    anew = settings.model_copy(update={"kafka_partitions": partitions})
    return set(create(servers(settings), topics_of(anew))) != set()


def test_what_a_publisher_sent_before_it_saw_that_the_topic_is_new_is_read_past(
    venue: Venue, settings: Settings
) -> None:
    """It stands before everything else, more of it than a consumer takes at a time."""
    heads = {
        "ce_specversion": "1.0",
        "ce_source": "/Orders",
        "ce_type": f"{PREFIX}.order.placed.v1",
        "ce_partitions": "3",
    }
    with at_work(market(venue, settings)):
        with at_work(views(venue, settings)):
            trade(venue)
            settled(venue)
        trade(venue)
        eventually(lambda: is_published(venue), SECONDS)
    last = venue.market.orders.recorder.max_notification_id()
    assert last is not None
    places = [{**heads, "ce_position": str(last), "ce_predecessor": str(last - 1)}] * 500
    delete(settings, *LOGS)
    eventually(lambda: made(settings, 3), SECONDS)
    for number in range(3):
        send_all(servers(settings), settings.kafka_topic_prefix + "orders.events", number, places)
    with at_work(views(venue, settings)):
        with at_work(market(venue, settings)):
            trade(venue)
            settled(venue)
        assert venue.market.order_view.recorder.parked() is None


def test_postgres_ends_all_sessions(venue: Venue, settings: Settings) -> None:
    with at_work(market(venue, settings), views(venue, settings)):
        for _ in range(3):
            trade(venue, 2)
            venue.end_all_sessions()
        trade_when_it_is_back(venue)
        settled(venue)


def trade_when_it_is_back(venue: Venue) -> None:
    def trades() -> bool:
        try:
            trade(venue, 1)
        except Exception:  # noqa: BLE001 - whatever says that it is away
            return False
        return True

    eventually(trades, SECONDS)


@pytest.mark.slow
def test_the_broker_is_away_and_back(
    venue: Venue, own_broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    settings = on(own_broker.bootstrap_servers, "away.")
    caplog.set_level("INFO", "interface.following")
    with at_work(market(venue, settings), views(venue, settings)):
        trade(venue)
        settled(venue)
        for leave, come_back in (
            (own_broker.pause, own_broker.resume),
            (own_broker.kill, own_broker.start),
        ):
            caplog.clear()
            with at_work(views(venue, settings)):  # who ends meanwhile
                time.sleep(1)
                leave()
            trade(venue)
            eventually(lambda: len(told(caplog)) >= 3, SECONDS)
            time.sleep(2)
            come_back()
            trade(venue)
            settled(venue)
            assert max(Counter(told(caplog)).values()) <= 2  # once by each consumer
            eventually(lambda: caplog.text.count("following again") >= 3, SECONDS)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        str(getattr(record, "follower", ""))
        for record in caplog.records
        if record.message == "Kafka is away" and getattr(record, "follower", "").endswith("View")
    ]
