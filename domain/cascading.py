"""What trades set off: the stops that they trigger, and what those trigger, to the end.

Each stop is an order of its own when its turn comes: the trades of one are over before the next
trades (Kraken and Binance trigger by the last trade's price, not by quotes). As a stop waits
only once, it ends.
"""

from collections import deque
from collections.abc import Sequence

from domain.admitting import refusal_to_trade
from domain.arriving import execute, nothing
from domain.book import RestingOrder
from domain.facts import Execution, Fill
from domain.floor import Floor
from domain.instrument import Instrument
from domain.stops import is_through
from domain.values import PLAIN


def cascade(floor: Floor, instrument: Instrument, fills: Sequence[Fill]) -> tuple[Execution, ...]:
    """All that trades set off, to its end; it is applied to the floor, one after the other."""
    if not floor.stops.orders:
        return ()
    queue: deque[RestingOrder] = deque()
    _enqueue(floor, fills, queue)
    executions = []
    while queue:
        stop = queue.popleft()
        execution = _at_its_trigger(floor, instrument, stop)
        floor.trigger(execution, stop)
        executions.append(execution)
        _enqueue(floor, execution.fills, queue)
    return tuple(executions)


def trigger_at_once(
    floor: Floor, instrument: Instrument, stop: RestingOrder
) -> tuple[Execution, ...]:
    """What comes of a stop that has just begun to wait, where the last trade is through."""
    if not is_through(stop.side, stop.conditions or PLAIN, floor.last_price):
        return ()
    floor.stops.remove(stop.order_id)
    execution = _at_its_trigger(floor, instrument, stop)
    floor.trigger(execution, stop)
    return (execution, *cascade(floor, instrument, execution.fills))


def _enqueue(floor: Floor, fills: Sequence[Fill], queue: deque[RestingOrder]) -> None:
    for fill in fills:
        for stop in floor.stops.reached_by(fill.price):
            queue.append(floor.stops.remove(stop.order_id))


def _at_its_trigger(floor: Floor, instrument: Instrument, stop: RestingOrder) -> Execution:
    broken = refusal_to_trade(floor, instrument, stop)
    if broken is not None:
        return nothing(stop, broken=broken)
    return execute(floor, instrument, stop)
