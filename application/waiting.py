"""Waiting for the market to have its say.

The functions are generators that look, and yield where it is too early: whoever drives
them decides how to sleep between two looks, and for how long at most.
"""

from collections.abc import Generator
from uuid import UUID

from application.matching import Matching
from application.orders import Orders, Reply
from application.views.view import View


def until_decided(matching: Matching, position: int) -> Generator[None, None, None]:
    """Until Matching has had the command at ``position`` in the log of Orders."""
    while (matching.recorder.max_tracking_id(Orders.name) or 0) < position:
        yield


def until_replied(
    orders: Orders, matching: Matching, position: int, order_id: UUID, request_id: UUID | None
) -> Generator[None, None, Reply]:
    """Until there is a reply to a command; it comes with the command's decision."""
    yield from until_decided(matching, position)
    return orders.reply_to(order_id, request_id)


def until_shown(
    orders: Orders, matching: Matching, view: View, position: int
) -> Generator[None, None, None]:
    """Until the view shows all that the command at ``position`` caused.

    What it caused is followed from log to log: each log's end, read when the one before it
    was reached, is the mark that the next has to reach.
    """
    yield from until_decided(matching, position)
    decided = matching.recorder.max_notification_id() or 0
    if Matching.name in view.readers:
        while (view.recorder.max_tracking_id(Matching.name) or 0) < decided:
            yield
        return
    while (orders.recorder.max_tracking_id(Matching.name) or 0) < decided:
        yield
    recorded = orders.recorder.max_notification_id() or 0
    while (view.recorder.max_tracking_id(Orders.name) or 0) < recorded:
        yield
