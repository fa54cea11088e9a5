"""A process may die between any two steps: what it did is done whole, or not at all."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from application.matching import Matching
from application.orders import Receipt
from domain.values import book_id
from system import VIEWS, build_alone
from tests.integration.conftest import Venue, patient
from tests.integration.crasher import MANY_PLACEMENTS, PLACEMENT
from tests.integration.service import eventually

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

STEPS = range(100)
BTC = book_id("BTC-USD")
CRASHER = (sys.executable, "-m", "tests.integration.crasher")
FOLLOWERS = ["matching", "orders", "order_view", "book_view", "trade_view"]
MANY = 120


def crashes(venue: Venue, what: str, steps: range = STEPS) -> Iterator[int]:
    """Lets the process die before its first step, its second, ..., until it gets through."""
    command = [*CRASHER, what, json.dumps(patient(venue.env))]
    with (
        venue.connect() as watching,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as crasher,
    ):
        assert crasher.stdin is not None
        assert crasher.stdout is not None
        for number in steps:
            print(number, file=crasher.stdin, flush=True)
            ended_with = int(crasher.stdout.readline())
            # What it was doing when it died is over when its sessions are.
            eventually(lambda: crashers(watching) == 0, 60)
            if ended_with == 0:
                crasher.stdin.close()
                return
            assert ended_with == 137
            yield number
        crasher.stdin.close()
    pytest.fail(f"{what} takes more than {steps} steps")


def crashers(connection: psycopg.Connection[dict[str, Any]]) -> int:
    """Count the sessions of a crasher in this database."""
    [row] = connection.execute(
        "SELECT count(*) AS there FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'crasher'"
    ).fetchall()
    there: int = row["there"]
    return there


def stored_orders(venue: Venue) -> int:
    return len(venue.market.orders.recorder.select_notifications(1, 1_000))


def test_an_order_is_placed_once_wherever_its_process_died(venue: Venue) -> None:
    stored = [stored_orders(venue) for _ in crashes(venue, "place")]
    assert stored[0] == 0
    assert stored == sorted(stored)
    assert stored[-1] == 1
    receipt = venue.market.orders.place(PLACEMENT, venue.tick())
    assert not receipt.is_new
    venue.settle()
    assert len(venue.market.order_view.recorder.orders(limit=10)) == 1
    assert venue.difference() is None


def test_who_takes_snapshots_may_die_at_any_step(venue: Venue) -> None:
    venue.trade_a_little()
    for _ in crashes(venue, "snapshots"):
        assert venue.difference() is None  # whatever is there is right
        with closing(build_alone(patient(venue.env), Matching)) as restarted:
            assert restarted.load([BTC])[BTC].version == 9
    assert set(venue.market.matching.snapshots.recorder.kept()) == {BTC, book_id("ETH-USD")}


def test_many_orders_are_placed_all_or_none_wherever_their_process_died(venue: Venue) -> None:
    everything = len(MANY_PLACEMENTS)
    stored = [stored_orders(venue) for _ in crashes(venue, "place many")]
    assert len(stored) >= 2  # the statement that is the transaction; NOTIFY
    assert stored == sorted(stored)
    assert set(stored) == {0, everything}
    results = venue.market.orders.place_all(MANY_PLACEMENTS, venue.tick())
    assert not any(isinstance(result, Receipt) and result.is_new for result in results)
    assert stored_orders(venue) == everything
    venue.settle()
    assert venue.difference() is None


@pytest.mark.parametrize("name", FOLLOWERS)
def test_a_batch_is_followed_whole_or_not_at_all(venue: Venue, name: str) -> None:
    venue.trade_a_little()
    venue.buy(100, 5)
    venue.sell(100, 7)
    check_each_crash(venue, name)
    assert len(venue.market.trade_view.recorder.trades(asset="BTC-USD", limit=100)) == 4


def test_a_batch_of_all_followers_is_recorded_whole_or_not_at_all(venue: Venue) -> None:
    venue.trade_a_little()
    venue.buy(100, 5)
    venue.sell(100, 7)
    moved = []
    for _ in crashes(venue, "fused"):
        # The position of Matching moves with the events, and those of the others with it.
        end = venue.market.matching.recorder.max_notification_id()
        assert {
            follower.recorder.max_tracking_id("Matching")
            for follower in venue.market
            if "Matching" in follower.readers
        } == {end}
        moved.append(venue.market.matching.pending("Orders", limit=1) == [])
        assert venue.difference() is None
    assert moved[0] is False
    assert moved[-1] is True  # before it could tell
    assert moved == sorted(moved)
    venue.settle()
    assert venue.difference() is None


@pytest.mark.parametrize("name", ["matching", "orders"])
def test_a_large_batch_is_followed_whole_or_not_at_all(venue: Venue, name: str) -> None:
    """Half of its orders trade with the others."""
    for _ in range(MANY // 2):
        venue.buy(100, 5)
        venue.sell(100, 5)
    check_each_crash(venue, name)
    assert len(venue.market.trade_view.recorder.trades(asset="BTC-USD", limit=100)) == MANY // 2


def check_each_crash(venue: Venue, name: str) -> None:
    """Has a follower's process die before each of its steps while it follows what waits."""
    if name != "matching":
        venue.market.matching.pull_and_process("Orders")
    follower = getattr(venue.market, name)
    leaders = list(follower.readers)

    def positions() -> list[int | None]:
        return [follower.recorder.max_tracking_id(leader) for leader in leaders]

    before = positions()

    moved: list[bool] = []
    for _ in crashes(venue, name):
        # Dead before the commit: nothing. Dead after it: all, and the position with it.
        changed = {at != was for at, was in zip(positions(), before, strict=True)}
        moved += changed
        assert len(changed) == 1
        assert any(follower.pending(leader, limit=100) for leader in leaders) is not moved[-1]
        assert venue.difference() is None
    assert len(moved) >= 4
    assert moved[0] is False
    assert moved == sorted(moved)

    venue.settle()
    assert venue.difference() is None


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("orders", STEPS[::8]),
        ("books", STEPS[3::8]),
        ("trades", STEPS[6::8]),
        *(pytest.param(name, STEPS, marks=pytest.mark.slow) for name in VIEWS),
    ],
)
def test_a_rebuild_swaps_or_leaves_the_view_as_it_is(venue: Venue, name: str, steps: range) -> None:
    """Most of its steps make tables: each is tried where there is time for it."""
    venue.trade_a_little()
    schema = f"{name[:-1]}_view"
    venue.execute(f"CREATE TABLE {schema}.of_the_old_one ()")

    swapped = []
    for _ in crashes(venue, f"rebuild {name}", steps):
        swapped.append(not is_there(venue, f"{schema}.of_the_old_one"))
        # The old schema is dropped once the swap is committed, so a death in between leaves it to
        # the next rebuild; before the swap there is none.
        assert swapped[-1] or not is_there(venue, f"{schema}_old.of_the_old_one")
        assert venue.difference() is None
    assert len(swapped) >= 3
    assert swapped[0] is False
    assert swapped == sorted(swapped)

    assert not is_there(venue, f"{schema}.of_the_old_one")
    assert not is_there(venue, f"{schema}_old.of_the_old_one")
    venue.trade_a_little()
    assert venue.difference() is None


def is_there(venue: Venue, table: str) -> bool:
    with venue.connect() as connection:
        [row] = connection.execute("SELECT to_regclass(%s) AS table", [table]).fetchall()
    return row["table"] is not None
