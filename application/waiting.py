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
    """A position that an application has yet to reach in the log that it follows."""

    name: str
    position: int


class Reached(NamedTuple):
    """How far an application has come at least; 0: nowhere yet."""

    followed: int  # its position in the log that it follows
    recorded: int  # the end of its own log, all that came of ``followed`` included


class Progress(Protocol):
    """What is known at a moment of how far each application has come."""

    def reached(self, name: str) -> Reached: ...


def until_decided(progress: Progress, position: int) -> Generator[Mark, None, int]:
    """Until Matching has decided the command at ``position``; where its log ends then."""
    matching = yield from _until(progress, Mark(Matching.name, position))
    return matching.recorded


def until_shown(progress: Progress, view: View, position: int) -> Generator[Mark, None, None]:
    """Until the view shows all that the command at ``position`` caused.

    What it caused is followed from log to log: each log's end, when the one before it was
    reached, is the mark that the next has to reach.
    """
    matching = yield from _until(progress, Mark(Matching.name, position))
    if Matching.name in view.readers:
        yield from _until(progress, Mark(view.name, matching.recorded))
        return
    orders = yield from _until(progress, Mark(Orders.name, matching.recorded))
    yield from _until(progress, Mark(view.name, orders.recorded))


def _until(progress: Progress, mark: Mark) -> Generator[Mark, None, Reached]:
    while (reached := progress.reached(mark.name)).followed < mark.position:
        yield mark
    return reached
