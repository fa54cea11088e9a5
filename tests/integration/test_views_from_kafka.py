"""Read models that are fed from Kafka."""

from uuid import uuid4

import pytest

from application.matching import Matching
from interface.engine import Engine
from interface.kafka import consuming, publishing
from interface.kafka.topics import create, topics_of
from interface.settings import Settings
from system import FOLLOWERS, VIEWS
from tests.integration.conftest import Venue, at_work, has_followed_all
from tests.integration.service import eventually
from tests.kafka.broker import Broker

_VIEWS = tuple(view.name for view in VIEWS.values())


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def settings(broker):
    settings = Settings(
        kafka_bootstrap_servers=broker.bootstrap_servers,
        kafka_topic_prefix=f"{uuid4().hex}.",
        kafka_partitions=3,
    )
    create(broker.bootstrap_servers, topics_of(settings))
    return settings


def engine(venue: Venue, settings: Settings, names=_VIEWS) -> Engine:
    return Engine(
        venue.env,
        others=publishing(settings, venue.env),
        make=consuming(settings, names),
    )


def test_views_are_fed_from_kafka(venue: Venue, settings: Settings) -> None:
    with at_work(engine(venue, settings)):
        trade(venue)
        eventually(lambda: has_followed_all(venue.market), 20)
        assert venue.difference() is None
        assert venue.market.trade_view.recorder.trades(limit=100)


def test_matching_in_shards_decides_every_command_once(venue: Venue, settings: Settings) -> None:
    """Three workers, of which one joins later, and one leaves."""
    rest = [name for name in FOLLOWERS if name != Matching.name]
    first, second, third = (matching(venue, settings) for _ in range(3))
    others = Engine(
        venue.env,
        names=rest,
        others=publishing(settings, venue.env),
        make=consuming(settings, _VIEWS),
    )
    with at_work(others, first, second):
        trade(venue)
        eventually(lambda: has_followed_all(venue.market), 30)
        with at_work(third):
            trade(venue)
        first.stop()
        trade(venue)
        eventually(lambda: has_followed_all(venue.market), 30)
    assert venue.difference() is None


def matching(venue: Venue, settings: Settings) -> Engine:
    names = [Matching.name]
    return Engine(venue.env, names=names, make=consuming(settings, names))


def trade(venue: Venue) -> None:
    for asset in ("BTC-USD", "ETH-USD", "SOL-USD", "DOGE-USD"):
        for _ in range(10):
            venue.buy(100, 2, asset=asset)
            venue.sell(100, 1, asset=asset)
