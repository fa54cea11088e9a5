"""The book against what really happened, and against what other engines agreed on."""

from itertools import groupby
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from domain.order import Order
from domain.order_book import OrderBook
from domain.requests import CancelRequest
from domain.values import Side, Terms, TimeInForce
from tests.domain.support import START, Command, Event, state
from tests.real_flow import (
    ExpectedFill,
    LobsterFinalLevel,
    LobsterLevel,
    LobsterRow,
    NormalMessage,
    lobster_commands,
    lobster_final,
    lobster_rows,
    lobster_steps,
    needs_real_flow,
    normal_messages,
    normal_reports,
)

pytestmark = needs_real_flow


class Feed:
    """Sends what comes from outside to an OrderBook, and knows whose order is whose.

    An order that is placed again under its own name, as a modification that always loses
    priority demands, is a new order to the book.
    """

    def __init__(self, asset: str) -> None:
        self.book = OrderBook.open(asset, START)
        self.events: list[Event] = list(self.book.collect_events())
        self.names: dict[UUID, str] = {}
        self.ids: dict[str, UUID] = {}
        self.position = 0

    def place(self, name: str, side: str, price: int, quantity: int, *, ioc: bool) -> Event:
        self.position += 1
        order_id = self.ids[name] = uuid5(NAMESPACE_OID, f"{name} {self.position}")
        self.names[order_id] = name
        time_in_force = TimeInForce.IOC if ioc else TimeInForce.GTC
        terms = Terms(
            "user", self.book.asset, Side(side), price, quantity, time_in_force=time_in_force
        )
        placed: Command = Order.place(order_id, terms, START).pending_events[0]
        self.book.place(self.position, placed)
        return self._event()

    def cancel(self, name: str) -> Event:
        self.position += 1
        request: Command = CancelRequest.make(
            uuid5(NAMESPACE_OID, f"request {self.position}"),
            user_id="user",
            asset=self.book.asset,
            order_id=self.ids.get(name) or uuid5(NAMESPACE_OID, f"unknown {name}"),
            time=START,
        ).pending_events[0]
        self.book.cancel(self.position, request)
        return self._event()

    def _event(self) -> Event:
        (event,) = self.book.collect_events()
        self.events.append(event)
        return event

    def levels(self, side: Side) -> list[LobsterFinalLevel]:
        levels = []
        for price, orders in groupby(self.book.book.walk(side), key=lambda order: order.price):
            remaining = [order.remaining for order in orders]
            levels.append(LobsterFinalLevel(price, sum(remaining), len(remaining)))
        return levels

    def top(self, depth: int) -> LobsterRow:
        bids, asks = (
            [LobsterLevel(level.price, level.quantity) for level in self.levels(side)[:depth]]
            for side in (Side.BUY, Side.SELL)
        )
        return LobsterRow(bids, asks)


def replay(events: list[Event]) -> OrderBook:
    book: Any = None
    for event in events:
        book = event.mutate(book)
    assert isinstance(book, OrderBook)
    return book


def test_the_first_seconds_of_a_day_at_nasdaq_come_out_exactly() -> None:
    feed, rows = Feed("AAPL"), lobster_rows()
    takers = fills = trades = compared = 0
    for command, row in lobster_steps():
        if command.op == "cancel":
            event = feed.cancel(command.order)
            assert isinstance(event, OrderBook.Cancelled), command
        else:
            ioc = command.time_in_force == "IOC"
            event = feed.place(
                command.order, command.side, command.price, command.quantity, ioc=ioc
            )
            traded = [
                ExpectedFill(feed.names[fill.maker_order_id], fill.price, fill.quantity)
                for fill in event.fills
            ]
            assert traded == list(command.expect_fills), command
            assert [fill.trade_id for fill in event.fills] == list(
                range(trades + 1, trades + 1 + len(traded))
            )
            trades += len(traded)
            takers += ioc
            fills += len(traded)
        if row is not None:
            assert feed.top(10) == rows[row], f"after row {row}, {command}"
            compared += 1
    assert (takers, fills, compared) == (60, 94, 903)

    final = lobster_final()
    assert feed.levels(Side.BUY)[: len(final.bids)] == final.bids
    assert feed.levels(Side.SELL)[: len(final.asks)] == final.asks
    assert len(feed.book.book.orders) == final.open_orders == 58
    assert feed.book.version == 945
    assert state(replay(feed.events)) == state(feed.book)


def test_the_flow_is_the_whole_one() -> None:
    commands = lobster_commands()
    assert len(commands) == 945
    assert len({command.row for command in commands if command.row is not None}) == 903
    assert sum(command.seed for command in commands) == 20
    assert sum(command.fixup for command in commands) == 25
    assert len(lobster_rows()) == 999
    assert len(normal_messages()) == 39_878


def test_forty_thousand_messages_give_the_reports_that_other_engines_agreed_on() -> None:
    reporter = Reporter()
    reports = []
    for message in normal_messages():
        # Reports of one message are listed by their kind; trades in the order of trading.
        reports += sorted(reporter.answer(message), key=lambda report: report[0])
    expected = normal_reports()
    for number, (got, want) in enumerate(zip(reports, expected, strict=False), start=1):
        assert got == want, f"line {number}"
    assert len(reports) == len(expected)
    feed = reporter.feed
    assert feed.book.version == feed.position
    assert feed.book.last_trade_id == sum(report.startswith("1,") for report in expected)
    assert state(replay(feed.events)) == state(feed.book)


class Reporter:
    """Says what the book decided in the words of the reference reports."""

    def __init__(self) -> None:
        self.feed = Feed("FLOW")

    def answer(self, message: NormalMessage) -> list[str]:
        seq, op, order, _, price, quantity, _ = message
        if op == "new":
            acknowledged = f"0,{seq},{_code(message.side)},{order},{price},{quantity}"
            return [acknowledged, *self._place(message, message.side)]
        cancelled = self.feed.cancel(order)
        if isinstance(cancelled, OrderBook.Refused):
            return [f"{'4' if op == 'cancel' else '5'},{seq},{order}"]
        side = cancelled.side
        if op == "cancel":
            return [f"2,{seq},{_code(side)},{order},{cancelled.price}"]
        modified = f"3,{seq},{_code(side)},{order},{price},{quantity}"
        return [modified, *self._place(message, side)]

    def _place(self, message: NormalMessage, side: str) -> list[str]:
        seq, _, order, _, price, quantity, ioc = message
        matched = self.feed.place(order, side, price, quantity, ioc=ioc)
        reports = [
            f"1,{seq},{fill.price},{fill.quantity},{self.feed.names[fill.maker_order_id]},{order}"
            for fill in matched.fills
        ]
        if matched.reason is not None:
            reports.append(f"2,{seq},{_code(side)},{order},{price}")
        return reports


def _code(side: str) -> int:
    return 0 if side == Side.BUY else 1
