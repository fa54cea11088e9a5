"""Read models that are fed from Kafka: any number of consumers, which come and go."""

import signal
from typing import Any

import pytest

from application.persistence.log import Entry
from application.persistence.partitions import Reach
from application.reading import event_of
from interface.kafka.envelope import Opener
from interface.kafka.sender import PROGRESS
from interface.settings import Settings
from system import followings
from tests.integration.conftest import Venue, at_work
from tests.integration.feeding import (
    SECONDS,
    VIEW_NAMES,
    market,
    messages,
    partition,
    servers,
    settled,
    trade,
    views,
    views_of_the_store,
    worker,
)
from tests.integration.service import eventually

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much


def test_views_are_fed_from_kafka(venue: Venue, settings: Settings) -> None:
    with at_work(market(venue, settings), views(venue, settings)):
        trade(venue)
        settled(venue)
    assert len(venue.market.trade_view.recorder.trades(limit=100)) == 20
    for view, leader in [pair for pair in followings(venue.market) if pair[0].name in VIEW_NAMES]:
        assert Reach.read(view.recorder, leader).is_by_partition


def test_consumers_of_a_view_come_and_go(venue: Venue, settings: Settings) -> None:
    first, second, third = (views(venue, settings) for _ in range(3))
    with at_work(market(venue, settings), first, second):
        trade(venue)
        with at_work(third):
            trade(venue)
            first.stop()
            trade(venue)
        settled(venue)


def test_a_consumer_is_killed_and_another_goes_on(venue: Venue, settings: Settings) -> None:
    with at_work(market(venue, settings)), worker(venue, settings) as process:
        trade(venue)
        eventually(lambda: venue.market.trade_view.recorder.trades(limit=1) != [], SECONDS)
        trade(venue)
        process.kill()
        with at_work(views(venue, settings)):
            trade(venue)
            settled(venue)


def test_a_consumer_that_stood_still_for_too_long_finds_that_others_went_on(
    venue: Venue, settings: Settings
) -> None:
    with at_work(market(venue, settings)), worker(venue, settings) as process:
        trade(venue)
        eventually(lambda: venue.market.trade_view.recorder.trades(limit=1) != [], SECONDS)
        trade(venue)
        process.send_signal(signal.SIGSTOP)
        other = views(venue, settings)
        with at_work(other):
            trade(venue)
            settled(venue)
            process.send_signal(signal.SIGCONT)
            trade(venue)
            settled(venue)
        trade(venue)
        settled(venue)  # by the one that stood still


def test_kafka_is_switched_on_and_off(venue: Venue, settings: Settings) -> None:
    with at_work(market(venue, settings)):
        for feed in (views, lambda venue, _: views_of_the_store(venue), views):
            with at_work(feed(venue, settings)):
                trade(venue)
                settled(venue)
            trade(venue)  # with no views at work
        with at_work(views_of_the_store(venue)):
            settled(venue)


def test_what_is_published_is_the_store(venue: Venue, settings: Settings) -> None:
    """Once what is there twice is dropped, by position."""
    with at_work(market(venue, settings), views(venue, settings)):
        trade(venue)
        settled(venue)
    venue.execute("DELETE FROM publisher.orderspublisher_tracking")
    venue.execute("DELETE FROM publisher.matchingpublisher_tracking")
    for leader in (venue.market.orders, venue.market.matching):
        leave_a_gap(venue, leader.recorder)
    with at_work(market(venue, settings), views(venue, settings)):
        trade(venue)
        settled(venue)
        eventually(lambda: all_is_published(venue, settings), SECONDS)
    for leader in (venue.market.orders, venue.market.matching):
        published, repeated = had(settings, leader.name)
        assert repeated > 0
        stored = what_is_stored(leader)
        assert sorted(published, key=lambda entry: entry[0]) == stored
        assets = {event.asset for _, event in stored}
        for asset in assets:  # as they stand on the topic
            assert [each for each in published if each[1].asset == asset] == [
                each for each in stored if each[1].asset == asset
            ]


def leave_a_gap(venue: Venue, recorder: Any) -> None:
    """As whoever finds that his position moved: a place in the log with nothing in it."""
    table = f"{recorder.datastore.schema}.{recorder.events_table_name}"
    venue.execute(f"SELECT nextval(pg_get_serial_sequence('{table}', 'notification_id'))")


def all_is_published(venue: Venue, settings: Settings) -> bool:
    leaders = (venue.market.orders, venue.market.matching)
    return all(
        len(had(settings, leader.name)[0]) == len(what_is_stored(leader)) for leader in leaders
    )


def what_is_stored(leader: Any) -> list[Entry]:
    decode = leader.mapper.to_domain_event
    return [(each.id, decode(each)) for each in leader.recorder.select_notifications(1, 10_000)]


def had(settings: Settings, leader: str) -> tuple[list[Entry], int]:
    """The events that a consumer of the log takes from its topic, and what it drops."""
    topic = {"Orders": "orders.events", "Matching": "book.events"}[leader]
    prefix = settings.kafka_topic_prefix
    opener = Opener(f"/{leader}", settings.kafka_type_prefix)
    mine: dict[int, int] = {}
    taken, dropped = [], 0
    for message in messages(servers(settings), prefix + topic):
        envelope = opener.open(message)
        position = mine.get(partition(message), 0)
        if envelope.position <= position:
            dropped += 1
            continue
        assert envelope.predecessor <= position
        mine[partition(message)] = envelope.position
        if envelope.type != PROGRESS:
            taken.append((envelope.position, event_of(envelope.type, message.value() or b"")))
    return taken, dropped
