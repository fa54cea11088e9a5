"""A process may die between any two steps: what it did is done whole, or not at all."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Venue
from tests.integration.crasher import PLACEMENT

MOST_STEPS = 40
CRASHER = (sys.executable, "-m", "tests.integration.crasher")


def crashes(venue: Venue, what: str) -> Iterator[int]:
    """Lets the process die before its first step, its second, ..., until it gets through."""
    for number in range(MOST_STEPS):
        done = subprocess.run(
            [*CRASHER, what, str(number), json.dumps(venue.env)],
            check=False,
        )
        if done.returncode == 0:
            return
        assert done.returncode == 137
        yield number
    pytest.fail(f"{what} takes more than {MOST_STEPS} steps")


def test_an_order_is_placed_once_wherever_its_process_died(venue: Venue) -> None:
    stored = [venue.market.orders.recorder.max_notification_id() for _ in crashes(venue, "place")]
    assert len(stored) >= 4  # at least BEGIN, LOCK, INSERT, COMMIT
    assert stored[0] is None
    receipt = venue.market.orders.place(PLACEMENT, venue.tick())
    assert not receipt.is_new
    venue.settle()
    assert len(venue.market.order_view.recorder.orders(limit=10)) == 1
    assert venue.difference() is None


@pytest.mark.parametrize("name", ["matching", "orders", "order_view", "book_view", "trade_view"])
def test_a_batch_is_followed_whole_or_not_at_all(venue: Venue, name: str) -> None:
    venue.trade_a_little()
    venue.buy(100, 5)
    venue.sell(100, 7)
    if name != "matching":
        venue.market.matching.pull_and_process("Orders")
    if name == "order_view":
        venue.market.orders.pull_and_process("Matching")
    follower = getattr(venue.market, name)
    [leader] = follower.readers
    before = follower.recorder.max_tracking_id(leader)

    steps = 0
    for _ in crashes(venue, name):
        steps += 1
        # Dead before the commit: nothing. Dead after it: all, and the position with it.
        if follower.recorder.max_tracking_id(leader) == before:
            assert len(follower.pending(leader, limit=100)) > 0
        else:
            assert follower.pending(leader, limit=100) == []
        assert venue.difference() is None
    assert steps >= 4

    venue.settle()
    assert venue.difference() is None
    assert len(venue.market.trade_view.recorder.trades(asset="BTC-USD", limit=100)) == 4
