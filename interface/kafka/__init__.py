"""Kafka: what happens is published there, and what is published is put together here."""

from collections.abc import Mapping

from application.persistence.locks import alone
from application.publishing import FEEDS
from interface.engine import Followings, Others
from interface.kafka.publisher import Kafka, Publisher
from interface.settings import Settings
from system import ENV, Market


def publishing(settings: Settings, env: Mapping[str, str]) -> Others:
    """Makes the publishers' tables; gives what makes the publishers of a market's logs."""
    assert settings.kafka_bootstrap_servers is not None  # noqa: S101 - the caller has looked
    kafka = Kafka(
        settings.kafka_bootstrap_servers,
        settings.kafka_topic_prefix,
        settings.kafka_type_prefix,
    )
    with alone(env, "create tables"):
        for leader, feed in FEEDS.items():
            Publisher({**ENV, **env, "CREATE_TABLE": "y"}, leader, feed, kafka).close()

    def publishers(market: Market) -> Followings:
        for leader in (market.orders, market.matching):
            publisher = Publisher({**ENV, **env}, leader.name, FEEDS[leader.name], kafka)
            publisher.follow(leader.name, leader.notification_log)
            yield publisher, leader.name

    return publishers
