"""Any number of Matching workers share the books, by the partitions that Kafka gives them."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from application.deciding import COMMANDS
from application.matching import Matching
from application.persistence.locks import alone
from application.persistence.partitions import Reach
from domain.order_book import OrderBook
from domain.requests import LimitsRequest
from interface.engine import Engine
from interface.kafka import consuming, publishing
from interface.kafka.topics import create, topics_of
from interface.settings import Settings
from system import FOLLOWERS
from tests.integration import feeding
from tests.integration.conftest import Venue, at_work, has_followed_all
from tests.integration.load import Load, check
from tests.integration.parts import Parts
from tests.integration.service import eventually
from tests.integration.test_kills import MANY
from tests.integration.test_rebuilding import check_rebuilds
from tests.integration.topics import check_messages, log_of
from tests.kafka.program import free_port
from tests.kafka.sharing import Kafka

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

ASSETS = [f"ASSET-{number}" for number in range(12)]
WORKERS = 4
SESSION_SECONDS = 2
REST = [name for name in FOLLOWERS if name != Matching.name]


@pytest.fixture
def settings(kafka: Kafka, topic_prefix: str, patience_with_kafka: None) -> Settings:
    settings = Settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        kafka_topic_prefix=topic_prefix,
        kafka_partitions=6,
        kafka_session_seconds=SESSION_SECONDS,
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
    eventually(lambda: has_followed_all(venue.market), 60)
    assert venue.difference() is None


def is_all_published(venue: Venue, settings: Settings) -> bool:
    try:
        check_messages(venue, settings)
    except AssertionError:
        return False
    return True


@pytest.mark.slow
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


def test_what_is_asked_about_all_assets_reaches_every_worker(
    venue: Venue, settings: Settings
) -> None:
    """Who is suspended has no order left anywhere, and gets none in, while two share the books."""
    first, second = (in_this_process(venue, settings) for _ in range(2))
    with at_work(the_rest(venue, settings), first, second):
        mine = [venue.buy(90, 1, asset=asset, user_id="mine") for asset in ASSETS]
        trade(venue, times=1)
        venue.suspend("mine")
        late = [venue.buy(91, 1, asset=asset, user_id="mine") for asset in ASSETS]
        trade(venue, times=1)
        venue.set_rules(lot_size=2)
        broken = [venue.buy(92, 1, asset=asset) for asset in ASSETS]
        venue.cancel_all("user")
        all_is_matched(venue)
        eventually(lambda: is_all_published(venue, settings), 60)
    for orders, status in ((mine, "CANCELLED"), (late, "REJECTED"), (broken, "REJECTED")):
        assert {venue.market.orders.get(order_id).status for order_id in orders} == {status}


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_a_worker_that_hangs_while_it_records_hands_its_assets_to_another(
    venue: Venue, settings: Settings
) -> None:
    with feeding.worker(venue, settings, [Matching.name]) as hanging:
        with at_work(the_rest(venue, settings)):
            trade(venue)
            all_is_matched(venue)
        hanging.send_signal(signal.SIGUSR1)
        trade(venue)
        with at_work(the_rest(venue, settings)):
            stopped = psutil.Process(hanging.pid)
            eventually(lambda: stopped.status() == psutil.STATUS_STOPPED, 60)
            with at_work(in_this_process(venue, settings)):
                all_is_matched(venue)
                hanging.send_signal(signal.SIGCONT)
                trade(venue)
                all_is_matched(venue)


@pytest.mark.slow
def test_a_process_that_hangs_while_it_makes_the_tables_keeps_nobody_from_starting(
    venue: Venue, settings: Settings, database_url: str
) -> None:
    with (
        at_work(the_rest(venue, settings)),
        alone(venue.env, "create tables"),  # and nothing more is heard of it
        worker(database_url, settings),
    ):
        trade(venue, times=1)
        eventually(lambda: has_followed_all(venue.market), 60)


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
        eventually(lambda: all(each.is_our_turn for each in engine._followings), 60)
        with at_work(shard):
            trade(venue)
            all_is_matched(venue)
            assert not shard._followings[0].is_our_turn
            engine.stop()
            trade(venue)
            eventually(lambda: shard._followings[0].is_our_turn, 60)
            eventually(lambda: not venue.market.matching.pending("Orders", limit=1), 60)
    # With nobody at work: this follows the whole log, and would be in the way of who shares it.
    venue.settle()
    assert venue.difference() is None


@pytest.fixture
def parts(venue: Venue, settings: Settings, database_url: str, short_dir: Path) -> Iterator[Parts]:
    place = {"port": free_port(), "database_url": SecretStr(database_url), "log_level": "WARNING"}
    counts = {"api": 1, "matching": WORKERS, "orders": 1, "publisher": 1, "views": 1}
    with Parts(settings.model_copy(update=place), short_dir, **counts) as parts:
        yield parts


class Group:
    """Workers that join, leave and hang while there is work."""

    def __init__(self, parts: Parts, venue: Venue, settings: Settings, seed: int) -> None:
        self._name = settings.kafka_topic_prefix + Matching.name  # with what it begins
        self._kafka = AdminClient({"bootstrap.servers": feeding.servers(settings)})
        self._parts = parts
        self._workers = parts.running["matching"]
        self._venue = venue
        self._chance = random.Random(seed)

    def leave(self) -> None:
        """In an orderly way, or by kill -9."""
        sign = self._chance.choice((signal.SIGTERM, signal.SIGKILL))
        self._parts.end(self._chance.choice(self._workers), sign)
        self._go_on()

    def join(self) -> None:
        self._parts.start("matching")
        self._go_on()

    def hang(self) -> None:
        """Past its session: others have all its partitions when it goes on."""
        eventually(self._are_all_at_work, 60, self._parts.said)
        hanging = self._chance.choice(self._workers)
        hanging.send_signal(signal.SIGSTOP)
        try:
            time.sleep(2 * SESSION_SECONDS)
            self._go_on()
        finally:
            hanging.send_signal(signal.SIGCONT)
        self._go_on()

    def _are_all_at_work(self) -> bool:
        found = self._kafka.list_consumer_groups().result().valid
        names = [each.group_id for each in found if each.group_id.startswith(self._name)]
        if not names:  # which may not be asked for
            return False
        groups = [each.result() for each in self._kafka.describe_consumer_groups(names).values()]
        return [(each.state, len(each.members)) for each in groups] == [
            (ConsumerGroupState.STABLE, len(self._workers))
        ]

    def _go_on(self) -> None:
        """Until everything that is asked by now is decided."""
        asked = self._venue.market.orders.recorder.max_notification_id()
        assert asked is not None
        eventually(lambda: self._have_decided(asked), 60, self._parts.said)

    def _have_decided(self, position: int) -> bool:
        reach = Reach.read(self._venue.market.matching.recorder, "Orders")
        return all(reach.covers(position, asset) for asset in ASSETS)


def check_decisions(venue: Venue) -> None:
    """Every command is decided, and none twice."""
    orders, books = log_of(venue, "Orders"), log_of(venue, "Matching")
    # Limits are for the venue to hear, and for no book to decide.
    asked = [
        position
        for position, event in orders
        if isinstance(event, COMMANDS) and not isinstance(event, LimitsRequest.Created)
    ]
    decided = [event.position for _, event in books if isinstance(event, OrderBook.Decided)]
    assert sorted(decided) == asked


def test_a_group_of_four_decides_every_command_once_whoever_leaves_joins_or_hangs(
    parts: Parts, venue: Venue, settings: Settings, database_url: str
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    group = Group(parts, venue, settings, seed)
    with Load(parts.url, clients=3, seed=seed, assets=ASSETS) as load:
        load.wait_for(50)
        for happens in (group.hang, group.leave, group.join):
            happens()
    print(load.summary())
    parts.check(venue)
    check(load, database_url)
    check_decisions(venue)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_a_group_that_changes_all_the_time_decides_every_command_once(
    parts: Parts, venue: Venue, settings: Settings, database_url: str
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    group = Group(parts, venue, settings, seed)
    chance = random.Random(seed)
    for _ in range(MANY):
        with Load(parts.url, seed=chance.randrange(2**32), assets=ASSETS) as load:
            load.wait_for(50)
            for happens in chance.sample((group.hang, group.leave, group.join), 3):
                print(happens.__name__)
                happens()
        print(load.summary())
        parts.check(venue)
        check(load, database_url)
        check_decisions(venue)
    check_rebuilds(venue)
