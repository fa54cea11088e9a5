"""A reference for docs/order-types.md, written to be obviously right and for nothing else.

What rests and what waits are two plain lists, each in the order of arrival. Every question
is answered by scanning and sorting them. Reasons are plain strings, statuses as well.
"""

from copy import copy
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from domain.instrument import NO_RULES, Instrument, Rules, TradingStatus
from domain.values import (
    MAX_SLICES,
    UNITS_PER_ONE,
    OrderType,
    SelfTradePrevention,
    Side,
    Terms,
    TimeInForce,
)

MOST = 10_000_000_000 * UNITS_PER_ONE  # of a price and of a quantity, where no rule says less


class NaiveTrade(NamedTuple):
    trade_id: int
    maker: UUID
    taker: UUID
    price: int
    quantity: int
    maker_remaining: int


class Broken(NamedTuple):
    """A rule that was broken, and what it allows."""

    reason: str
    limit: int | None = None


@dataclass(eq=False)  # an order is itself, whatever it looks like
class NaiveOrder:
    order: UUID
    terms: Terms
    expires_at: datetime | None
    price: int | None
    quantity: int | None
    display_quantity: int | None
    stop_price: int | None
    filled: int = 0
    notional: int = 0
    shown: int = 0
    turn: str = "ARRIVED"  # or CHANGED, TRIGGERED, TRADING
    worst: int | None = None  # once it trades
    most: int = MOST  # by amount of money: the most that it may have
    since: int = 0  # of those that end at one time the first to have come is the first to go
    status: str = "PENDING"
    reason: str | None = None
    limit: int | None = None

    @property
    def is_stop(self) -> bool:
        return self.terms.order_type in {OrderType.STOP, OrderType.STOP_LIMIT}

    @property
    def is_market(self) -> bool:
        """Whether it trades at any price, when its turn comes."""
        return self.terms.order_type in {OrderType.MARKET, OrderType.STOP}

    @property
    def is_immediate(self) -> bool:
        """Whether nothing of it ever rests."""
        return self.is_market or self.terms.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}

    @property
    def waits_for_a_rise(self) -> bool:
        return (self.terms.side == Side.BUY) != self.terms.take_profit

    @property
    def remaining(self) -> int:
        assert self.quantity is not None, "an order by quoteQuantity has no quantity"
        return self.quantity - self.filled

    @property
    def money(self) -> int:
        """What an order by quoteQuantity may still spend or receive, as price x quantity."""
        assert self.terms.quote_quantity is not None
        return self.terms.quote_quantity * UNITS_PER_ONE - self.notional

    @property
    def slices(self) -> int:
        if self.quantity is None or self.display_quantity is None:
            return 1
        return (self.quantity + self.display_quantity - 1) // self.display_quantity

    @property
    def has_nothing_left(self) -> bool:
        if self.terms.quote_quantity is not None:
            return self.money == 0
        return self.remaining == 0

    def show(self) -> None:
        """Shows as much as it may."""
        self.shown = self.remaining
        if self.display_quantity is not None:
            self.shown = min(self.display_quantity, self.remaining)

    def cut(self) -> None:
        """Shows no more than it may."""
        self.shown = min(self.shown, self.remaining)
        if self.display_quantity is not None:
            self.shown = min(self.shown, self.display_quantity)

    def end(self, status: str, reason: str | None = None, limit: int | None = None) -> None:
        self.status, self.reason, self.limit = status, reason, limit

    def stay(self) -> None:
        self.status = "OPEN" if self.filled == 0 else "PARTIALLY_FILLED"


class NaiveBook:
    def __init__(self) -> None:
        self.resting: list[NaiveOrder] = []
        self.stops: list[NaiveOrder] = []
        self.turns: list[NaiveOrder] = []  # who is to trade as a taker, the head of it first
        self.departing: list[tuple[NaiveOrder, str, str]] = []  # gone, and to be told later
        self.most: int | None = None  # parts of this command's event, and how many are left
        self.room: int | None = None
        self.may_trade = True  # or others are before
        self.came = 0
        self.everyone: dict[UUID, NaiveOrder] = {}
        self.trades: list[NaiveTrade] = []
        self.last_price: int | None = None
        self.time: datetime | None = None
        self.own: Instrument | None = None
        self.broken: Broken | None = None  # why the last amend was refused

    # What there is to see.

    def queue(self, side: Side) -> list[NaiveOrder]:
        """The orders of a side by priority: the best price, then the earliest arrival."""
        orders = [order for order in self.resting if order.terms.side == side]
        if side == Side.BUY:
            return sorted(orders, key=lambda order: -_price(order))
        return sorted(orders, key=_price)

    def waiting(self) -> list[NaiveOrder]:
        return list(self.stops)

    # Commands.

    def place(self, order: UUID, terms: Terms, time: datetime, rules: Rules = NO_RULES) -> None:
        self._begin(time, rules)
        is_late = not self.may_trade or not self._has_room
        instrument = self._instrument(rules)
        new = NaiveOrder(
            order,
            terms,
            self._expiry(terms, instrument),
            terms.price,
            terms.quantity,
            terms.display_quantity,
            terms.stop_price,
        )
        new.most = instrument.max_quantity or MOST
        self.everyone[order] = new
        broken = (
            _broken_by_user(rules)
            or _broken_by_status(instrument, is_post_only=terms.post_only)
            or _broken_by_amounts(
                instrument, new.price, new.quantity, new.stop_price, new.display_quantity
            )
            or self._broken_by_limits(new, self._limits(rules))
            or _broken_by_price(instrument, new.stop_price, None)
            or _broken_by_price(
                instrument, new.price, None if new.is_stop or is_late else self.last_price
            )
            or (None if new.is_stop or is_late else self._broken_by_taking(terms, new.price))
        )
        if broken:
            new.end("REJECTED", *broken)
        elif self._is_past(new):
            new.end("EXPIRED", "TIME_EXPIRED")
        elif new.is_stop:
            self._wait(new)
        else:
            self._line_up(new, "ARRIVED")
        self._settle(instrument)

    def go_on(self, rules: Rules = NO_RULES) -> None:
        """What earlier commands had no room for; it takes no time."""
        assert self.time is not None
        self._begin(self.time, rules)
        while self.departing and self.room != 0:
            order, status, reason = self.departing.pop(0)
            order.end(status, reason)
            self._take_room(1)
        self.may_trade = True
        self._settle(self._instrument(rules))

    def cancel(self, order: UUID, time: datetime, rules: Rules = NO_RULES) -> str | None:
        self._begin(time, rules)
        found = self._find(order)
        if found is None:
            return "ORDER_NOT_OPEN"
        self._leave(found)
        found.end("CANCELLED", "USER_REQUEST")
        return None

    def replace(
        self,
        order: UUID,
        time: datetime,
        *,
        price: int | None = None,
        quantity: int | None = None,
        stop_price: int | None = None,
        display_quantity: int | None = None,
        rules: Rules = NO_RULES,
    ) -> str | None:
        self._begin(time, rules)
        instrument = self._instrument(rules)
        found = self._find(order)
        # The book knows of no order that it doesn't hold whether it was post-only.
        self.broken = _broken_by_user(rules) or _broken_by_status(
            instrument, is_post_only=found is not None and found.terms.post_only
        )
        if self.broken is None and found is None:
            self.broken = Broken("ORDER_NOT_OPEN")
        if self.broken is None and found in self.turns:
            self.broken = Broken("ORDER_QUEUED")
        if self.broken is None and found is not None:
            new = copy(found)
            new.price = found.price if price is None else price
            new.quantity = found.quantity if quantity is None else quantity
            new.stop_price = found.stop_price if stop_price is None else stop_price
            if display_quantity is not None:
                new.display_quantity = display_quantity
            self.broken = self._broken_by_asking(
                found, price, stop_price, display_quantity
            ) or self._broken_by_changing(found, new, instrument, display_quantity, rules)
            if self.broken is None:
                self._change(found, new)
                self._settle(instrument)
        return None if self.broken is None else self.broken.reason

    def mass_cancel(
        self, user: str | None, reason: str, time: datetime, rules: Rules = NO_RULES
    ) -> list[UUID]:
        """Cancels the orders of a user, or of all; returns those that are told at once."""
        self._begin(time, rules)
        everyone = [*self.queue(Side.BUY), *self.queue(Side.SELL), *by_trigger(self.stops)]
        everyone += self.turns
        if user is not None:
            everyone = [order for order in everyone if order.terms.user_id == user]
            everyone.sort(key=lambda order: order.order.int)
        return self._depart(everyone, "CANCELLED", reason)

    def expire(self, time: datetime, rules: Rules = NO_RULES) -> None:
        self._begin(time, rules)

    def reset_time(self, time: datetime) -> None:
        self.time = time

    def change_instrument(
        self, instrument: Instrument | None, time: datetime, rules: Rules = NO_RULES
    ) -> None:
        """None: the asset has no rules of its own any more."""
        self._begin(time, rules)
        self.own = instrument
        if instrument is not None and instrument.status == TradingStatus.DELISTED:
            self._delist()

    def delist(self, time: datetime, rules: Rules = NO_RULES) -> None:
        self._begin(time, rules)
        self._delist()

    def _delist(self) -> None:
        everyone = [*self.queue(Side.BUY), *self.queue(Side.SELL), *by_trigger(self.stops)]
        self._depart([*everyone, *self.turns], "CANCELLED", "DELISTED")
        self.last_price = None

    # Room.

    @property
    def _has_room(self) -> bool:
        """Whether an order can have its turn, and a trade."""
        return self.room is None or self.room >= 2

    def _take_room(self, parts: int) -> None:
        if self.room is not None:
            self.room -= parts

    def _depart(self, orders: list[NaiveOrder], status: str, reason: str) -> list[UUID]:
        """Has orders leave, of which those are told that there is room for."""
        told = []
        for order in orders:
            self._leave(order)
            if self.room == 0:
                self.departing.append((order, status, reason))
            else:
                self._take_room(1)
                order.end(status, reason)
                told.append(order.order)
        return told

    # Time.

    def _begin(self, time: datetime, rules: Rules) -> None:
        self.time = time if self.time is None else max(self.time, time)
        self.most = self.room = self._limits(rules)["max_parts"]
        self.may_trade = not self.turns
        past = [each for each in [*self.resting, *self.stops, *self.turns] if self._is_past(each)]
        past.sort(key=lambda order: (order.expires_at, order.since))
        self._depart(past, "EXPIRED", "TIME_EXPIRED")

    def _is_past(self, order: NaiveOrder) -> bool:
        assert self.time is not None
        return order.expires_at is not None and order.expires_at <= self.time

    def _expiry(self, terms: Terms, instrument: Instrument) -> datetime | None:
        if terms.time_in_force != TimeInForce.DAY:
            return terms.expires_at
        assert self.time is not None
        end = self.time.replace(hour=0, minute=0, second=0, microsecond=0)
        end += timedelta(minutes=instrument.session_end)
        while end <= self.time:
            end += timedelta(days=1)
        return end

    # Rules.

    def _instrument(self, rules: Rules) -> Instrument:
        return rules.default if self.own is None else self.own

    def _limits(self, rules: Rules) -> dict[str, int | None]:
        """The limits of the asset, and where it has none, those of all assets."""
        limits = asdict(rules.default.limits)
        if self.own is not None:
            own = asdict(self.own.limits)
            limits |= {name: limit for name, limit in own.items() if limit is not None}
        return limits

    def _broken_by_limits(self, new: NaiveOrder, limits: dict[str, int | None]) -> Broken | None:
        def is_users(order: NaiveOrder) -> bool:
            return order.terms.user_id == new.terms.user_id

        may_rest = new.is_stop or not new.is_immediate
        counts = [
            (
                "OPEN_ORDERS_LIMIT",
                "max_open_orders",
                [*self.resting, *self.stops, *self.turns],
                may_rest,
                True,
            ),
            ("USER_STOPS_LIMIT", "max_user_stops", self.stops, new.is_stop, True),
            ("STOPS_LIMIT", "max_stops", self.stops, new.is_stop, False),
        ]
        for reason, name, orders, is_counted, is_of_user in counts:
            most = limits[name]
            count = sum(is_users(order) or not is_of_user for order in orders)
            if is_counted and most is not None and count >= most:
                return Broken(reason, most * UNITS_PER_ONE)
        most = limits["max_slices"]
        if most is not None and new.slices > most:
            return Broken("SLICES_LIMIT", most * UNITS_PER_ONE)
        return None

    def _broken_by_taking(self, terms: Terms, price: int | None) -> Broken | None:
        """Whether a post-only order would take, at this price."""
        assert price is not None or not terms.post_only
        others = self.queue(_other(terms.side))
        if terms.post_only and others and _reaches(terms.side, price, _price(others[0])):
            return Broken("POST_ONLY_WOULD_TAKE")
        return None

    def _broken_by_asking(
        self,
        found: NaiveOrder,
        price: int | None,
        stop_price: int | None,
        display_quantity: int | None,
    ) -> Broken | None:
        """Whether an order is asked to change what it hasn't got."""
        if price is not None and found.price is None:
            return Broken("NO_LIMIT_PRICE")
        if stop_price is not None and found not in self.stops:
            return Broken("NO_STOP_PRICE")
        if display_quantity is not None and found.display_quantity is None:
            return Broken("NO_DISPLAY_QUANTITY")
        return None

    def _broken_by_changing(
        self,
        found: NaiveOrder,
        new: NaiveOrder,
        instrument: Instrument,
        display_quantity: int | None,
        rules: Rules,
    ) -> Broken | None:
        """Whether what the order would be breaks a rule; ``display_quantity``: what is asked."""
        assert new.quantity is not None
        if new.quantity <= found.filled:
            return Broken("QUANTITY_NOT_ABOVE_FILLED")
        if display_quantity is not None and display_quantity > new.quantity:
            return Broken("DISPLAY_QUANTITY", new.quantity)
        if new.display_quantity is not None and new.quantity > MAX_SLICES * new.display_quantity:
            return Broken("TOO_MANY_SLICES", (new.quantity + MAX_SLICES - 1) // MAX_SLICES)
        most = self._limits(rules)["max_slices"]
        if most is not None and new.slices > most and new.slices > found.slices:
            return Broken("SLICES_LIMIT", most * UNITS_PER_ONE)
        return self._broken_by_what_changes(found, new, instrument)

    def _broken_by_what_changes(
        self, found: NaiveOrder, new: NaiveOrder, instrument: Instrument
    ) -> Broken | None:
        """What stays as it is may break rules that are newer than the order."""
        waits = found in self.stops
        assert new.quantity is not None
        assert found.quantity is not None
        grows = new.quantity > found.quantity  # there is more of it, at its price
        price_changes = grows or new.price != found.price
        trigger_changes = waits and (grows or new.stop_price != found.stop_price)
        quantity_changes = new.quantity != found.quantity
        display_changes = grows or new.display_quantity != found.display_quantity
        # So may a quantity that comes closer to what is allowed.
        judged = replace(
            instrument,
            min_quantity=instrument.min_quantity if new.quantity < found.quantity else None,
            max_quantity=instrument.max_quantity if new.quantity > found.quantity else None,
            min_notional=None,
        )
        broken = _broken_by_amounts(
            judged,
            new.price if price_changes else None,
            new.quantity if quantity_changes else None,
            new.stop_price if trigger_changes else None,
            new.display_quantity if display_changes else None,
        )
        least = (instrument.min_notional or 0) * UNITS_PER_ONE
        if broken is None and new.price is not None:
            assert found.price is not None
            worth, was_worth = new.price * new.quantity, found.price * found.quantity
            if worth < least and worth < was_worth:
                broken = Broken("MIN_NOTIONAL", instrument.min_notional)
        if broken is None and trigger_changes:
            broken = _broken_by_price(instrument, new.stop_price, None)
        if broken is not None:
            return broken
        if waits and (self.last_price is None or not _triggers(self.last_price, new)):
            return _broken_by_price(instrument, new.price, None) if price_changes else None
        if not price_changes and not waits:
            return None
        return _broken_by_price(instrument, new.price, self.last_price) or self._broken_by_taking(
            new.terms, new.price
        )

    # Coming, changing and going.

    def _find(self, order: UUID) -> NaiveOrder | None:
        for each in [*self.resting, *self.stops, *self.turns]:
            if each.order == order:
                return each
        return None

    def _leave(self, order: NaiveOrder) -> None:
        if order in self.resting:
            self.resting.remove(order)
        if order in self.stops:
            self.stops.remove(order)
        if order in self.turns:
            self.turns.remove(order)

    def _come(self, order: NaiveOrder) -> None:
        self.came += 1
        order.since = self.came

    def _line_up(self, order: NaiveOrder, turn: str) -> None:
        order.turn = turn
        order.stay()
        self._come(order)
        self.turns.append(order)

    def _wait(self, stop: NaiveOrder) -> None:
        if self.last_price is not None and _triggers(self.last_price, stop):
            self._line_up(stop, "TRIGGERED")
        else:
            stop.stay()
            self._come(stop)
            self.stops.append(stop)

    def _change(self, found: NaiveOrder, new: NaiveOrder) -> None:
        """Makes an order what it is to be, and decides whether it keeps its place."""
        assert found.quantity is not None
        assert new.quantity is not None
        waits = found in self.stops
        if waits:
            keeps = new.quantity <= found.quantity and new.stop_price == found.stop_price
        else:
            shows_more = (new.display_quantity or 0) > (found.display_quantity or 0)
            keeps = new.price == found.price and new.quantity <= found.quantity and not shows_more
        found.price, found.quantity = new.price, new.quantity
        found.stop_price, found.display_quantity = new.stop_price, new.display_quantity
        if keeps:
            found.stay()
            found.cut()
            return
        self._leave(found)
        if waits:
            self._wait(found)
        else:
            self._line_up(found, "CHANGED")

    # Trading.

    def _settle(self, instrument: Instrument) -> None:
        if not self.may_trade:
            return
        while self.turns and self._has_room:
            if not self._take_turn(self.turns[0], instrument):
                return

    def _take_turn(self, taker: NaiveOrder, instrument: Instrument) -> bool:
        """The head of the queue trades; whether the next one's turn may be in this command."""
        if taker.turn in {"ARRIVED", "TRIGGERED"}:
            broken = _broken_by_price(
                instrument, taker.price, self.last_price
            ) or self._broken_by_taking(taker.terms, taker.price)
            if broken:
                self._take_room(1)
                self.turns.remove(taker)
                taker.end("REJECTED", *broken)
                return True
        if taker.turn == "CHANGED" and self._broken_by_taking(taker.terms, taker.price):
            self._take_room(1)
            self.turns.remove(taker)
            taker.end("EXPIRED", "POST_ONLY_WOULD_TAKE")
            return True
        if taker.terms.time_in_force == TimeInForce.FOK:
            obstacle = self._obstacle_to_all(taker, instrument)
            if obstacle == "TOO_MANY_TRADES" and self.room != self.most:
                return False  # it may have more room in the next
            if obstacle is not None:
                self._take_room(1)
                self.turns.remove(taker)
                taker.end("EXPIRED", obstacle)
                return True
        self._take_room(1)
        obstacle = self._sweep(taker, instrument)
        if obstacle == "ROOM":
            taker.turn = "TRADING"
            if taker.filled or taker.quantity is not None:
                taker.stay()
            return False
        self.turns.remove(taker)
        self._end_turn(taker, obstacle)
        return True

    def _end_turn(self, taker: NaiveOrder, obstacle: str | None) -> None:
        if obstacle is None:
            taker.end("FILLED")
        elif obstacle == "SELF_TRADE_PREVENTION":
            taker.end("CANCELLED", obstacle)
        elif taker.is_immediate:
            taker.end("EXPIRED", obstacle)
        else:
            taker.stay()
            taker.show()
            self._come(taker)
            self.resting.append(taker)

    def _obstacle_to_all(self, taker: NaiveOrder, instrument: Instrument) -> str | None:
        """What keeps a FOK from being filled whole: it trades with copies, to see."""
        twin, elsewhere = copy(taker), NaiveBook()
        elsewhere.resting = [copy(order) for order in self.resting]
        elsewhere.last_price = self.last_price
        if self.room is not None:
            elsewhere.room = self.room - 1
        obstacle = elsewhere._sweep(twin, instrument)
        if obstacle == "ROOM":
            return "TOO_MANY_TRADES"
        if twin.filled == taker.quantity:
            return None
        return "PRICE_BAND" if obstacle == "PRICE_BAND" else "INSUFFICIENT_LIQUIDITY"

    def _sweep(self, taker: NaiveOrder, instrument: Instrument) -> str | None:
        """Trades until something keeps the taker from it, which is returned, or all is traded."""
        worst = taker.price
        if taker.is_market and taker.worst is None:
            low, high = _band(instrument, self.last_price)
            taker.worst = high if taker.terms.side == Side.BUY else low
        if taker.is_market:
            worst = taker.worst
        maker: NaiveOrder | None = None
        while not taker.has_nothing_left:
            if self.room == 0 and not self._is_unaffordable(taker, maker, instrument):
                return "ROOM"
            makers = self.queue(_other(taker.terms.side))
            if not makers:
                return "INSUFFICIENT_LIQUIDITY"
            maker = makers[0]
            if not _reaches(taker.terms.side, worst, _price(maker)):
                return "PRICE_BAND" if taker.is_market else "INSUFFICIENT_LIQUIDITY"
            unaffordable = self._is_unaffordable(taker, maker, instrument)
            if unaffordable is not None:
                return unaffordable
            allowed, affordable = self._affordable(taker, maker, instrument)
            mode = taker.terms.self_trade_prevention
            is_own = maker.terms.user_id == taker.terms.user_id
            if is_own and mode != SelfTradePrevention.NONE:
                is_noted = mode != SelfTradePrevention.CANCEL_TAKER and not (
                    mode == SelfTradePrevention.DECREMENT and taker.quantity is None
                )
                self._take_room(int(is_noted))
                if self._prevent(taker, maker, mode):
                    return "SELF_TRADE_PREVENTION"
                maker = None
            else:
                self._take_room(1)
                quantity = min(allowed, affordable, maker.shown)
                is_whole = quantity == maker.shown
                self._trade(taker, maker, quantity)
                maker = None if is_whole else maker
        return None

    def _affordable(
        self, taker: NaiveOrder, maker: NaiveOrder, instrument: Instrument
    ) -> tuple[int, int]:
        """How much a taker may have at most, and how much it can pay for."""
        if taker.terms.quote_quantity is None:
            return taker.remaining, taker.remaining
        lot = instrument.lot_size
        allowed = (taker.most - taker.filled) // lot * lot
        return allowed, taker.money // _price(maker) // lot * lot

    def _is_unaffordable(
        self, taker: NaiveOrder, maker: NaiveOrder | None, instrument: Instrument
    ) -> str | None:
        """Why it can't trade with this maker, where it is known who is next."""
        if maker is None:
            return None
        allowed, affordable = self._affordable(taker, maker, instrument)
        if allowed == 0:
            return "QUANTITY_LIMIT"
        return "NO_WHOLE_LOT" if affordable == 0 else None

    def _prevent(self, taker: NaiveOrder, maker: NaiveOrder, mode: SelfTradePrevention) -> bool:
        """Keeps a user from trading with themself. Returns whether the taker goes no further."""
        if mode == SelfTradePrevention.CANCEL_TAKER:
            return True
        if mode == SelfTradePrevention.CANCEL_MAKER:
            self._prevented(maker)
            return False
        if mode == SelfTradePrevention.CANCEL_BOTH:
            self._prevented(maker)
            return True
        if taker.quantity is None:
            return True
        assert maker.quantity is not None
        of_taker, of_maker = taker.remaining, maker.remaining
        if of_taker >= of_maker:
            self._prevented(maker)
        else:
            maker.quantity -= of_taker
            maker.cut()
        if of_taker > of_maker:
            taker.quantity -= of_maker
        return of_taker <= of_maker

    def _prevented(self, maker: NaiveOrder) -> None:
        self._leave(maker)
        maker.end("CANCELLED", "SELF_TRADE_PREVENTION")

    def _trade(self, taker: NaiveOrder, maker: NaiveOrder, quantity: int) -> None:
        price = _price(maker)
        for each in (taker, maker):
            each.filled += quantity
            each.notional += price * quantity
        maker.shown -= quantity
        maker.stay()
        if maker.remaining == 0:
            self._leave(maker)
            maker.end("FILLED")
        elif maker.shown == 0:  # the next slice of an iceberg, at the back of the queue
            self._leave(maker)
            maker.show()
            self.resting.append(maker)
        self.trades.append(
            NaiveTrade(
                len(self.trades) + 1, maker.order, taker.order, price, quantity, maker.remaining
            )
        )
        self.last_price = price
        self._trigger(price)

    def _trigger(self, price: int) -> None:
        reached = [stop for stop in self.stops if _triggers(price, stop)]
        rising = [stop for stop in reached if stop.waits_for_a_rise]
        falling = [stop for stop in reached if not stop.waits_for_a_rise]
        rising.sort(key=_stop_price)
        falling.sort(key=lambda stop: -_stop_price(stop))
        for stop in [*rising, *falling]:
            self.stops.remove(stop)
            stop.turn = "TRIGGERED"
            self.turns.append(stop)


def by_trigger(stops: list[NaiveOrder]) -> list[NaiveOrder]:
    """Those that wait for the price to rise, then for it to fall, the nearest trigger first."""
    rising = [stop for stop in stops if stop.waits_for_a_rise]
    falling = [stop for stop in stops if not stop.waits_for_a_rise]
    return [
        *sorted(rising, key=lambda stop: stop.stop_price or 0),
        *sorted(falling, key=lambda stop: -(stop.stop_price or 0)),
    ]


def _price(order: NaiveOrder) -> int:
    assert order.price is not None
    return order.price


def _stop_price(order: NaiveOrder) -> int:
    assert order.stop_price is not None
    return order.stop_price


def _other(side: Side) -> Side:
    return Side.SELL if side == Side.BUY else Side.BUY


def _reaches(side: Side, worst: int | None, price: int) -> bool:
    """Whether an order on a side that takes prices up to ``worst`` would trade at a price."""
    assert worst is not None
    return price <= worst if side == Side.BUY else price >= worst


def _triggers(price: int, stop: NaiveOrder) -> bool:
    if stop.waits_for_a_rise:
        return price >= _stop_price(stop)
    return price <= _stop_price(stop)


def _broken_by_user(rules: Rules) -> Broken | None:
    return Broken("USER_SUSPENDED") if rules.is_suspended else None


def _broken_by_status(instrument: Instrument, *, is_post_only: bool) -> Broken | None:
    if instrument.status == TradingStatus.HALTED:
        return Broken("MARKET_HALTED")
    if instrument.status == TradingStatus.DELISTED:
        return Broken("DELISTED")
    if instrument.status == TradingStatus.POST_ONLY and not is_post_only:
        return Broken("MARKET_POST_ONLY")
    return None


def _broken_by_amounts(
    instrument: Instrument,
    price: int | None,
    quantity: int | None,
    stop_price: int | None,
    display_quantity: int | None,
) -> Broken | None:
    for each in (price, stop_price):
        if each is not None and each % instrument.tick_size != 0:
            return Broken("TICK_SIZE", instrument.tick_size)
    for each in (quantity, display_quantity):
        if each is not None and each % instrument.lot_size != 0:
            return Broken("LOT_SIZE", instrument.lot_size)
    if quantity is None:
        return None
    most = instrument.max_quantity or MOST
    least = instrument.min_quantity or 1
    notional = instrument.min_notional or 0
    rules = [
        ("MIN_QUANTITY", least, quantity >= least),
        ("MAX_QUANTITY", most, quantity <= most),
        ("MIN_NOTIONAL", notional, price is None or price * quantity >= notional * UNITS_PER_ONE),
    ]
    for reason, limit, is_kept in rules:
        if not is_kept:
            return Broken(reason, limit)
    return None


def _band(instrument: Instrument, last: int | None) -> tuple[int, int]:
    low = instrument.min_price or 1
    high = instrument.max_price or MOST
    if last is not None and instrument.band_percent is not None:
        last = max(low, min(last, high))
        away = last * instrument.band_percent // (100 * UNITS_PER_ONE)
        low = max(low, last - away)
        high = min(high, last + away)
    return low, high


def _broken_by_price(instrument: Instrument, price: int | None, last: int | None) -> Broken | None:
    low, high = _band(instrument, last)
    if price is not None and price < low:
        return Broken("PRICE_TOO_LOW", low)
    if price is not None and price > high:
        return Broken("PRICE_TOO_HIGH", high)
    return None
