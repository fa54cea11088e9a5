"""Parts around Kafka are killed by kill -9 under load, at random moments.

Nothing that was told is lost, nothing is applied twice, and what is on the topics is the store.
FAULTS is how many kills of each part the slow tests do.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import pytest
from pydantic import SecretStr

from benchmarks.workload import orders
from interface.kafka.topics import create, topics_of
from interface.settings import Settings
from tests.integration.conftest import Venue
from tests.integration.flow import Flow
from tests.integration.load import Load, check
from tests.integration.parts import ROOT, Parts
from tests.integration.service import START_SECONDS, eventually
from tests.integration.test_kills import MANY
from tests.integration.test_rebuilding import check_rebuilds
from tests.kafka.broker import Broker
from tests.kafka.program import free_port
from tests.real_flow import LOBSTER, needs_real_flow

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

BROKER: Final = "broker"
KILLED: Final = ("publisher", "views", "matching", BROKER)
COUNTS: Final = {"api": 1, "matching": 2, "orders": 1, "publisher": 1, "views": 2}
SESSION_SECONDS: Final = 2
ORDERS: Final = 20_000
FLOW_SECONDS: Final = 50


@dataclass
class Running:
    """The service in its parts, with a broker and a database of its own, and what befalls it."""

    parts: Parts
    broker: Broker
    venue: Venue
    chance: random.Random

    def kill(self, part: str) -> None:
        """There is another in its place after a while, in which others may have its work."""
        print(f"kill -9 of {part}")
        if part == BROKER:
            self.broker.kill()
            self.broker.start()
        else:
            self.parts.end(self.chance.choice(self.parts.running[part]))
            time.sleep(self.chance.uniform(0, 1.5 * SESSION_SECONDS))
            self.parts.start(part)

    def load(self) -> Load:
        return Load(self.parts.url, clients=4, seed=self.chance.randrange(2**32))

    def check(self) -> None:
        self.parts.check(self.venue)


@pytest.fixture
def running(
    own_broker: Broker, venue: Venue, database_url: str, short_dir: Path
) -> Iterator[Running]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    settings = Settings(
        port=free_port(),
        database_url=SecretStr(database_url),
        kafka_bootstrap_servers=own_broker.bootstrap_servers,
        kafka_partitions=3,
        kafka_session_seconds=SESSION_SECONDS,
        log_level="WARNING",
    )
    create(own_broker.bootstrap_servers, topics_of(settings))
    with Parts(settings, short_dir, **COUNTS) as parts:
        yield Running(parts, own_broker, venue, random.Random(seed))


def test_kills_of_each_part_lose_nothing_and_repeat_nothing(
    running: Running, database_url: str
) -> None:
    with running.load() as load:
        for part in running.chance.sample(KILLED, len(KILLED)):
            load.wait_for(20)
            time.sleep(running.chance.random())
            running.kill(part)
        load.wait_for(20)
    print(load.summary())
    running.check()
    check(load, database_url)
    check_rebuilds(running.venue)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", KILLED)
def test_many_kills_lose_nothing_and_repeat_nothing(
    running: Running, database_url: str, part: str
) -> None:
    away = []
    for _ in range(MANY):
        with running.load() as load:
            load.wait_for(30)
            time.sleep(running.chance.random())
            killed = time.monotonic()
            running.kill(part)
            load.wait_for(30)
            time.sleep(running.chance.random())
        running.check()
        away.append(time.monotonic() - killed)
        print(load.summary())
        check(load, database_url)
    check_rebuilds(running.venue)
    print(f"{MANY} kills of {part}: checked after {median(away):.1f} s, {max(away):.1f} s at most")


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_twenty_thousand_orders_go_through_kills_of_each_part(running: Running) -> None:
    chance = running.chance
    flow = orders(ORDERS, seed=chance.randrange(2**32))
    killed = chance.sample(KILLED * 2, 2 * len(KILLED))
    apart = ORDERS // len(killed)
    started = time.monotonic()
    with Flow(running.parts.url, flow, seconds=FLOW_SECONDS) as flowing:
        for start, part in zip(range(0, ORDERS, apart), killed, strict=True):
            flowing.wait_until(chance.randrange(start, start + apart))
            print(f"{len(flowing.order_ids)} orders")
            running.kill(part)
    assert flowing.failure is None
    print(f"{ORDERS} orders in {time.monotonic() - started:.1f} s")
    running.check()
    assert stored_orders(running.venue) == sorted(flowing.order_ids)
    check_rebuilds(running.venue)


def stored_orders(venue: Venue) -> list[str]:
    """The ids of all that the order view has; none is still to be decided."""
    with venue.connect() as connection:
        rows = connection.execute("SELECT order_id, status FROM order_view.orders").fetchall()
    assert "PENDING" not in {row["status"] for row in rows}
    return sorted(str(row["order_id"]) for row in rows)


@needs_real_flow
@pytest.mark.slow
@pytest.mark.timeout(0)
def test_real_order_flow_gets_its_fills_through_kills_of_each_part(running: Running) -> None:
    for part in running.chance.sample(KILLED, len(KILLED)):
        with replaying(running.parts.url) as replay:
            wait_for_more(running.venue, running.chance.randrange(1, 900))  # of its 945 commands
            running.kill(part)
            said, _ = replay.communicate(timeout=180)
        report: dict[str, Any] = json.loads(said)
        print(report)
        assert report["differences"] == []
        assert (report["commands"], report["trades"], report["expected_fills"]) == (945, 94, 94)
    running.check()
    check_rebuilds(running.venue)


def wait_for_more(venue: Venue, events: int) -> None:
    """Until the log of Orders has so many more."""
    recorder = venue.market.orders.recorder
    goal = (recorder.max_notification_id() or 0) + events
    eventually(lambda: (recorder.max_notification_id() or 0) >= goal, START_SECONDS)


def replaying(url: str) -> "subprocess.Popen[bytes]":
    """Has the command line send real orders and compare the fills with those of NASDAQ."""
    flow = str(LOBSTER / "commands.jsonl.gz")
    return subprocess.Popen(
        [sys.executable, "-m", "interface.cli", "replay", flow, "--json", "--url", url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
