"""The engine as it is, seen as a pipeline: who places orders, and how its engine is started."""

import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime

from application.orders import Placement, Receipt
from benchmarks.placing import serve
from benchmarks.running import Child
from benchmarks.workload import NewOrder
from domain.values import Side, Terms
from interface.database_url import database_env
from system import build


def engine(url: str, batch: int) -> Child:
    return Child(
        ["interface.cli", "run", "--role", "engine"],
        {"DATABASE_URL": url, "BATCH_SIZE": str(batch), "LOG_LEVEL": "WARNING"},
    )


def placement(order: NewOrder) -> Placement:
    terms = Terms(order.user_id, order.asset, Side(order.side), order.price, order.quantity)
    return Placement(order.order_id, terms)


def main(url: str) -> None:
    with closing(build(database_env(url))) as market:

        def place(batch: Sequence[Placement]) -> int:
            last = market.orders.place_all(batch, datetime.now(UTC))[-1]
            assert isinstance(last, Receipt)
            return last.position

        serve(placement, place)


if __name__ == "__main__":
    main(sys.argv[1])
