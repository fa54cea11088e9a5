"""The queue of turns: the stops that trades trigger, and what those trigger, up to the bound.

Each stop is an order of its own when its turn comes: the trades of one are over before the next
trades (Kraken and Binance trigger by the last trade's price, not by quotes). A cascade ends,
since a stop waits only once. Orders beyond the bound of the event stay in the queue, and those
that arrive meanwhile join its end; so the order of all trades is as if there were no bound.
"""

from typing import Final, NamedTuple

from domain.admitting import refusal_to_take, refusal_to_trade
from domain.arriving import execute, nothing
from domain.book import RestingOrder
from domain.errors import CancelReason
from domain.facts import Execution, Queued
from domain.floor import Floor
from domain.instrument import Instrument
from domain.parts import Parts
from domain.queue import InTurn
from domain.stops import is_through
from domain.values import PLAIN, Turn

_TOO_MANY_TRADES: Final = CancelReason.TOO_MANY_TRADES  # see book.py on names like this one


class Came(NamedTuple):
    """The result of an order on arrival, and of those that it triggered."""

    arrival: Execution
    waits: bool
    triggered: tuple[Execution, ...]


def come(  # noqa: PLR0913, PLR0917 - what comes, where to, and what it may take
    floor: Floor,
    instrument: Instrument,
    order: RestingOrder,
    parts: Parts,
    turn: Turn,
    quote_quantity: int | None = None,
) -> Came:
    """Decide and apply all that an order sets off that arrives, or loses its place.

    It waits for its trigger; it trades at once, if the queue is empty; or it joins the queue.
    """
    has_turn = not floor.queue and parts.allow_a_turn
    price = order.price
    if (
        has_turn
        and order.conditions is None
        and price is not None
        and not floor.book.would_take(order.side, price)
    ):
        return _rest(floor, order, parts)  # at once: most orders are such
    entry = InTurn(order, turn, None, quote_quantity)
    if order.conditions is not None and order.conditions.stop_price is not None:
        return _come_as_stop(floor, instrument, entry, parts)
    execution = None
    if has_turn:
        execution = turn_of(floor, instrument, entry, parts, is_judged=True)
    if execution is None:
        return _join(floor, entry)
    floor.arrive(execution, order.conditions, waits=False)
    if not execution.fills:
        return Came(execution, False, ())  # noqa: FBT003 - most orders come here
    floor.line_up(execution.fills)
    triggered = take_turns(floor, instrument, parts) if floor.queue else ()
    return Came(execution, waits=False, triggered=triggered)


def facts_of(floor: Floor, came: Came, new: RestingOrder) -> dict[str, object]:
    """Return the facts of the event of an order that has come: see decisions.Arrived."""
    arrival = came.arrival
    stays = arrival.rested or arrival.queued is not None
    return {
        "order_id": arrival.order_id,
        "user_id": arrival.user_id,
        "side": arrival.side,
        "price": arrival.price,
        "quantity": arrival.quantity,
        "fills": arrival.fills,
        "prevented": arrival.prevented,
        "rested": arrival.rested,
        "shown": arrival.shown,
        "lowered": arrival.lowered,
        "waits": came.waits,
        "conditions": new.conditions if stays else None,
        "reason": arrival.reason,
        "triggered": came.triggered,
        "queued": arrival.queued,
        "unfinished": bool(floor.queue),
    }


def _rest(floor: Floor, order: RestingOrder, parts: Parts) -> Came:
    """Rest a plain order that trades with nobody: what its turn would do, in one step."""
    quantity = order.remaining
    floor.stand(order, waits=False)
    parts.take(1)
    return Came(nothing(order, None, None, quantity, quantity), False, ())  # noqa: FBT003


def _come_as_stop(floor: Floor, instrument: Instrument, entry: InTurn, parts: Parts) -> Came:
    order = entry.order
    waiting = nothing(order, rested=order.quantity)
    if not is_through(order.side, order.conditions or PLAIN, floor.last_price):
        floor.arrive(waiting, order.conditions, waits=True)
        return Came(waiting, waits=True, triggered=())
    entry.turn = Turn.TRIGGERED
    execution = None
    if not floor.queue and parts.allow_a_turn:
        execution = turn_of(floor, instrument, entry, parts)
    if execution is None:
        return _join(floor, entry)
    floor.arrive(waiting, order.conditions, waits=True)
    floor.proceed(execution)
    floor.line_up(execution.fills)
    return Came(waiting, waits=True, triggered=(execution, *take_turns(floor, instrument, parts)))


def _join(floor: Floor, entry: InTurn) -> Came:
    """Put an order at the end of the queue."""
    order = entry.order
    left = Queued(order.remaining, entry.turn, None, entry.quote_quantity)
    queued = nothing(order, queued=left)
    floor.arrive(queued, order.conditions, waits=False)
    return Came(queued, waits=False, triggered=())


def take_turns(floor: Floor, instrument: Instrument, parts: Parts) -> tuple[Execution, ...]:
    """Let the orders in the queue trade, and those that they trigger, as long as they fit."""
    executions = []
    while floor.queue and parts.allow_a_turn:
        execution = turn_of(floor, instrument, floor.queue.head, parts)
        if execution is None:
            break
        floor.proceed(execution)
        floor.line_up(execution.fills)
        executions.append(execution)
    return tuple(executions)


def turn_of(
    floor: Floor,
    instrument: Instrument,
    entry: InTurn,
    parts: Parts,
    *,
    is_judged: bool = False,
) -> Execution | None:
    """Return what an order does when its turn comes, which takes parts. Changes nothing.

    None: it needs more than are left, all at once, and has to wait for an event of its own.
    """
    execution = None if is_judged else _forbidden(floor, instrument, entry)
    if execution is None:
        execution = execute(floor, instrument, entry, parts.for_trades)
    if parts.left is not None:
        if execution.reason is _TOO_MANY_TRADES and not parts.is_whole:
            return None
        parts.left -= 1 + len(execution.fills) + len(execution.prevented)
    execution.turn = entry.turn
    return execution


def _forbidden(floor: Floor, instrument: Instrument, entry: InTurn) -> Execution | None:
    """The end of an order that a rule forbids when its turn comes, if one does.

    A change was judged when it was asked for; but a post-only order must never take.
    """
    order = entry.order
    match entry.turn:
        case Turn.ARRIVED | Turn.TRIGGERED:
            broken = refusal_to_trade(floor, instrument, order)
            return None if broken is None else nothing(order, broken=broken)
        case Turn.CHANGED if refusal_to_take(floor, order) is not None:
            return nothing(order, CancelReason.POST_ONLY_WOULD_TAKE)
    return None
