"""Whether a book is whole inside, which what it shows need not tell at once."""

from collections.abc import Iterator
from itertools import pairwise

from domain import ranks
from domain.book import Book
from domain.ranks import Ranks
from domain.values import Side


def check_the_structure(book: Book) -> None:
    """Every link leads where it should, and nothing empty is kept."""
    seen = 0
    for side, ladder in ((Side.BUY, book._bids), (Side.SELL, book._asks)):
        chain = []
        level = ladder.best
        while level is not None:
            chain.append(level)
            level = level.worse
        assert [each.rank for each in chain] == sorted(ranks_of(ladder._ranks), reverse=True)
        assert [ladder.levels[abs(each.rank)] for each in chain] == chain
        assert len(ladder.levels) == len(chain)
        for level in chain:
            ahead, order = None, level.front
            assert order is not None, "a level that stands empty is waste that only grows"
            while order is not None:
                assert (order.side, order.price, order.level) == (side, abs(level.rank), level)
                assert order.ahead is ahead
                ahead, order = order, order.behind
                seen += 1
            assert level.back is ahead
    assert seen == len(book.orders)


def ranks_of(some: Ranks) -> Iterator[int]:
    """All ranks, each in a block where it will be looked for."""
    floors = [None, *some._floors, None]
    for block, (floor, next_floor) in zip(some._blocks, pairwise(floors), strict=True):
        assert block or len(some._blocks) == 1
        assert len(block) <= ranks.BLOCK_SIZE
        for rank in block:
            assert floor is None or floor <= rank
            assert next_floor is None or rank < next_floor
            yield rank
