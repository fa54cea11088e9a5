"""Sorted integers that stay quick to change when there are a million of them."""

from bisect import bisect_left, bisect_right
from typing import Final

# One sorted list alone is as quick below some thousand ranks only: an insertion moves all
# that stand behind it, which takes 13 us among 100 000 ranks and 170 us among a million.
BLOCK_SIZE: Final = 1_000


class Ranks:
    """A sorted set of integers, in blocks of at most ``BLOCK_SIZE``.

    The floor of a block is at or below all its ranks, and above all those of the block
    before; the first block needs none. No block is empty, unless it is the only one.
    """

    __slots__ = ("_blocks", "_floors")

    def __init__(self) -> None:
        self._blocks: list[list[int]] = [[]]
        self._floors: list[int] = []  # of the second block and on

    def add(self, rank: int) -> int | None:
        """Add a rank that is not there yet. Return the next higher one."""
        index = bisect_right(self._floors, rank)
        block = self._blocks[index]
        place = bisect_left(block, rank)
        above = block[place] if place < len(block) else self._first_after(index)
        block.insert(place, rank)
        if len(block) > BLOCK_SIZE:
            self._split(index)
        return above

    def remove(self, rank: int) -> int | None:
        """Remove a rank that is there. Return the next higher one."""
        index = bisect_right(self._floors, rank)
        block = self._blocks[index]
        place = bisect_left(block, rank)
        del block[place]
        above = block[place] if place < len(block) else self._first_after(index)
        if not block and self._floors:
            del self._blocks[index]
            del self._floors[max(index - 1, 0)]  # a neighbour takes over the range
        return above

    def _first_after(self, index: int) -> int | None:
        return self._blocks[index + 1][0] if index < len(self._floors) else None

    def _split(self, index: int) -> None:
        block = self._blocks[index]
        upper = block[len(block) // 2 :]
        del block[len(block) // 2 :]
        self._blocks.insert(index + 1, upper)
        self._floors.insert(index, upper[0])
