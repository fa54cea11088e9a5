"""What a topic does not take: the publisher says why, waits, and goes on when it is mended."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from random import Random
from typing import Any
from unittest.mock import Mock

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from confluent_kafka.cimpl import NewTopic

from application.persistence.following import CannotFollow
from application.publishing import FEEDS, Publication
from interface.kafka import refusals
from interface.kafka.dead_letters import DeadLetters
from interface.kafka.publisher import Publisher
from interface.kafka.topics import describe, topics_of
from interface.settings import Settings
from tests.integration.conftest import Venue
from tests.integration.feeding import headers, messages
from tests.integration.service import eventually
from tests.integration.test_publishing import on, publisher_of, servers_of, settings_for
from tests.integration.topics import take

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

LARGE = 3_000_000
SECONDS = 60


def alter(settings: Settings, topic: str = "orders.events", **config: str) -> None:
    """Change a topic's settings, and wait until the broker has."""
    admin = AdminClient({"bootstrap.servers": servers_of(settings)})
    name = settings.kafka_topic_prefix + topic
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        for key, value in config.items()
    ]
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
    for altered in admin.incremental_alter_configs([resource]).values():
        altered.result()

    def has_changed() -> bool:
        [found] = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name)]).values()
        return all(found.result()[key].value == value for key, value in config.items())

    eventually(has_changed, SECONDS)


@pytest.fixture
def settings(kafka: Any, topic_prefix: str, patience_with_kafka: None) -> Settings:
    """Of topics that someone else made, with the broker's defaults."""
    settings = settings_for(kafka.bootstrap_servers, topic_prefix)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    names = [topic.name for topic in topics_of(settings)]
    for made in admin.create_topics([NewTopic(name, num_partitions=3) for name in names]).values():
        made.result()
    eventually(lambda: len(describe(kafka.bootstrap_servers, names)) == len(names), SECONDS)
    return settings


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_LOOK_SECONDS", 0.1)


def large_at(*positions: int, size: int = LARGE) -> Any:
    """Publications of orders, some of them large and not to be compressed."""

    def publications(position: int, event: Any) -> Sequence[Publication]:
        [publication] = FEEDS["Orders"].publications(position, event)
        if position in positions:
            return [publication._replace(value=Random(1).randbytes(size))]
        return [publication]

    return publications


@contextmanager
def publishing(venue: Venue, settings: Settings, publications: Any) -> Iterator[Publisher]:
    venue.trade_a_little()
    with closing(publisher_of(venue, settings, publications)) as publisher:
        yield publisher


def publish_as_far_as_it_goes(publisher: Publisher) -> str | None:
    """Give what it stands still for, once that stays the same; None: all is published."""
    for _ in range(20):
        try:
            while publisher.process_batch("Orders"):
                pass
        except CannotFollow as error:
            if "stays" in vars(publisher) and vars(publisher)["stays"] == str(error):
                return str(error)
            vars(publisher)["stays"] = str(error)
        else:
            return None
    raise AssertionError


def is_published(publisher: Publisher) -> bool:
    """Try once; whether all is."""
    try:
        return not publisher.process_batch("Orders")
    except CannotFollow:
        return False


def test_a_message_larger_than_its_topic_takes_is_named_and_goes_through_once_that_is_mended(
    venue: Venue, settings: Settings
) -> None:
    name = settings.kafka_topic_prefix + "orders.events"
    with publishing(venue, settings, large_at(7)) as publisher:
        reason = publish_as_far_as_it_goes(publisher)
        assert reason == (
            f"Orders 7, order.opened.v1, is a message of {LARGE} bytes before compression, more"
            f" than the 1048588 that the topic {name} takes (max.message.bytes). To mend it:"
            f" kafka-configs.sh --bootstrap-server {servers_of(settings)} --alter --entity-type"
            f" topics --entity-name {name} --add-config max.message.bytes=67108864. Publishing"
            " then goes on by itself"
        )
        assert publisher.recorder.max_tracking_id("Orders") == 6
        before = [message.position for message in take(on(settings, "orders.events"))]
        assert before == [1, 2, 3, 4, 5, 6]
        sent = len(on(settings, "orders.events"))
        for _ in range(5):
            assert not is_published(publisher)
        assert len(on(settings, "orders.events")) == sent  # it does not fill the topic
        alter(settings, **{"max.message.bytes": "67108864"})
        eventually(lambda: is_published(publisher), SECONDS)
    taken = [message.position for message in take(on(settings, "orders.events"))]
    assert taken == list(range(1, taken[-1] + 1))
    assert taken[-1] == venue.market.orders.recorder.max_notification_id()


def test_a_first_message_that_is_refused_leaves_no_gap(venue: Venue, settings: Settings) -> None:
    """A broker that knows nothing of a producer yet would take what follows it."""
    with publishing(venue, settings, large_at(1)) as publisher:
        for _ in range(3):
            assert not is_published(publisher)
    assert on(settings, "orders.events") == []


def test_many_small_messages_go_to_a_topic_of_small_ones(venue: Venue, settings: Settings) -> None:
    alter(settings, **{"max.message.bytes": "12000"})
    with publishing(venue, settings, large_at(*range(1, 9), size=1_500)) as publisher:
        assert publish_as_far_as_it_goes(publisher) is None


def test_a_message_larger_than_any_topic_takes_is_said_to_be_so(
    venue: Venue, settings: Settings
) -> None:
    size = 70 * 2**20
    with publishing(venue, settings, large_at(1, size=size)) as publisher:
        reason = publish_as_far_as_it_goes(publisher)
    assert reason is not None
    assert reason.startswith(
        f"Orders 1, order.placed.v2, is a message of {size} bytes, more than the 67108864 that any"
        " topic is given: it can't be published. "
    )


def test_a_topic_that_is_compacted_is_not_published_to_until_it_is_mended(
    venue: Venue, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    alter(settings, **{"cleanup.policy": "compact"})
    with publishing(venue, settings, FEEDS["Orders"].publications) as publisher:
        reason = publish_as_far_as_it_goes(publisher)
        assert reason is not None
        assert "has cleanup.policy=compact, not delete: compaction deletes" in reason
        assert on(settings, "orders.events") == []
        alter(settings, **{"cleanup.policy": "delete"})
        eventually(lambda: is_published(publisher), SECONDS)


def test_messages_that_are_refused_for_their_time_are_explained(
    venue: Venue, settings: Settings
) -> None:
    alter(settings, **{"message.timestamp.before.max.ms": "1"})
    with publishing(venue, settings, FEEDS["Orders"].publications) as publisher:
        reason = publish_as_far_as_it_goes(publisher)
        assert reason is not None
        assert reason.startswith("Kafka refuses messages for the topic ")
        assert "has message.timestamp.before.max.ms=1, not 3600000: " in reason
        alter(settings, **{"message.timestamp.before.max.ms": "3600000"})
        eventually(lambda: is_published(publisher), SECONDS)


def test_a_quota_makes_batches_small_and_is_logged_once(
    venue: Venue,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with publishing(venue, settings, FEEDS["Orders"].publications) as publisher:
        assert publisher.process_batch("Orders", limit=2) == 2
        sender = publisher._sender
        assert sender is not None
        for _ in range(2):
            sender._note_throttle(Mock(throttle_time=1.2))
            assert publisher.process_batch("Orders") == 0  # nothing is sent meanwhile
        eventually(lambda: publisher.process_batch("Orders") > 0, SECONDS)
        assert publisher.recorder.max_tracking_id("Orders") == 4
        assert publish_as_far_as_it_goes(publisher) is None
    assert caplog.text.count("Kafka holds messages back by a quota of this client") == 1


def test_a_dead_letter_that_is_too_large_goes_without_its_value(settings: Settings) -> None:
    letters = DeadLetters(
        servers_of(settings), settings.kafka_topic_prefix + "dead-letters", "OrderView"
    )
    value = Random(1).randbytes(LARGE)
    message = Mock(key=lambda: b"k", value=lambda: value, topic=lambda: "orders.events")
    letters.send(message, "it has no header ce_position")
    assert letters.count == 1
    topic = settings.kafka_topic_prefix + "dead-letters"
    [letter] = messages(servers_of(settings), topic)
    assert (letter.key(), letter.value()) == (b"k", None)
    assert headers(letter)["reason"] == (
        f"it has no header ce_position; its {LARGE} bytes are too many for this topic"
    )


def test_what_is_only_harmful_is_logged_once_and_published_to(
    venue: Venue, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        publishing(venue, settings, FEEDS["Orders"].publications) as publisher,
    ):
        assert publish_as_far_as_it_goes(publisher) is None
        publisher.forget()
        venue.trade_a_little()
        assert publish_as_far_as_it_goes(publisher) is None
    said = [str(record.fault) for record in caplog.records if hasattr(record, "fault")]
    assert len(said) == len(set(said)) == 2
    assert "max.message.bytes=1048588" in said[0] + said[1]
    assert "retention.ms=604800000" in said[0] + said[1]
