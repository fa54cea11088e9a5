"""The orders that benchmarks place: a few assets, prices around a middle, from a seed."""

from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import NamedTuple
from uuid import UUID

from domain.values import UNITS_PER_ONE

ASSETS = 10
USERS = 1_000

MIDDLE = 45_000 * UNITS_PER_ONE
TICK = UNITS_PER_ONE // 100
LOT = UNITS_PER_ONE // 1_000
DEPTH = 50  # ticks from the middle to the furthest price


class NewOrder(NamedTuple):
    """A user's request, as plain values; amounts in units."""

    order_id: UUID
    user_id: str
    asset: str
    side: str
    price: int
    quantity: int


def orders(count: int, seed: int = 1, assets: int = ASSETS) -> list[NewOrder]:
    """Half of them stand away from the middle and rest; half cross it, and trade.

    What trades is about as much as what rests, so that one that trades meets one to three
    makers, and the books stay as deep as they are.
    """
    return list(islice(_orders(Random(seed), assets), count))


def _orders(random: Random, assets: int) -> Iterator[NewOrder]:
    while True:
        is_bid = random.random() < 0.5
        crosses = random.random() < 0.5
        away = TICK * (DEPTH if crosses else -random.randint(1, DEPTH))
        yield NewOrder(
            order_id=UUID(int=random.getrandbits(128), version=4),
            user_id=f"user-{random.randrange(USERS):04d}",
            asset=f"ASSET-{random.randrange(assets)}",
            side="BUY" if is_bid else "SELL",
            price=MIDDLE + away if is_bid else MIDDLE - away,
            quantity=random.randint(1, 100 if crosses else 120) * LOT,
        )
