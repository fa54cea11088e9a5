import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tests.kafka.broker import Broker, ZooKeeperBroker
from tests.kafka.runtime import or_skip
from tests.kafka.topics import create_topics

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

MESSAGES = [f"message {number}" for number in range(1000)]


@pytest.fixture
def zookeeper_broker(short_dir: Path) -> Iterator[ZooKeeperBroker]:
    with or_skip(lambda: ZooKeeperBroker(short_dir)) as broker:
        yield broker


def publish(bootstrap_servers: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers, "enable.idempotence": True})
    for message in MESSAGES:
        producer.produce(topic, message)
    assert producer.flush(60) == 0


def consume(bootstrap_servers: str, topic: str) -> list[str]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    texts: list[str] = []
    while len(texts) < len(MESSAGES):
        for message in consumer.consume(1000, timeout=0.5):
            assert message.error() is None
            texts.append((message.value() or b"").decode())
    consumer.close()
    return texts


def test_what_is_produced_is_consumed(kafka, topic_prefix):
    create_topics(kafka.bootstrap_servers, f"{topic_prefix}messages")
    publish(kafka.bootstrap_servers, f"{topic_prefix}messages")
    assert consume(kafka.bootstrap_servers, f"{topic_prefix}messages") == MESSAGES


def test_no_topic_comes_into_being_by_accident(kafka, topic_prefix):
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "topic.metadata.propagation.max.ms": 0,  # how long a topic may be on its way
        }
    )
    told: list[KafkaError | None] = []
    producer.produce(
        f"{topic_prefix}unknown", "message", on_delivery=lambda error, _: told.append(error)
    )
    producer.flush(60)
    assert [error and error.name() for error in told] == ["UNKNOWN_TOPIC_OR_PART"]


@pytest.mark.slow
def test_a_killed_broker_serves_again_what_it_had(own_broker: Broker):
    create_topics(own_broker.bootstrap_servers, "messages")
    publish(own_broker.bootstrap_servers, "messages")
    own_broker.kill()
    own_broker.start()
    assert consume(own_broker.bootstrap_servers, "messages") == MESSAGES


@pytest.mark.slow
def test_a_paused_broker_is_silent_until_it_goes_on(own_broker: Broker):
    admin = AdminClient({"bootstrap.servers": own_broker.bootstrap_servers})
    own_broker.pause()
    with pytest.raises(KafkaException):
        admin.list_topics(timeout=1)
    own_broker.resume()
    assert len(admin.list_topics(timeout=60).brokers) == 1


@pytest.mark.slow
def test_a_killed_broker_with_its_zookeeper_serves_again_what_it_had(
    zookeeper_broker: ZooKeeperBroker,
):
    create_topics(zookeeper_broker.bootstrap_servers, "messages")
    publish(zookeeper_broker.bootstrap_servers, "messages")
    zookeeper_broker.kill()
    zookeeper_broker.start()
    assert consume(zookeeper_broker.bootstrap_servers, "messages") == MESSAGES
