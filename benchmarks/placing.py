"""The process that places orders: the same for all pipelines, but for how one places a batch.

It makes the orders that it is told to, says so, and places them once it is told to go: what
is measured begins there.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from benchmarks.running import Child
from benchmarks.workload import MIDDLE, NewOrder, orders

T = TypeVar("T")

# Placed at first: whatever is made on first use is there when it counts.
WARM_UP = NewOrder(UUID(int=1), "user-0000", "WARM-UP", "BUY", MIDDLE, 1)


class Placed(NamedTuple):
    """When it placed (seconds of the monotonic clock), and the last order's place in the log."""

    begun: float
    ended: float
    position: int


class Placer:
    """The placing process, as whoever measures sees it."""

    def __init__(self, child: Child, count: int, batch: int) -> None:
        self.child = child
        self.child.say(json.dumps({"count": count, "batch": batch}))
        self.warm_up = Placed(*json.loads(self.child.hear()))

    def place_all(self) -> Placed:
        """Has it place all its orders, one batch after the other."""
        self.child.say("go")
        return Placed(*json.loads(self.child.hear()))


def serve(convert: Callable[[NewOrder], T], place: Callable[[Sequence[T]], int]) -> None:
    """Is the placing process; ``place`` commits a batch and gives the last one's position."""
    told: dict[str, Any] = json.loads(sys.stdin.readline())
    converted = [convert(order) for order in orders(told["count"])]
    batch = told["batch"]
    _answer(_timed([[convert(WARM_UP)]], place))
    gc.freeze()  # nobody else who places orders has thousands at hand that need no looking at
    sys.stdin.readline()
    batches = [converted[start : start + batch] for start in range(0, len(converted), batch)]
    _answer(_timed(batches, place))
    sys.stdin.readline()  # whoever measures may still want to know what we have used


def _timed(batches: Sequence[Sequence[T]], place: Callable[[Sequence[T]], int]) -> Placed:
    begun = time.monotonic()
    position = 0
    for batch in batches:
        position = place(batch)
    return Placed(begun, time.monotonic(), position)


def _answer(placed: Placed) -> None:
    print(json.dumps(placed), flush=True)
