"""Any number of Matching workers share the books, by the partitions that Kafka gives them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from application.matching import Matching
from application.persistence.partitions import Reach
from interface.engine import Engine
from interface.kafka import consuming, publishing
from interface.kafka.topics import create, topics_of
from interface.settings import Settings
from system import FOLLOWERS
from tests.integration.conftest import Venue, at_work, has_followed_all
from tests.integration.service import eventually
from tests.kafka.sharing import Kafka

ASSETS = [f"ASSET-{number}" for number in range(12)]
REST = [name for name in FOLLOWERS if name != Matching.name]


@pytest.fixture
def settings(kafka: Kafka, topic_prefix: str) -> Settings:
    settings = Settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        kafka_topic_prefix=topic_prefix,
        kafka_partitions=6,
        kafka_session_seconds=2,
    )
    create(kafka.bootstrap_servers, topics_of(settings))
    return settings


@contextmanager
def worker(url: str, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A process that matches in the partitions that it is given."""
    process = subprocess.Popen(
        [sys.executable, "-m", "interface.cli", "run", "--role", "matching"],
        env={**os.environ, **settings.environment(), "DATABASE_URL": url, "LOG_LEVEL": "WARNING"},
        cwd=Path(__file__).resolve().parents[2],
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def the_rest(venue: Venue, settings: Settings) -> Engine:
    """All but Matching: the views follow the store."""
    return Engine(venue.env, names=REST, others=publishing(settings, venue.env))


def in_this_process(venue: Venue, settings: Settings) -> Engine:
    names = [Matching.name]
    return Engine(venue.env, names=names, make=consuming(settings, names))


def trade(venue: Venue, times: int = 4) -> None:
    for _ in range(times):
        for asset in ASSETS:
            venue.buy(100, 2, asset=asset)
            venue.sell(100, 1, asset=asset)


def all_is_matched(venue: Venue) -> None:
    eventually(lambda: has_followed_all(venue.market), 40)
    assert venue.difference() is None


def test_workers_that_join_and_leave_decide_every_command_once(
    venue: Venue, settings: Settings
) -> None:
    first, second, third = (in_this_process(venue, settings) for _ in range(3))
    with at_work(the_rest(venue, settings), first, second):
        trade(venue)
        all_is_matched(venue)
        with at_work(third):
            trade(venue)
        first.stop()
        trade(venue)
        all_is_matched(venue)


def test_a_worker_that_is_killed_hands_its_assets_to_the_others(
    venue: Venue, settings: Settings, database_url: str
) -> None:
    with ExitStack() as workers:
        group = [workers.enter_context(worker(database_url, settings)) for _ in range(3)]
        with at_work(the_rest(venue, settings)):
            trade(venue)
            all_is_matched(venue)
            for process in group[:2]:
                trade(venue)
                process.kill()
            trade(venue)
            all_is_matched(venue)


def test_a_worker_that_hung_past_its_session_harms_nobody(
    venue: Venue, settings: Settings, database_url: str
) -> None:
    with (
        worker(database_url, settings) as hanging,
        worker(database_url, settings),
        at_work(the_rest(venue, settings)),
    ):
        trade(venue)
        all_is_matched(venue)
        hanging.send_signal(signal.SIGSTOP)
        trade(venue)
        all_is_matched(venue)  # by the other
        hanging.send_signal(signal.SIGCONT)
        trade(venue)
        all_is_matched(venue)
        assert hanging.poll() is None


def test_matching_goes_from_the_store_to_shards_and_back(venue: Venue, settings: Settings) -> None:
    recorder = venue.market.matching.recorder
    with at_work(the_rest(venue, settings)):
        for _ in range(2):
            with at_work(Engine(venue.env, names=[Matching.name])):
                trade(venue)
                all_is_matched(venue)
            assert not Reach.read(recorder, "Orders").is_by_partition
            with at_work(in_this_process(venue, settings)):
                trade(venue)
                all_is_matched(venue)
            assert Reach.read(recorder, "Orders").is_by_partition


def test_workers_wait_while_one_engine_matches_all(venue: Venue, settings: Settings) -> None:
    engine, shard = Engine(venue.env), in_this_process(venue, settings)
    with at_work(engine, Engine(venue.env, names=[], others=publishing(settings, venue.env))):
        eventually(lambda: all(each.is_our_turn for each in engine._followings), 10)
        with at_work(shard):
            trade(venue)
            all_is_matched(venue)
            assert not shard._followings[0].is_our_turn
            engine.stop()
            trade(venue)
            eventually(lambda: shard._followings[0].is_our_turn, 10)
            eventually(lambda: not venue.market.matching.pending("Orders", limit=1), 40)
            venue.settle()
            assert venue.difference() is None
