"""Processes that do one thing, and die as by kill -9 before their n-th word to PostgreSQL.

    python -m tests.integration.crasher WHAT ENV

Reads numbers n, and writes how each process ended: with 137 it died, with 0 it got through.
WHAT is `place`, `place many`, `fused` for the batch of all followers, `rebuild` and a view's name,
`publish` with a leader's name, Kafka's address and the prefix of its topics, or the name of a
follower in system.Market.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg

from application.fused import Fused
from application.orders import Placement
from application.snapshots import SnapshotTaker
from application.views.rebuild import rebuild
from domain.values import Side, Terms, derive_order_id
from interface.kafka import publishing, topics
from interface.settings import Settings
from system import VIEWS, Market, build, leaders_of


def placement(number: int, asset: str = "BTC-USD") -> Placement:
    name = f"once-{number}"
    terms = Terms("crasher", asset, Side.BUY, 100, 5, client_order_id=name)
    return Placement(derive_order_id(terms.user_id, terms.asset, name), terms)


PLACEMENT = placement(0)
MANY_PLACEMENTS = [placement(number, asset=f"A-{number % 7}") for number in range(150)]


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


def prepare(market: Market, what: str, env: dict[str, str]) -> Callable[[], object]:
    """The thing to do; whatever is lazy about it is done."""
    match what.split():
        case ["place", *many]:
            market.orders.repository  # noqa: B018 - it is made when it is first asked for
            placements = MANY_PLACEMENTS if many else [PLACEMENT]
            return lambda: market.orders.place_all(placements, datetime.now(UTC))
        case ["fused"]:
            views = (market.order_view, market.book_view, market.trade_view)
            fused = Fused(market.matching, market.orders)
            for follower in (market.orders, *views):
                fused.join(follower)
            return lambda: fused.process_batch(500)
        case ["rebuild", name]:
            leaders = leaders_of(market, VIEWS[name])
            return lambda: rebuild(VIEWS[name], leaders, lambda _: None)
        case ["snapshots"]:
            taker = SnapshotTaker(market.matching, every=1)
            market.matching.recorder.max_notification_id()
            return taker.take_due
        case ["publish", name, servers, prefix]:
            vars(topics)["_SECONDS"] = 60  # Kafka is there, however long it takes to answer
            settings = Settings(kafka_bootstrap_servers=servers, kafka_topic_prefix=prefix)
            pairs = publishing(settings, env)(market)
            [publisher] = [each for each, leader in pairs if leader == name]
            return lambda: publisher.process_batch(name)
        case _:
            follower = getattr(market, what)
            leaders = list(follower.readers)
            for leader in leaders:
                follower.pending(leader, limit=1)
            return lambda: follower.process_batch(*leaders)


def act(what: str, number: int, env: dict[str, str]) -> None:
    market = build(env)
    work = prepare(market, what, env)
    die_before(number)
    work()


def main() -> None:
    """Forks for each number on standard input: importing takes longer than all the rest."""
    what, env = sys.argv[1:]
    os.environ["PGAPPNAME"] = "crasher"
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            act(what, int(line), json.loads(env))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
