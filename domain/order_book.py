"""The OrderBook aggregate: it decides commands on its floor, and records the facts.

One event per command, so the aggregate's version is the public version of the book: the
number of commands that it has decided; 0 is the empty book. Each event carries the
``position`` of its command in the log of orders and requests. A book ignores positions
that it has had, so that commands that come again, by whatever transport, change nothing.

A command's consequences are decided step by step, each on the floor as the last one left it;
so facts are applied as they are found, and the event that holds all of them, once made, is not
applied again. Reading it back applies the same facts in the same way, which cannot fail.
"""

from datetime import datetime
from typing import Any, Final, Self, TypeAlias, cast

from eventsourcing.domain import Snapshot as LibrarySnapshot

from domain import decisions
from domain.admitting import refusal, refusal_of_status, resting
from domain.aggregate import Aggregate, build
from domain.amending import amended, keeps_place, refusal_to_amend
from domain.arriving import nothing
from domain.book import Book, RestingOrder
from domain.book_state import BookState, restore, state_of
from domain.cascading import Came, come, facts_of, take_turns
from domain.departures import Moment, begin, depart
from domain.errors import CancelReason, RejectReason
from domain.facts import Departure
from domain.floor import Floor
from domain.instrument import NO_RULES, Instrument, Refusal, Rules, delists
from domain.order import Order
from domain.parts import Parts
from domain.requests import (
    CancelRequest,
    ContinuationRequest,
    ExpiryRequest,
    InstrumentRequest,
    LimitsRequest,
    MassCancelRequest,
    ReplaceRequest,
    TimeRequest,
    UserRequest,
)
from domain.values import Turn, book_id, continuation_id

About = CancelRequest.Created | ReplaceRequest.Created  # an order
Request = (
    About
    | MassCancelRequest.Created
    | ExpiryRequest.Created
    | InstrumentRequest.Created
    | UserRequest.Created
    | TimeRequest.Created
    | LimitsRequest.Created
    | ContinuationRequest.Created
)


_ARRIVED: Final = Turn.ARRIVED  # see book.py on names like this one


class OrderBook(Aggregate):
    """The book of one asset, and the only place where the fate of its orders is decided."""

    TOPIC = "book"
    class_version = 1

    INITIAL_VERSION = 0

    Event: TypeAlias = decisions.Event
    Decided: TypeAlias = decisions.Decided
    Arrived: TypeAlias = decisions.Arrived
    Matched: TypeAlias = decisions.Matched
    Cancelled: TypeAlias = decisions.Cancelled
    Reduced: TypeAlias = decisions.Reduced
    Replaced: TypeAlias = decisions.Replaced
    Refused: TypeAlias = decisions.Refused
    MassCancelled: TypeAlias = decisions.MassCancelled
    Expired: TypeAlias = decisions.Expired
    InstrumentChanged: TypeAlias = decisions.InstrumentChanged
    TimeReset: TypeAlias = decisions.TimeReset
    Continued: TypeAlias = decisions.Continued

    class Created(Aggregate.Created):
        """The first command for an asset arrived."""

        TOPIC = "book.opened"
        class_version = 1

        asset: str

    class Snapshot(LibrarySnapshot):
        """The library's, with a state that has types, and the book's own time."""

        TOPIC = "book.state"  # "book.snapshot" was without the last price: see SnapshotRecorder
        class_version = 3

        state: BookState  # type: ignore[assignment]  # the library's is any dictionary

        @staticmethod
        def upcast_v1_v2(state: dict[str, object]) -> None:
            del state  # the limits of an instrument that has none are read as None

        @staticmethod
        def upcast_v2_v3(state: dict[str, object]) -> None:
            del state  # nothing was left for later events: the defaults say so

        @classmethod
        def take(cls, aggregate: Any) -> Self:
            facts = {
                "originator_id": aggregate.id,
                "originator_version": aggregate.version,
                "timestamp": aggregate.modified_on,
                "topic": aggregate.TOPIC,
                "state": state_of(
                    aggregate.floor, aggregate.asset, aggregate.created_on, aggregate.position
                ),
            }
            return build(cls, facts)

        def mutate(self, _: None) -> "OrderBook":
            state = self.state
            order_book = OrderBook.__new__(OrderBook)
            order_book.__base_init__(self.originator_id, self.originator_version, state.created_on)
            order_book.__init__(state.asset)  # type: ignore[misc]  # as the library's events do it
            order_book.modified_on = self.timestamp
            order_book.position = state.position
            restore(order_book.floor, state)
            return order_book

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.floor = Floor()
        self.position = 0

    @property
    def book(self) -> Book:
        """The orders that rest, and can be traded with."""
        return self.floor.book

    @property
    def last_trade_id(self) -> int:
        return self.floor.last_trade_id

    @property
    def has_something_to_delist(self) -> bool:
        """Test if delisting all assets without rules of their own would change this book."""
        floor = self.floor
        return floor.instrument is None and (floor.has_orders() or floor.last_price is not None)

    @classmethod
    def open(cls, asset: str, time: datetime) -> Self:
        """An empty book."""
        return cls._create(cls.Created, id=book_id(asset), asset=asset, timestamp=time)

    def place(self, position: int, order: Order.Created, rules: Rules = NO_RULES) -> None:
        """Decide an arriving order, by the rules that hold at its place in the log."""
        if position <= self.position:
            return None
        moment = begin(self.floor, position, self._time(order.timestamp), rules)
        floor, parts = self.floor, moment.parts
        instrument = floor.instrument or rules.default
        new = resting(order, instrument, moment.time)
        broken = refusal_of_status(instrument, rules, post_only=order.post_only)
        if broken is None:
            has_quantity = order.quantity is not None
            limits = rules.limits_of(instrument)
            broken = refusal(
                floor,
                instrument,
                limits,
                new,
                has_quantity=has_quantity,
                waits_for_turn=len(floor.queue) > 0 or not parts.allow_a_turn,
            )
        if broken is not None:
            return self._refuse(moment, order, broken)
        expires_at = None if new.conditions is None else new.conditions.expires_at
        if expires_at is not None and expires_at <= moment.time:
            came = Came(nothing(new, CancelReason.TIME_EXPIRED), waits=False, triggered=())
        else:
            came = come(floor, instrument, new, parts, _ARRIVED, order.quote_quantity)
        facts = facts_of(floor, came, new)
        if order.quantity is None:
            facts["quantity"] = None
        return self._record_facts(self.Matched, moment, facts)

    def cancel(
        self, position: int, request: CancelRequest.Created, rules: Rules = NO_RULES
    ) -> None:
        """Take an order out of the book; refuse if it is there no longer."""
        if position <= self.position:
            return None
        moment = begin(self.floor, position, self._time(request.timestamp), rules)
        order = self.floor.find(request.order_id)
        if order is None:
            broken = Refusal(RejectReason.ORDER_NOT_OPEN)
            return self._refuse(moment, request, broken)
        gone = self.floor.departure(order, CancelReason.USER_REQUEST)
        self.floor.leave(order.order_id)
        facts: dict[str, object] = {
            "order_id": gone.order_id,
            "user_id": gone.user_id,
            "request_id": request.originator_id,
            "side": gone.side,
            "price": gone.price,
            "remaining": gone.remaining,
            "shown": gone.shown,
            "reason": gone.reason,
        }
        return self._record_facts(self.Cancelled, moment, facts)

    def replace(
        self, position: int, request: ReplaceRequest.Created, rules: Rules = NO_RULES
    ) -> None:
        """Change price, total quantity, trigger or displayed quantity of an order.

        An order that asks for no more than it had at its price keeps its place. Any other loses
        it, and trades at once as the taker if its price crosses.
        """
        if position <= self.position:
            return None
        moment = begin(self.floor, position, self._time(request.timestamp), rules)
        floor = self.floor
        instrument = floor.instrument or rules.default
        broken = refusal_to_amend(floor, instrument, rules, request)
        if broken is not None:
            return self._refuse(moment, request, broken)
        order = cast("RestingOrder", floor.find(request.order_id))  # or it was refused
        new = amended(floor, order, request)
        waits = floor.waits(order.order_id)
        remaining, shown = order.remaining, 0 if waits else order.shown  # before the change
        if keeps_place(floor, order, new):
            floor.amend(order.order_id, new.price, new.quantity, new.conditions)
            return self._record(
                self.Reduced,
                moment,
                order_id=order.order_id,
                user_id=order.user_id,
                request_id=request.originator_id,
                side=order.side,
                price=new.price,
                quantity=new.quantity,
                remaining=new.remaining,
                shown=0 if waits else order.shown,
                conditions=new.conditions,
                previous_remaining=remaining,
                previous_shown=shown,
            )
        floor.leave(order.order_id)
        came = come(floor, instrument, new, moment.parts, Turn.CHANGED)
        facts = {
            **facts_of(floor, came, new),
            "conditions": new.conditions,
            "request_id": request.originator_id,
            "previous_price": order.price,
            "previous_remaining": remaining,
            "previous_shown": shown,
        }
        return self._record_facts(self.Replaced, moment, facts)

    def mass_cancel(
        self,
        position: int,
        request: MassCancelRequest.Created | UserRequest.Created,
        reason: CancelReason = CancelReason.USER_REQUEST,
        rules: Rules = NO_RULES,
    ) -> None:
        """Take all orders of a user out of the book; without any, leave it untouched."""
        user = request.user_id
        if position <= self.position or not self.floor.has_orders(user):
            return
        moment = begin(self.floor, position, self._time(request.timestamp), rules)
        orders = self.floor.orders_of(user)
        departed, leaving = depart(self.floor, moment, reason, orders, request.originator_id)
        self._record(
            self.MassCancelled,
            moment._replace(leaving=leaving),
            user_id=user,
            request_id=request.originator_id,
            departed=departed,
            reason=reason if leaving else None,
        )

    def expire(
        self, position: int, request: ExpiryRequest.Created, rules: Rules = NO_RULES
    ) -> None:
        """Take out the orders whose time is over by the time of the request."""
        if position > self.position:
            moment = begin(self.floor, position, self._time(request.timestamp), rules)
            self._record(
                self.Expired,
                moment,
                user_id=request.user_id,
                request_id=request.originator_id,
            )

    def go_on(
        self, position: int, request: ContinuationRequest.Created, rules: Rules = NO_RULES
    ) -> None:
        """Go on with what earlier events had no room for: first departures, then the queue.

        The book's time stays as it is. The request has the time of an earlier event, from before
        the book's time was reset, perhaps.
        """
        if position <= self.position:
            return
        floor = self.floor
        floor.continuation = None
        moment = begin(self.floor, position, self._modified_on, rules)
        departed = moment.parts.first_of(floor.departing)
        for _ in departed:
            floor.departing.popleft()
        instrument = floor.instrument or rules.default
        executed = take_turns(floor, instrument, moment.parts)
        self._record(
            self.Continued,
            moment,
            user_id=request.user_id,
            request_id=request.originator_id,
            departed=departed,
            executed=executed,
            unfinished=bool(floor.queue),
        )

    def reset_time(self, position: int, request: TimeRequest.Created) -> None:
        """Go on from the request's time, also where the book's own is later.

        A wrong clock may have moved the book's time ahead. Nothing leaves with this: whatever is
        due by the new time leaves before the next command is decided.
        """
        if position > self.position:
            self._record(
                self.TimeReset,
                Moment(position, request.timestamp, Parts(None)),
                user_id=request.user_id,
                request_id=request.originator_id,
            )

    def change_instrument(
        self, position: int, request: InstrumentRequest.Created, rules: Rules = NO_RULES
    ) -> None:
        """Give the asset rules of its own; where that delists it, all orders leave."""
        if position > self.position:
            self._change(position, request, request.instrument, rules)

    def delist_by_default(
        self, position: int, request: InstrumentRequest.Created, rules: Rules = NO_RULES
    ) -> None:
        """All assets without rules of their own are delisted; this may be one that has traded."""
        if position > self.position and self.has_something_to_delist:
            self._change(position, request, None, rules)

    def refuse(self, position: int, command: Order.Created | Request, reason: RejectReason) -> None:
        """Record the refusal of a command that the book didn't get to decide."""
        if position > self.position:
            moment = Moment(position, self._time(command.timestamp), Parts(None))
            if command.originator_id == self.floor.continuation:
                self.floor.continuation = None
                self._refuse(moment, command, Refusal(reason), asks_again=False)
            else:
                self._refuse(moment, command, Refusal(reason))

    def _time(self, sent: datetime) -> datetime:
        """A book's time never runs backwards, whatever the clocks of the senders say."""
        return max(sent, self._modified_on)

    def _change(
        self,
        position: int,
        request: InstrumentRequest.Created,
        own: Instrument | None,
        rules: Rules,
    ) -> None:
        moment = begin(self.floor, position, self._time(request.timestamp), rules)
        self.floor.instrument = own
        departed: tuple[Departure, ...] = ()
        leaving = moment.leaving
        if delists(own):
            orders = self.floor.all_orders()
            departed, leaving = depart(
                self.floor, moment, CancelReason.DELISTED, orders, request.originator_id
            )
            self.floor.last_price = None
        self._record(
            self.InstrumentChanged,
            moment._replace(leaving=leaving),
            user_id=request.user_id,
            request_id=request.originator_id,
            instrument=own,
            departed=departed,
        )

    def _refuse(
        self,
        moment: Moment,
        command: Order.Created | Request,
        broken: Refusal,
        *,
        asks_again: bool = True,
    ) -> None:
        is_order = isinstance(command, Order.Created)
        self._record(
            self.Refused,
            moment,
            order_id=command.originator_id if is_order else getattr(command, "order_id", None),
            user_id=command.user_id,
            request_id=None if is_order else command.originator_id,
            reason=broken.reason,
            limit=broken.limit,
            asks_again=asks_again,
        )

    def _record(
        self,
        decision: type[decisions.Decided],
        moment: Moment,
        *,
        asks_again: bool = True,
        **facts: object,
    ) -> None:
        """Record a decision whose facts are applied already: see above."""
        self._record_facts(decision, moment, facts, asks_again=asks_again)

    def _record_facts(
        self,
        decision: type[decisions.Decided],
        moment: Moment,
        facts: dict[str, object],
        *,
        asks_again: bool = True,
    ) -> None:
        """Record a decision with these facts, which the event keeps.

        If something is left for later events, and no request to go on is under way, the event
        says so. ``asks_again`` is False where the engine has just failed on such a request.
        """
        floor = self.floor
        continues = False
        if (floor.queue or floor.departing) and floor.continuation is None and asks_again:
            continues = True
            floor.continuation = continuation_id(self._id, self._version + 1)
        facts["leaving"] = moment.leaving
        facts["continues"] = continues
        facts["originator_id"] = self._id
        facts["originator_version"] = self._version + 1
        facts["timestamp"] = moment.time
        facts["asset"] = self.asset
        facts["position"] = moment.position
        facts["expired"] = moment.expired
        self._pending_events.append(build(decision, facts))
        self._version += 1
        self._modified_on = moment.time
        self.position = moment.position
