"""What tests of views that are fed from Kafka share: engines, and messages by hand."""

import json
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from subprocess import DEVNULL, PIPE, Popen
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient

from interface.engine import Engine, MakeFollowing
from interface.following import Following
from interface.kafka import consuming, publishing
from interface.kafka.topics import create, describe, topics_of
from interface.settings import Settings
from system import FOLLOWERS, VIEWS, Market, followings
from tests.integration.conftest import Venue, has_followed_all
from tests.integration.service import eventually

VIEW_NAMES = tuple(view.name for view in VIEWS.values())
MARKET = [name for name in FOLLOWERS if name not in VIEW_NAMES]
SECONDS = 60


def market(venue: Venue, settings: Settings) -> Engine:
    """Matching, Orders, and the publishers."""
    return Engine(venue.env, names=MARKET, others=publishing(settings, venue.env))


def views(venue: Venue, settings: Settings, names: Collection[str] = VIEW_NAMES) -> Engine:
    """Views that are fed from Kafka."""
    return Engine(venue.env, names=names, make=consuming(settings, names), batch_size=50)


def views_of_the_store(venue: Venue, make: MakeFollowing = Following) -> Engine:
    return Engine(venue.env, names=VIEW_NAMES, make=make)


def servers(settings: Settings) -> str:
    assert settings.kafka_bootstrap_servers is not None
    return settings.kafka_bootstrap_servers


def on(servers: str, prefix: str, partitions: int = 3) -> Settings:
    settings = Settings(
        kafka_bootstrap_servers=servers,
        kafka_topic_prefix=prefix,
        kafka_partitions=partitions,
    )
    create(servers, topics_of(settings))
    return settings


def delete(settings: Settings, *names: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers(settings)})
    topics = [settings.kafka_topic_prefix + name for name in names]
    for deleted in admin.delete_topics(topics).values():
        deleted.result()  # the controller has: the broker hears of it in a moment
    eventually(lambda: not describe(servers(settings), topics), SECONDS)


def trade(venue: Venue, times: int = 5) -> None:
    for _ in range(times):
        for asset in ("BTC-USD", "ETH-USD", "SOL-USD", "DOGE-USD"):
            venue.buy(100, 2, asset=asset)
            venue.sell(100, 1, asset=asset)


def settled(venue: Venue) -> None:
    """Waits until everybody has followed everything, and everything is right."""
    eventually(lambda: has_followed_all(venue.market), SECONDS, lambda: _behind(venue.market))
    assert venue.difference() is None


def is_published(venue: Venue) -> bool:
    """Whether Matching has followed everything, and both publishers."""
    if any(app.pending(leader, 1) for app, leader in followings(venue.market)[:2]):
        return False
    with venue.connect() as connection:
        return all(
            connection.execute(
                f"SELECT FROM publisher.{leader}publisher_tracking WHERE notification_id ="
                f" (SELECT max(notification_id) FROM {leader}_events)"
            ).rowcount
            for leader in ("orders", "matching")
        )


def _behind(market: Market) -> str:
    return str({app.name: app.pending(leader, 1) for app, leader in followings(market)})


def messages(servers: str, topic: str) -> list[Message]:
    """All that is on a topic, partition by partition, in order."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "any", "enable.partition.eof": True}
    )
    try:
        numbers = consumer.list_topics(topic, timeout=SECONDS).topics[topic].partitions
        consumer.assign([Place(topic, number, OFFSET_BEGINNING) for number in numbers])
        found: dict[int, list[Message]] = {number: [] for number in numbers}
        ends = 0
        while ends < len(numbers):
            message = consumer.poll(SECONDS)
            assert message is not None
            if (error := message.error()) is None:
                found[partition(message)].append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF
                ends += 1
        return [message for number in numbers for message in found[number]]
    finally:
        consumer.close()


def partition(message: Message) -> int:
    number = message.partition()
    assert number is not None
    return number


def headers(message: Message) -> dict[str, str]:
    found = cast("list[tuple[str, bytes]]", message.headers())
    return {name: value.decode() for name, value in found}


def send(servers: str, topic: str, number: int, value: bytes, heads: dict[str, str]) -> None:
    """A message by somebody's hand."""
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(topic, value, partition=number, headers=dict(heads))
    assert producer.flush(SECONDS) == 0


def send_all(servers: str, topic: str, number: int, heads: Sequence[dict[str, str]]) -> None:
    """Messages that say nothing."""
    producer = Producer({"bootstrap.servers": servers})
    for each in heads:
        producer.produce(topic, b"{}", partition=number, headers=dict(each))
    assert producer.flush(SECONDS) == 0


def cut(settings: Settings, topic: str) -> None:
    """As retention does."""
    admin = AdminClient({"bootstrap.servers": servers(settings)})
    ends = [
        Place(topic, number, max((each.offset() or 0) + 1 for each in messages_))
        for number, messages_ in by_partition(settings, topic).items()
    ]
    for deleted in admin.delete_records(ends).values():
        deleted.result()


def by_partition(settings: Settings, topic: str) -> dict[int, list[Message]]:
    found: dict[int, list[Message]] = {}
    for message in messages(servers(settings), topic):
        found.setdefault(partition(message), []).append(message)
    return found


@contextmanager
def worker(
    venue: Venue, settings: Settings, names: Collection[str] = VIEW_NAMES
) -> "Iterator[Popen[str]]":
    """A process that runs followers which are fed from Kafka; see feeder.py."""
    what = {"env": venue.env, "settings": settings.model_dump(mode="json"), "names": [*names]}
    with Popen(
        [sys.executable, "-m", "tests.integration.feeder", json.dumps(what)],
        stdin=DEVNULL,
        stdout=PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            yield process
        finally:
            process.kill()
