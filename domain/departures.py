"""The orders that leave before a command is decided, or by it, up to the bound of one event."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.book import RestingOrder
from domain.errors import CancelReason
from domain.facts import Departure
from domain.floor import Floor
from domain.instrument import Rules
from domain.parts import Parts


class Moment(NamedTuple):
    """The moment of a decision: the command's position, the book's time, and who left by then.

    ``leaving`` counts those whose departure is left for later; ``parts`` is what room there is.
    """

    position: int
    time: datetime
    parts: Parts
    expired: tuple[Departure, ...] = ()
    leaving: int = 0


def begin(floor: Floor, position: int, time: datetime, rules: Rules) -> Moment:
    """Take out the orders whose time is over, before a command is decided."""
    parts = Parts(rules.limits_of(floor.instrument or rules.default).max_parts)
    due = floor.due(time)
    if not due:
        return Moment(position, time, parts)
    expired, later = _take_out(floor, parts, CancelReason.TIME_EXPIRED, due)
    return Moment(position, time, parts, expired, later)


def depart(
    floor: Floor,
    moment: Moment,
    reason: CancelReason,
    orders: Iterable[RestingOrder],
    request_id: UUID,
) -> tuple[tuple[Departure, ...], int]:
    """Remove orders; return those that the event has room for, and the number of all others."""
    departed, later = _take_out(floor, moment.parts, reason, list(orders), request_id)
    return departed, moment.leaving + later


def _take_out(
    floor: Floor,
    parts: Parts,
    reason: CancelReason,
    orders: list[RestingOrder],
    request_id: UUID | None = None,
) -> tuple[tuple[Departure, ...], int]:
    first, later = parts.split(orders)
    departed = tuple([floor.departure(order, reason) for order in first])
    for departure in departed:
        floor.leave(departure.order_id)
    floor.retire(later, reason, request_id)
    return departed, len(later)
