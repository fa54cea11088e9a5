"""Kafka: what happens is published there, and what is published is put together here."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence

from application.persistence.following import BatchFollower
from application.persistence.publisher_tables import SCHEMA
from application.persistence.schemas import beside
from application.publishing import FEEDS
from application.reading import event_of, types_beside
from application.views.rebuild import Fill
from application.views.view import View
from interface.engine import Followings, MakeFollowing, Others
from interface.following import Following
from interface.kafka.consuming import Consuming
from interface.kafka.envelope import Opener
from interface.kafka.filling import fill
from interface.kafka.publisher import Kafka, Publisher
from interface.kafka.reading import Source
from interface.kafka.topics import DEAD_LETTERS, topics_of
from interface.settings import Settings
from system import ENV, Market


def publishers(
    settings: Settings, env: Mapping[str, str], leaders: Collection[str] = FEEDS.keys()
) -> list[Publisher]:
    """Make the publishers of leaders' logs, which also read how far these are published."""
    assert settings.kafka_bootstrap_servers is not None  # noqa: S101 - the caller has looked
    kafka = Kafka(
        settings.kafka_bootstrap_servers,
        settings.kafka_topic_prefix,
        settings.kafka_type_prefix,
        topics_of(settings),
    )
    return [Publisher({**ENV, **env}, leader, FEEDS[leader], kafka) for leader in leaders]


def publishing(
    settings: Settings, env: Mapping[str, str], leaders: Collection[str] = FEEDS.keys()
) -> Others:
    """Return a function that makes publishers, which follow the logs of a market's leaders."""

    def follow(market: Market) -> Followings:
        apps = {app.name: app for app in (market.orders, market.matching)}
        for publisher in publishers(settings, env, leaders):
            leader = apps[publisher.leader]
            publisher.follow(leader.name, leader.notification_log)
            yield publisher, leader.name

    return follow


def consuming(settings: Settings, names: Collection[str]) -> MakeFollowing:
    """Return a function that makes these followers take their leaders' logs from topics."""

    def make(
        follower: BatchFollower,
        leaders: Sequence[str],
        batch_size: int,
        stopping: threading.Event,
    ) -> Following:
        if follower.name not in names:
            return Following(follower, leaders, batch_size, stopping)
        sources = [source_of(settings, leader, follower) for leader in leaders]
        return Consuming(follower, batch_size, stopping, sources)

    return make


def filling(settings: Settings) -> Fill:
    """Return a function that fills a rebuilt view from its leader's topic."""

    def fill_from_topic(view: View, leader: str, progress: Callable[[int], None]) -> None:
        fill(source_of(settings, leader, view), view, progress)

    return fill_from_topic


def source_of(settings: Settings, leader: str, follower: BatchFollower) -> Source:
    """Return the source of a leader's log for a follower."""
    assert settings.kafka_bootstrap_servers is not None  # noqa: S101 - the caller has looked
    prefix = settings.kafka_topic_prefix
    log_topic, *_ = FEEDS[leader].topics
    return Source(
        servers=settings.kafka_bootstrap_servers,
        topic=prefix + log_topic,
        group=prefix + follower.name,
        leader=leader,
        opener=Opener(f"/{leader}", settings.kafka_type_prefix),
        dead_letters=prefix + DEAD_LETTERS,
        event_of=event_of,
        passed_over=types_beside(follower.topics_of(leader)),
        session_ms=int(settings.kafka_session_seconds * 1000),
        publishers=beside(settings.database_schema, SCHEMA),
    )
