"""Waiting for the market to have its say.

The functions are generators that yield what they wait for: whoever drives them decides how
to wait, and for how long at most. They never block, so that whoever learns of a mark that is
reached may take the next step.
"""

from collections.abc import Generator
from typing import NamedTuple, Protocol

from application.matching import Matching
from application.orders import Orders
from application.views.view import View


class Mark(NamedTuple):
    """A position that an application has to reach in its leader's log, with an asset's events.

    ``asset`` None: with all of them.
    """

    name: str
    position: int
    asset: str | None


class Progress(Protocol):
    """The known positions of the applications at a moment."""

    def has_reached(self, mark: Mark) -> bool: ...

    @property
    def is_by_partition(self) -> bool:
        """Test if some follow the log of their leader in partitions, each asset in one of them."""
        ...

    def recorded(self, name: str) -> int:
        """The end of an application's log, all that came of what it has followed included."""
        ...


def until_decided(
    progress: Progress, position: int, asset: str | None
) -> Generator[Mark, None, int]:
    """Until Matching has decided the command at ``position``; where its log ends then."""
    mark = Mark(Matching.name, position, asset)
    while not progress.has_reached(mark):
        yield mark
    return progress.recorded(Matching.name)


def until_shown(
    progress: Progress, follower: View | Orders, position: int, asset: str | None
) -> Generator[Mark, None, None]:
    """Until a follower of Matching has all that the command at ``position`` caused.

    Where Matching's log ended when the command was decided is what the follower has to reach.
    """
    decided = yield from until_decided(progress, position, asset)
    mark = Mark(follower.name, decided, asset)
    while not progress.has_reached(mark):
        yield mark
