"""A view is built anew from what was published."""

import os
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from application.persistence.snapshot import Snapshot
from application.views.rebuild import rebuild
from interface.kafka import filling, publishing, topics
from interface.kafka.reading import Gap
from interface.kafka.topics import KafkaAway
from interface.settings import Settings
from system import VIEWS, leaders_of
from tests.integration.conftest import Venue, at_work
from tests.integration.feeding import (
    SECONDS,
    cut,
    delete,
    is_published,
    market,
    servers,
    settled,
    trade,
    views,
    views_of_the_store,
)
from tests.integration.service import eventually

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much


def rebuild_now(venue: Venue, settings: Settings, name: str) -> int:
    done: list[int] = []
    leaders = leaders_of(venue.market, VIEWS[name])
    rebuild(VIEWS[name], leaders, done.append, filling(settings))
    return sum(done)


def published(venue: Venue, settings: Settings) -> None:
    """Some trades, all of them on the topics."""
    with at_work(market(venue, settings)):
        trade(venue)
        eventually(lambda: is_published(venue), SECONDS)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_that_there_was_not_is_there(venue: Venue, settings: Settings, name: str) -> None:
    published(venue, settings)
    [view] = [each for each in venue.market if isinstance(each, VIEWS[name])]
    with Snapshot.take(venue.env) as snapshot:
        events = sum(
            snapshot.count(leader.recorder, view.topics_of(leader.name))
            for leader in leaders_of(venue.market, VIEWS[name])
        )
    assert rebuild_now(venue, settings, name) == events
    assert venue.difference() is None
    venue.settle()
    assert venue.difference() is None


def test_what_is_not_published_yet_comes_from_the_store(venue: Venue, settings: Settings) -> None:
    published(venue, settings)
    trade(venue)
    venue.market.matching.pull_and_process("Orders")
    for name in VIEWS:
        rebuild_now(venue, settings, name)
    assert venue.market.book_view.pending("Matching", 1) == []
    assert venue.difference() is None


@pytest.mark.slow
def test_the_living_view_goes_on_however_it_is_fed(venue: Venue, settings: Settings) -> None:
    for feed in (views(venue, settings), views_of_the_store(venue)):
        with at_work(market(venue, settings), feed):
            trading = threading.Thread(target=trade, args=(venue, 10))
            trading.start()
            for name in VIEWS:
                rebuild_now(venue, settings, name)
            trading.join()
            settled(venue)


def test_where_the_beginning_is_gone_it_is_refused(venue: Venue, settings: Settings) -> None:
    published(venue, settings)
    topic = settings.kafka_topic_prefix + "book.events"
    cut(settings, topic)
    with pytest.raises(Gap, match="all of it is gone"):
        rebuild_now(venue, settings, "books")
    published(venue, settings)
    with pytest.raises(Gap, match="nothing is there after 0 and up to"):
        rebuild_now(venue, settings, "books")
    venue.settle()
    assert venue.difference() is None


def test_the_command_builds_or_says_why_not(venue: Venue, settings: Settings) -> None:
    published(venue, settings)
    done = ome(venue, settings, "rebuild", "orders", "--from", "kafka")
    assert (done.returncode, done.stdout) == (0, "orders: rebuilt\n"), done.stderr
    venue.settle()
    assert venue.difference() is None

    delete(settings, "orders.events")
    done = ome(venue, settings, "rebuild", "orders", "--from", "kafka")
    assert done.returncode == 1
    topic = settings.kafka_topic_prefix + "orders.events"
    assert done.stderr.endswith(
        f"Error: orders can't be rebuilt from Kafka: the topic {topic} is not there:"
        " `ome kafka init` makes it\n"
    )


def test_without_an_answer_it_is_refused(
    venue: Venue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "_SECONDS", 2)
    nobody = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(KafkaAway, match="Kafka is away"):
        rebuild_now(venue, nobody, "orders")


def ome(venue: Venue, settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    names = {
        "host": "HOST",
        "port": "PORT",
        "user": "USER",
        "password": "PASSWORD",
        "dbname": "DBNAME",
    }
    parts = {key: venue.env[f"POSTGRES_{name}"] for key, name in names.items()}
    url = (
        f"postgresql://{parts['user']}:{parts['password']}@/{parts['dbname']}"
        f"?host={parts['host']}&port={parts['port']}"
    )
    return subprocess.run(
        [sys.executable, "-m", "interface.cli", *arguments],
        env={
            **os.environ,
            "DATABASE_URL": url,
            "KAFKA_BOOTSTRAP_SERVERS": servers(settings),
            "KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        },
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_decisions_of_commands_that_are_not_published_yet_come_from_the_store(
    venue: Venue, settings: Settings
) -> None:
    """Matching's log is published further than the log of Orders."""
    published(venue, settings)
    trade(venue)
    venue.market.matching.pull_and_process("Orders")
    [(publisher, leader)] = publishing(settings, venue.env, ["Matching"])(venue.market)
    with closing(publisher):
        while publisher.process_batch(leader):
            pass
    rebuild_now(venue, settings, "orders")
    assert venue.market.order_view.pending("Matching", 1) == []
    assert venue.difference() is None
