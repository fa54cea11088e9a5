"""The whole way on the Kafka that ZooKeeper manages: published, matched, consumed into views."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from application.orders import Orders
from interface.engine import Engine
from interface.kafka import publishing
from tests.integration.conftest import Venue, at_work
from tests.integration.feeding import SECONDS, is_published, on, settled, trade, views
from tests.integration.service import eventually
from tests.integration.test_matching_in_shards import in_this_process
from tests.integration.test_rebuilding import check_rebuilds
from tests.integration.topics import check_messages
from tests.kafka.broker import ZooKeeperBroker
from tests.kafka.runtime import or_skip

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much


@pytest.fixture
def broker(short_dir: Path) -> Iterator[ZooKeeperBroker]:
    with or_skip(lambda: ZooKeeperBroker(short_dir)) as broker:
        yield broker


def test_all_is_matched_shown_and_published_once_though_kafka_was_away(
    venue: Venue, broker: ZooKeeperBroker
) -> None:
    settings = on(broker.bootstrap_servers, "zookeeper.")
    orders = Engine(venue.env, names=[Orders.name], others=publishing(settings, venue.env))
    with at_work(orders, in_this_process(venue, settings), views(venue, settings)):
        trade(venue)
        settled(venue)
        broker.kill()
        trade(venue)  # orders are taken, and wait
        broker.start()
        trade(venue)
        settled(venue)
        eventually(lambda: is_published(venue), SECONDS)
    check_messages(venue, settings)
    check_rebuilds(venue)
