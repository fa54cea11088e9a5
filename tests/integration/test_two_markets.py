"""Two markets in two schemas of one database do not see each other."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from application.persistence.connection import connect
from application.persistence.locks import alone
from application.persistence.schemas import MAX_BYTES, check_schema
from application.snapshots import SnapshotTaker
from application.views.rebuild import rebuild
from domain.values import book_id
from interface.engine import Engine
from system import VIEWS, build, create_tables, leaders_of
from tests.http.support import order
from tests.integration.conftest import Venue, at_work, has_followed_all, patient
from tests.integration.plain_consumer import read
from tests.integration.service import Service, client, eventually, place
from tests.kafka.sharing import Kafka

LONGEST = 'Ä "market" of \'{}\\ ' + "m" * (MAX_BYTES - 20)
BTC = "BTC-USD"


@pytest.fixture(params=["other", LONGEST])
def venues(library_env: dict[str, str], request: pytest.FixtureRequest) -> Iterator[list[Venue]]:
    with ExitStack() as stack:
        made = []
        for schema in ("public", request.param):
            env = patient({**library_env, "DATABASE_SCHEMA": check_schema(schema)})
            create_tables(env)
            made.append(Venue(stack.enter_context(closing(build(env))), env))
        yield made


def test_what_happens_in_one_is_nothing_to_the_other(venues: list[Venue]) -> None:
    one, other = venues
    one.trade_a_little()
    assert other.market.order_view.recorder.orders(limit=10) == []
    other.sell(100, 5)
    other.settle()
    assert other.market.book_view.recorder.resting(BTC, None).version == 1
    assert SnapshotTaker(other.market.matching, 1).take_due() == 1
    before = one.market.book_view.recorder.resting(BTC, None)
    for view in VIEWS.values():
        with alone(one.env, f"rebuild {view.env['POSTGRES_SCHEMA']}", wait=False):
            rebuild(view, leaders_of(other.market, view), lambda _: None)
    other.pass_time(BTC, other.tick())
    other.buy(100, 2)
    other.settle()
    assert one.market.book_view.recorder.resting(BTC, None) == before
    assert one.market.matching.snapshots.recorder.versions(book_id(BTC)) == []
    assert [venue.difference() for venue in venues] == [None, None]


def test_both_are_at_work_at_the_same_time_and_one_outlives_the_other(
    venues: list[Venue],
) -> None:
    engines = [Engine(venue.env) for venue in venues]
    with at_work(engines[0]):
        with at_work(engines[1]):
            for venue in venues:
                venue.sell(100, 5)
                venue.buy(100, 3)
            for venue in venues:
                eventually(lambda venue=venue: has_followed_all(venue.market), 60)  # type: ignore[misc]
            assert [engine.is_at_work("Matching") for engine in engines] == [True, True]
        venues[0].buy(100, 2)
        eventually(lambda: has_followed_all(venues[0].market), 60)
    rows = [venue.market.book_view.recorder.resting(BTC, None) for venue in venues]
    assert [row.version for row in rows] == [3, 2]
    assert [[ask.quantity for ask in row.asks] for row in rows] == [[], [2]]
    assert [venue.difference() for venue in venues] == [None, None]


def test_channels_carry_the_schema(venues: list[Venue]) -> None:
    channels = [[app.recorder.channel_name for app in venue.market] for venue in venues]
    assert not set(channels[0]) & set(channels[1])
    assert all(len(name.encode()) <= 63 for names in channels for name in names)
    with connect(venues[1].env) as connection:
        for name in channels[1]:
            connection.execute("SELECT pg_notify(%s, '')", [name])


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "m" * (MAX_BYTES + 1),
        "pg",
        "pg_market",
        "information_schema",
        "blue_order_view",
        "a\nb",
        "%",
        "50 %s",
        "$$",
        "a$make$",
    ],
)
def test_a_name_that_can_not_be_used_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(ValueError, match="must"):
        check_schema(name)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_of_two_services_with_kafka_one_is_killed_and_goes_on(
    database_url: str, kafka: Kafka, topic_prefix: str, short_dir: Path
) -> None:
    with ExitStack() as stack:
        running = []
        for name in ("public", "other"):
            directory = short_dir / name
            directory.mkdir()
            service = Service(
                directory,
                DATABASE_URL=database_url,
                DATABASE_SCHEMA=name,
                KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers,
                KAFKA_TOPIC_PREFIX=f"{topic_prefix}{name}.",
                KAFKA_PARTITIONS="2",
            )
            assert service.ome("kafka", "init").returncode == 0
            stack.callback(service.clean_up)
            service.start()
            running.append(service)
        clients = [stack.enter_context(client(each)) for each in running]
        placed: list[set[str]] = [set(), set()]

        def trade(market: int) -> None:
            for side in ("SELL", "BUY"):
                done = place(clients[market], order(type=side, userId=f"{side}-{market}"))
                placed[market].add(done.json()["orderId"])

        for market in (0, 1):
            trade(market)
        running[0].kill_everything()
        trade(1)
        running[0].start()
        for market in (0, 1):
            trade(market)
            eventually(running[market].is_ready, 60, running[market].output)
            verdict = running[market].verify()
            assert verdict == {"consistent": True, "difference": None}
            check_published(running[market], kafka, placed[market])


def check_published(service: Service, kafka: Kafka, placed: set[str]) -> None:
    """The market's topic tells of its orders, and of no others."""
    topic = f"{service.env['KAFKA_TOPIC_PREFIX']}orders.events"

    def told() -> set[str]:
        values = [json.loads(value) for _, _, value in read(kafka.bootstrap_servers, topic)]
        return {each["orderId"] for each in values if "orderId" in each}

    eventually(lambda: told() == placed, 60)
