"""Waiting for the market to have its say.

The functions are generators that yield what they wait for: whoever drives them decides how
to wait, and for how long at most.
"""

from collections.abc import Generator
from typing import NamedTuple, Protocol
from uuid import UUID

from application.matching import Matching
from application.orders import Orders, Receipt, Reply
from application.views.view import View
from domain.values import OrderStatus


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


def until_replied(
    orders: Orders, progress: Progress, since: int, receipt: Receipt, request_id: UUID | None
) -> Generator[Mark, None, Reply]:
    """Until there is a reply to a command; it comes with the command's decision.

    ``since`` is what Matching had recorded before the order was looked at.
    """
    order = receipt.order
    if request_id is None and order.status is not OrderStatus.PENDING:
        return Reply(order, None)  # it was placed before
    matching = yield from _until(progress, Mark(Matching.name, receipt.position))
    return orders.reply_to(order, request_id, since, matching.recorded)


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
