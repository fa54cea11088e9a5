"""A process that does one thing, and dies as by kill -9 before its n-th word to PostgreSQL.

    python -m tests.integration.crasher WHAT N ENV

WHAT is `place`, or the name of a follower in system.Market. Exit code 137: it died.
"""

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

import psycopg

from application.orders import Placement
from domain.values import Side, Terms, derive_order_id
from system import build

TERMS = Terms("crasher", "BTC-USD", Side.BUY, 100, 5, client_order_id="once")
PLACEMENT = Placement(derive_order_id(TERMS.user_id, TERMS.asset, "once"), TERMS)


def die_before(number: int) -> None:
    """Every exchange with the server, BEGIN and COMMIT included, goes through wait()."""
    wait = psycopg.Connection.wait
    left = number

    def counting(connection: Any, *args: Any, **options: Any) -> Any:
        nonlocal left
        if left == 0:
            os._exit(137)
        left -= 1
        return wait(connection, *args, **options)

    psycopg.Connection.wait = counting  # type: ignore[assignment]


def main() -> None:
    what, number, env = sys.argv[1:]
    market = build(json.loads(env))
    if what == "place":
        market.orders.repository  # noqa: B018 - whatever is lazy is done before the count
        die_before(int(number))
        market.orders.place(PLACEMENT, datetime.now(UTC))
    else:
        follower = getattr(market, what)
        [leader] = follower.readers
        follower.pending(leader, limit=1)
        die_before(int(number))
        follower.process_batch(leader)
    os._exit(0)


if __name__ == "__main__":
    main()
