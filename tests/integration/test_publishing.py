"""Every event of both logs gets to Kafka, whatever happens on the way."""

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

import interface.engine as engines
import interface.kafka.publisher
from application.messages import FORMS
from application.persistence.following import CannotFollow
from application.persistence.partitions import partition_of
from application.persistence.position import Advance, Move, PositionMoved
from application.publishing import FEEDS, Feed, Publication
from interface.engine import Engine
from interface.kafka import publishing
from interface.kafka.publisher import Kafka, Publisher
from interface.kafka.topics import OtherPartitions, are_empty, create, describe, topics_of
from interface.settings import Settings
from system import ENV
from tests.integration.conftest import Venue, at_work, has_followed_all
from tests.integration.service import eventually
from tests.integration.test_crashes import crashes
from tests.integration.topics import PROGRESS, Sent, check_messages, log_of, read, take
from tests.kafka.broker import Broker
from tests.kafka.program import free_port

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

PARTITIONS = 3


def settings_for(servers: str, prefix: str) -> Settings:
    return Settings(
        kafka_bootstrap_servers=servers, kafka_topic_prefix=prefix, kafka_partitions=PARTITIONS
    )


def servers_of(settings: Settings) -> str:
    assert settings.kafka_bootstrap_servers is not None
    return settings.kafka_bootstrap_servers


@pytest.fixture
def settings(kafka: Any, topic_prefix: str, patience_with_kafka: None) -> Settings:
    """Of a Kafka that has the topics."""
    settings = settings_for(kafka.bootstrap_servers, topic_prefix)
    create(kafka.bootstrap_servers, topics_of(settings))
    return settings


def publishers(venue: Venue, settings: Settings) -> dict[str, Publisher]:
    """By the name of their leader; they are closed with the test's database."""
    pairs = publishing(settings, venue.env)(venue.market)
    return {leader: each for each, leader in pairs if isinstance(each, Publisher)}


@pytest.fixture
def published(venue: Venue, settings: Settings) -> Iterator[dict[str, Publisher]]:
    """The publishers of a market, which publish when a test says so."""
    made = publishers(venue, settings)
    yield made
    for publisher in made.values():
        publisher.close()


def publish(published: dict[str, Publisher], limit: int | None = None) -> None:
    """All that is recorded, until every partition knows."""
    for leader, publisher in published.items():
        while publisher.process_batch(leader, limit=limit) or publisher._untold:
            pass


def on(settings: Settings, topic: str) -> list[Sent]:
    return read(servers_of(settings), settings.kafka_topic_prefix + topic)


def check_topics(venue: Venue, settings: Settings) -> None:
    """What is on the topics is what is in the logs, and every partition knows how far they are."""
    check_messages(venue, settings)
    for leader, feed in FEEDS.items():
        last, _ = log_of(venue, leader)[-1]
        for topic in feed.topics:
            messages = on(settings, topic)
            ends = {m.partition: m.position for m in sorted(messages, key=lambda m: m.position)}
            assert ends == dict.fromkeys(range(PARTITIONS), last)


def test_both_logs_are_published_once_in_order_of_the_asset_and_each_knows_its_predecessor(
    venue: Venue, settings: Settings, published: dict[str, Publisher]
) -> None:
    venue.trade_a_little()
    publish(published)
    venue.trade_a_little()
    publish(published, limit=1)
    check_topics(venue, settings)
    for topic in ("orders.events", "book.events", "trades"):
        messages = on(settings, topic)
        for partition in range(PARTITIONS):
            positions = [m.position for m in messages if m.partition == partition]
            assert positions == sorted(set(positions))  # nothing twice, nothing to drop
            events = [m for m in messages if m.partition == partition and not m.is_progress]
            assert [m.predecessor for m in events] == [0, *(m.position for m in events)][:-1]


def test_a_message_is_a_cloudevent_with_its_place_in_the_log(
    venue: Venue, settings: Settings, published: dict[str, Publisher]
) -> None:
    venue.buy(100, 5)
    publish(published)
    [(position, event)] = log_of(venue, "Orders")
    place = partition_of("BTC-USD", PARTITIONS)
    messages = {message.partition: message for message in on(settings, "orders.events")}
    placed = messages.pop(place)
    assert placed.key == "BTC-USD"
    assert placed.value == FEEDS["Orders"].publications(position, event)[0].value
    assert placed.headers == {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": str(position),
        "ce_source": "/Orders",
        "ce_type": f"com.ordermatchingengine.{FORMS[type(event)].types[-1]}",
        "ce_time": "2024-02-09T12:00:01Z",
        "ce_position": str(position),
        "ce_predecessor": "0",
        "ce_partitions": "3",
    }
    for partition, message in messages.items():
        assert message.key is None
        assert message.value == b"{}"
        assert message.headers["ce_type"] == PROGRESS
        assert message.headers["ce_id"] == f"{position}-orders.events-{partition}"
        assert message.headers["ce_position"] == str(position)
    assert len(messages) == PARTITIONS - 1


@pytest.mark.parametrize("leader", ["Orders", "Matching"])
def test_a_publisher_may_die_at_any_step_and_what_it_sent_is_sent_again(
    venue: Venue, settings: Settings, published: dict[str, Publisher], leader: str
) -> None:
    venue.trade_a_little()
    servers, prefix = settings.kafka_bootstrap_servers, settings.kafka_topic_prefix
    recorder = published[leader].recorder
    stored, sent = [], []
    topic = FEEDS[leader].topics[0]
    for _ in crashes(venue, f"publish {leader} {servers} {prefix}"):
        stored.append(recorder.max_tracking_id(leader))
        messages = on(settings, topic)
        sent.append(len(messages))
        take(messages)  # there is no gap, at any moment
    last = log_of(venue, leader)[-1][0]
    assert stored[0] is None
    assert set(stored) <= {None, last}
    assert sent[0] == 0
    assert sent[-1] > 0
    # It died between the broker's confirmation and the commit, too.
    assert any(position is None and count for position, count in zip(stored, sent, strict=True))
    publish(published)
    check_topics(venue, settings)


def test_a_publisher_that_is_new_starts_at_the_beginning(venue: Venue, settings: Settings) -> None:
    venue.trade_a_little()
    made = publishers(venue, settings)
    publish(made, limit=7)
    for publisher in made.values():
        publisher.close()
    check_topics(venue, settings)


def test_two_publishers_at_once_say_the_same_and_nothing_twice(
    venue: Venue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the lock is of no use: positions that move by compare-and-set are enough."""
    monkeypatch.setattr(engines, "try_lock", lambda *_, **__: True)
    others = publishing(settings, venue.env)
    pair = [Engine(venue.env, batch_size=2, names=(), others=others) for _ in range(2)]
    with at_work(*pair):
        for _ in range(4):
            venue.trade_a_little()
        # Whoever publishes the last event is the one who tells all partitions of it.
        eventually(lambda: all(has_published_all(venue, each) for each in pair), 60)
    check_topics(venue, settings)


def test_topics_that_another_publisher_fills_as_one_begins_are_its_own_too(
    venue: Venue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue.trade_a_little()
    first, second = (publishers(venue, settings) for _ in range(2))

    def filled_meanwhile(*topics: Any) -> bool:
        monkeypatch.undo()
        publish(first)
        return are_empty(*topics)

    monkeypatch.setattr(interface.kafka.publisher, "are_empty", filled_meanwhile)
    publish(second)
    check_topics(venue, settings)
    for publisher in (*first.values(), *second.values()):
        publisher.close()


def has_published_all(venue: Venue, engine: Engine) -> bool:
    return all(
        each.follower.recorder.max_tracking_id(leader) == log_of(venue, leader)[-1][0]
        and not each.follower._untold
        for each in engine._followings
        if isinstance(each.follower, Publisher)
        for leader in each.leaders
    )


@pytest.mark.slow
def test_a_broker_that_is_killed_and_comes_back_has_everything(
    venue: Venue, own_broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(own_broker.bootstrap_servers, "")
    create(own_broker.bootstrap_servers, topics_of(settings))
    engine = Engine(venue.env, batch_size=2, names=(), others=publishing(settings, venue.env))
    with at_work(engine):
        for _ in range(2):
            traders = threading.Thread(target=trade, args=(venue,))
            traders.start()
            own_broker.kill()
            traders.join()
            own_broker.start()
        eventually(lambda: has_published_all(venue, engine), 60)
    check_topics(venue, settings)


def trade(venue: Venue) -> None:
    for _ in range(4):
        venue.trade_a_little()


def test_the_market_goes_on_without_kafka_and_says_so_once(
    venue: Venue, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(f"127.0.0.1:{free_port()}", "")
    with caplog.at_level(logging.WARNING):
        engine = Engine(venue.env, others=publishing(settings, venue.env))
        with at_work(engine):
            venue.buy(100, 5)
            eventually(lambda: has_followed_all(venue.market), 60)
            eventually(lambda: told(caplog) == ["Kafka is away"] * 2, 60)
            venue.sell(100, 5)
            eventually(lambda: has_followed_all(venue.market), 60)
            time.sleep(5)  # a few more attempts
    assert told(caplog) == ["Kafka is away"] * 2  # of each log's publisher
    assert venue.difference() is None


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What publishers say of Kafka."""
    told = [r.message for r in caplog.records if str(getattr(r, "follower", "")).endswith("er")]
    return [each for each in told if "Kafka" in each]


def test_topics_that_are_missing_are_waited_for(
    venue: Venue, kafka: Any, topic_prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap_servers, topic_prefix)
    made = publishers(venue, settings)
    venue.trade_a_little()
    with pytest.raises(CannotFollow, match=r"no topic .*orders\.events: `ome kafka init` makes it"):
        made["Orders"].process_batch("Orders")
    create(kafka.bootstrap_servers, topics_of(settings))
    publish(made)
    check_topics(venue, settings)
    for publisher in made.values():
        publisher.close()


def test_a_topic_that_is_made_anew_is_filled_from_the_beginning(
    venue: Venue, settings: Settings, published: dict[str, Publisher]
) -> None:
    venue.trade_a_little()
    publish(published)
    remake(settings, "trades")
    venue.trade_a_little()
    for publisher in published.values():
        publisher.forget()  # as when it starts
    publish(published)
    check_topics(venue, settings)


def admin(settings: Settings) -> AdminClient:
    return AdminClient({"bootstrap.servers": servers_of(settings), "log_level": 0})


def remake(settings: Settings, topic: str) -> None:
    client = admin(settings)  # what it is asked ends with it
    [deleted] = client.delete_topics([settings.kafka_topic_prefix + topic]).values()
    deleted.result()
    topics = [each for each in topics_of(settings) if each.name.endswith(topic)]
    eventually(lambda: create(servers_of(settings), topics) != [], 60)


def test_a_topic_that_got_more_partitions_is_not_published_to(
    venue: Venue, settings: Settings, published: dict[str, Publisher]
) -> None:
    venue.trade_a_little()
    publish(published)
    client = admin(settings)
    name = settings.kafka_topic_prefix + "orders.events"
    [made] = client.create_partitions([NewPartitions(name, PARTITIONS + 1)]).values()
    made.result()  # the controller has: the broker hears of it in a moment
    more = PARTITIONS + 1
    eventually(lambda: describe(servers_of(settings), [name])[name].partitions == more, 60)
    before = len(on(settings, "orders.events"))
    venue.trade_a_little()
    published["Orders"].forget()

    refusal = f"has {PARTITIONS + 1} partitions, not {PARTITIONS}: "
    with pytest.raises(OtherPartitions, match=refusal):
        published["Orders"].process_batch("Orders")
    assert len(on(settings, "orders.events")) == before


def publisher_of(venue: Venue, settings: Settings, publications: Any) -> Publisher:
    """Of orders, with publications of a test's own."""
    prefixes = (settings.kafka_topic_prefix, settings.kafka_type_prefix)
    kafka = Kafka(servers_of(settings), *prefixes, topics_of(settings))
    feed = Feed(("orders.events",), publications)
    env = {**ENV, **venue.env, "CREATE_TABLE": "y"}
    publisher = Publisher(env, "Orders", feed, kafka)
    publisher.follow("Orders", venue.market.orders.notification_log)
    return publisher


def test_what_is_about_every_asset_goes_to_every_partition(
    venue: Venue, settings: Settings
) -> None:
    def publications(position: int, event: Any) -> Sequence[Publication]:
        [publication] = FEEDS["Orders"].publications(position, event)
        return [publication._replace(key=None)]

    venue.buy(100, 5)
    venue.buy(100, 5)
    with closing(publisher_of(venue, settings, publications)) as publisher:
        publisher.process_batch("Orders")
    messages = on(settings, "orders.events")
    assert [(m.partition, m.position, m.predecessor, m.key) for m in messages] == [
        (partition, *rest, None) for partition in range(PARTITIONS) for rest in ((1, 0), (2, 1))
    ]


def test_an_event_that_can_t_be_published_is_not_stepped_over(
    venue: Venue, settings: Settings
) -> None:
    def publications(position: int, event: Any) -> Sequence[Publication]:
        if position == 3:
            raise ZeroDivisionError
        return FEEDS["Orders"].publications(position, event)

    venue.trade_a_little()
    with closing(publisher_of(venue, settings, publications)) as publisher:
        for _ in range(2):
            with pytest.raises(CannotFollow, match="Orders 3 can't be published: Zero"):
                publisher.process_batch("Orders")
        assert publisher.recorder.max_tracking_id("Orders") is None
    assert [message.position for message in take(on(settings, "orders.events"))] in (
        [],
        [1],
        [1, 2],
    )


def test_a_message_as_large_as_a_sweep_of_a_whole_book_goes_through(
    venue: Venue, settings: Settings
) -> None:
    def publications(position: int, event: Any) -> Sequence[Publication]:
        [publication] = FEEDS["Orders"].publications(position, event)
        return [publication._replace(value=json.dumps("x" * 20_000_000).encode())]

    venue.buy(100, 5)
    with closing(publisher_of(venue, settings, publications)) as publisher:
        publisher.process_batch("Orders")
    assert [len(m.value) for m in take(on(settings, "orders.events"))] == [20_000_002]


def test_what_another_database_has_published_is_not_added_to(
    venue: Venue, settings: Settings, published: dict[str, Publisher]
) -> None:
    """As when the database is made anew, and the topics are not."""
    venue.trade_a_little()
    publish(published)
    before = len(on(settings, "orders.events"))
    for publisher in published.values():
        publisher.forget()
    venue.execute("DELETE FROM publisher.destinations")
    venue.execute("DELETE FROM publisher.orderspublisher_tracking")
    with pytest.raises(CannotFollow, match="messages of another database: delete them, or"):
        published["Orders"].process_batch("Orders")
    assert len(on(settings, "orders.events")) == before


def test_progress_that_could_not_be_told_is_told_later(
    venue: Venue, settings: Settings, published: dict[str, Publisher]
) -> None:
    venue.trade_a_little()
    orders = published["Orders"]
    orders._told = time.monotonic() + 3600  # not with the batch
    while orders.process_batch("Orders"):
        pass
    orders._told = 0
    assert orders._sender is not None
    orders._sender._failures = [(KafkaError(KafkaError._MSG_TIMED_OUT), Mock())]
    with pytest.raises(CannotFollow):
        orders.process_batch("Orders")
    publish(published)
    check_topics(venue, settings)


def test_a_position_does_not_move_for_topics_that_are_others_by_now(
    venue: Venue, published: dict[str, Publisher]
) -> None:
    venue.trade_a_little()
    publish(published)
    recorder = published["Orders"].recorder
    position = recorder.max_tracking_id("Orders")
    assert position is not None
    topics = published["Orders"]._topics
    before = {name: topic._replace(id="another") for name, topic in topics.items()}
    move = Advance.of("Orders", [Move("Orders", position, position + 1)])
    ends = {"orders.events": [position] * PARTITIONS}
    with pytest.raises(PositionMoved, match="other topics"):
        recorder.advance(move, before, ends, "orders.events")
    assert recorder.max_tracking_id("Orders") == position
