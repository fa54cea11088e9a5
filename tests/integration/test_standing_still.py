"""Whoever can't go on says why, for all who ask, until it goes on: publishers, and their views."""

import json
import logging
from typing import Any

import pytest
from click.testing import CliRunner

from application.persistence.standstills import Standstills
from interface.cli import main
from interface.kafka import refusals
from interface.maintenance import standing_still
from interface.settings import Settings
from tests.integration.conftest import Venue, at_work
from tests.integration.feeding import SECONDS, market, settled, trade, views
from tests.integration.service import eventually
from tests.integration.test_refused_messages import alter

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

PUBLISHERS = ("OrdersPublisher", "MatchingPublisher")


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_LOOK_SECONDS", 0.1)


def test_views_wait_for_a_publisher_whose_topic_refuses_an_event_and_go_on_once_it_is_mended(
    venue: Venue, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    topic = f"{settings.kafka_topic_prefix}book.events"
    with caplog.at_level(logging.WARNING), at_work(market(venue, settings), views(venue, settings)):
        trade(venue)
        settled(venue)
        alter(settings, "book.events", **{"max.message.bytes": "2500"})
        for _ in range(80):
            venue.sell(100, 1)
        venue.buy(100, 80)  # one decision, larger than that
        trade(venue)
        eventually(lambda: standing_still(venue.env, PUBLISHERS) != [], SECONDS)
        [said] = standing_still(venue.env, PUBLISHERS)
        position = venue.market.matching.recorder.max_notification_id() or 0
        assert said.startswith("MatchingPublisher has stood still at position ")
        assert f", more than the 2500 that the topic {topic} takes (max.message.bytes). " in said
        assert "_GAPLESS" not in caplog.text
        assert standing_still(venue.env, ()) == []  # where Kafka is switched off
        for view in (venue.market.book_view, venue.market.trade_view):
            assert view.recorder.parked() is None
            assert view.pending("Matching", 1)
        alter(settings, "book.events", **{"max.message.bytes": "67108864"})
        settled(venue)
        eventually(lambda: standing_still(venue.env, PUBLISHERS) == [], SECONDS)
    assert position


def test_verify_says_what_stands_still_and_exits_with_1(
    venue: Venue, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)  # no .env of the machine that runs the tests
    venue.trade_a_little()
    variables = {"DATABASE_URL": database_url}

    def verify(*options: str, **more: str) -> Any:
        return CliRunner().invoke(main, ["verify", *options], env=variables | more)

    done = verify()
    assert (done.exit_code, done.stdout) == (0, "consistent\n")
    assert json.loads(verify("--json").stdout) == {"consistent": True, "difference": None}
    venue.market.order_view.recorder.park("Orders 17, order.filled: ArithmeticError: no")
    standstills = Standstills(venue.market.orders.recorder.datastore)
    standstills.note("OrdersPublisher", "too large", 17, 60)
    parked = "OrderView is parked: Orders 17, order.filled: ArithmeticError: no"
    done = verify("--recent")
    assert (done.exit_code, done.stdout) == (1, f"consistent\n{parked}\n")
    done = verify("--json", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["consistent"] is True
    assert found["standingStill"][0] == parked
    assert found["standingStill"][1].startswith("OrdersPublisher has stood still at position 17")
