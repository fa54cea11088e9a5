"""A database with a long history: the process that places orders until so many events are stored.

The engine of a running service decides them, so that events, books, views and positions are what
they would be after so many real orders. It stays ahead of matching by a bounded number of events.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from random import Random
from uuid import UUID, uuid4

from application.orders import Placement, Receipt
from benchmarks.workload import DEPTH, LOT, MIDDLE, TICK, USERS
from domain.requests import MassCancelRequest
from domain.values import ALL_ASSETS, OrderType, Side, Terms, TimeInForce
from interface.database_url import database_env
from system import Market, build

_BATCH = 2_000
_AHEAD = 20_000  # events of Orders' log
_POLL_SECONDS = 0.02
_MASS_CANCEL_EVERY = 20  # batches


def placements(random: Random, assets: int) -> Iterator[Placement]:
    """Yield orders that keep books at their depth; one in ten is not a plain limit order."""
    for number in count():
        is_bid = random.random() < 0.5
        crosses = random.random() < 0.5
        away = TICK * (DEPTH if crosses else -random.randint(1, DEPTH))
        price: int | None = MIDDLE + away if is_bid else MIDDLE - away
        kind: dict[str, object] = {}
        if number % 20 == 0:
            kind = {"time_in_force": TimeInForce.IOC}
        elif number % 20 == 10:
            price = None
            kind = {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC}
        yield Placement(
            UUID(int=random.getrandbits(128), version=4),
            Terms(
                f"user-{random.randrange(USERS):04d}",
                f"ASSET-{random.randrange(assets)}",
                Side.BUY if is_bid else Side.SELL,
                price,
                random.randint(1, 100 if crosses else 120) * LOT,
                **kind,  # type: ignore[arg-type]
            ),
        )


def stored(market: Market) -> int:
    """Count the events in both logs."""
    logs = (market.orders.recorder, market.matching.recorder)
    return sum(recorder.max_notification_id() or 0 for recorder in logs)


def fill(market: Market, events: int, assets: int, seed: int) -> Iterator[int]:
    """Place orders until there are so many events; yield the number that there are by then."""
    random = Random(seed)
    waiting = placements(random, assets)
    for number in count(1):
        batch = [next(waiting) for _ in range(_BATCH)]
        last = market.orders.place_all(batch, datetime.now(UTC))[-1]
        assert isinstance(last, Receipt)
        if number % _MASS_CANCEL_EVERY == 0:
            user = f"user-{random.randrange(USERS):04d}"
            asked = MassCancelRequest.make(
                uuid4(), user_id=user, asset=ALL_ASSETS, time=datetime.now(UTC)
            )
            market.orders.ask(asked)
        while last.position - _decided(market) > _AHEAD:
            time.sleep(_POLL_SECONDS)
        done = stored(market)
        yield done
        if done >= events:
            return


def _decided(market: Market) -> int:
    """The last command in Orders' log that Matching has decided."""
    return market.matching.recorder.max_tracking_id(market.orders.name) or 0


def main(url: str, events: int, assets: int, seed: int) -> None:
    with closing(build(database_env(url))) as market:
        for done in fill(market, events, assets, seed):
            print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
