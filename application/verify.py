"""Proving that what is stored is what the market's rules say, all of it, as of one moment.

Every command is decided again, and the decisions compared with the stored ones, the books
with their snapshots; then the stored decisions are applied, and the results compared with the
orders and the read models.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from application.deciding import (
    COMMANDS,
    NOT_OPENING,
    Command,
    is_for_all,
    is_for_books,
    is_for_venue,
    tell,
    touches,
)
from application.differences import (
    Progress,
    compare,
    decide_again,
    faults_are_differences,
    same,
)
from application.matching import Matching
from application.orders import Orders
from application.persistence.partitions import Reach
from application.persistence.snapshot import Snapshot
from application.persistence.user_assets import MatchingRecorder, Pair
from application.verify_snapshots import KeptSnapshots
from application.verify_user_assets import verify_user_assets
from application.views.books import BookView, LevelRow, levels_of, resting_of
from application.views.instruments import InstrumentRow
from application.views.order_rows import OPEN_STATUSES, STRETCH, OrderRow
from application.views.orders import OrderView
from application.views.trades import TradeRow, TradeView
from domain.order import Order
from domain.order_book import OrderBook
from domain.outcomes import outcomes
from domain.requests import CancelRequest, ContinuationRequest, ReplaceRequest
from domain.values import ALL_ASSETS, Side, continuation_id
from domain.venue import Venue


class Verifier:
    """A comparison of one snapshot with the rules, and with itself."""

    def __init__(
        self,
        snapshot: Snapshot,
        orders: Orders,
        matching: Matching,
        progress: Progress = lambda _: None,
    ) -> None:
        self._snapshot = snapshot
        self._orders = orders
        self._matching = matching
        self._progress = progress
        self._last = "the beginning"
        # The requests that decisions say are to follow, of those that Orders has applied.
        self._continuing: set[UUID] = set()
        self._kept = KeptSnapshots(snapshot, matching)

    def length(self) -> int:
        """Return the number of steps of the whole, to show progress."""
        orders = self._snapshot.count(self._orders.recorder)
        return 3 * orders + 3 * self._snapshot.count(self._matching.recorder)

    def verify(self, order_view: OrderView, book_view: BookView, trade_view: TradeView) -> None:
        """Verify the market. Raises Inconsistent. Keeps every book and every order in memory."""
        for step, *view in (
            (self._verify_decisions,),
            (self._verify_books, book_view),
            (self._verify_trades, trade_view),
            (self._verify_orders, order_view),
        ):
            with faults_are_differences(lambda: self._last):
                step(*view)

    def _verify_decisions(self) -> None:
        """Decide again what Matching has decided, and compare event by event."""
        decided = self._snapshot.reach(self._matching.recorder, Orders.name)
        stored = _ByBook(self._decisions())
        books: dict[str, OrderBook] = {}
        ordered: set[Pair] = set()
        venue: Venue | None = None
        for position, event in self._log(self._orders):
            if not isinstance(event, COMMANDS):
                continue
            command = event
            if is_for_all(command):
                venue = self._verify_venue(venue, position, command, stored, decided)
                for each in books.values() if is_for_books(command) else ():
                    if decided.covers(position, each.asset):
                        self._decide_again(each, position, command, stored, venue)
                continue
            if not decided.covers(position, command.asset):
                continue
            if isinstance(command, Order.Created):
                ordered.add((command.user_id, command.asset))
            book = books.get(command.asset)
            if book is None and isinstance(command, NOT_OPENING):
                continue  # nobody has traded it
            if book is None:
                book = books[command.asset] = OrderBook.open(command.asset, command.timestamp)
                compare("Matching", stored.next_of(book.id), book.collect_events()[0])
                self._kept.compare(book)
            self._decide_again(book, position, command, stored, venue)
        compare("Matching", stored.next_of(None))
        recorder = cast("MatchingRecorder", self._matching.recorder)
        verify_user_assets(self._snapshot, recorder, books.values(), ordered)
        self._kept.check_that_all_were_compared()

    def _decide_again(
        self,
        book: OrderBook,
        position: int,
        command: Command,
        stored: "_ByBook",
        venue: Venue | None,
    ) -> None:
        if touches(book, command):
            decide_again(book, position, command, stored.next_of(book.id), venue)
            self._kept.compare(book)

    def _verify_venue(
        self,
        venue: Venue | None,
        position: int,
        command: Command,
        stored: "_ByBook",
        decided: Reach,
    ) -> Venue | None:
        """The venue as a command leaves it, which whoever came first has recorded."""
        if not is_for_venue(command) or max(decided.positions) < position:
            return venue
        venue = venue or Venue.open(command.timestamp)
        tell(venue, position, command)
        for event in venue.collect_events():
            compare("Matching", stored.next_of(venue.id), event)
        return venue

    def _verify_books(self, view: BookView) -> None:
        """Apply the decisions that the view has had, and compare book by book."""
        shown_by_view = self._snapshot.reach(view.recorder, Matching.name)
        books: dict[UUID, Any] = {}
        rules: dict[str, InstrumentRow | None] = {}
        for position, event in self._log(self._matching):
            if isinstance(event, Venue.Event | Venue.Created):
                is_shown = position <= shown_by_view.of_asset(ALL_ASSETS)
                if is_shown and isinstance(event, Venue.DefaultChanged):
                    rules[ALL_ASSETS] = InstrumentRow.of(event)
                continue
            if shown_by_view.covers(position, event.asset):
                books[event.originator_id] = event.mutate(books.get(event.originator_id))
                if isinstance(event, OrderBook.InstrumentChanged):
                    rules[event.asset] = InstrumentRow.of(event)
        self._verify_rules(view, rules)
        rows = self._snapshot.rows(view.recorder.sql("SELECT * FROM {schema}.books"))
        versions = {row["asset"]: row["version"] for row in rows}
        same("books view", versions, {book.asset: book.version for book in books.values()})
        for book in books.values():
            for side in Side:
                self._verify_side(view, book, side)
            self._verify_expiring(view, book)
        for table in ("levels", "resting_orders", "expiring"):
            self._verify_no_strangers(view, table, list(versions))

    def _verify_rules(self, view: BookView, expected: Mapping[str, InstrumentRow | None]) -> None:
        rows = self._snapshot.rows(view.recorder.sql("SELECT * FROM {schema}.instruments"))
        shown = {row["asset"]: InstrumentRow.from_columns(row) for row in rows}
        same(
            "books view, instruments",
            shown,
            {asset: row for asset, row in expected.items() if row is not None},
        )

    def _verify_side(self, view: BookView, book: OrderBook, side: Side) -> None:
        key = [book.asset, side]
        levels = self._snapshot.rows(
            view.recorder.sql(
                "SELECT price, quantity, orders FROM {schema}.levels"
                " WHERE asset = %s AND side = %s ORDER BY price"
            ),
            key,
        )
        resting = self._snapshot.rows(
            view.recorder.sql(
                "SELECT order_id, price, remaining FROM {schema}.resting_orders"
                " WHERE asset = %s AND side = %s ORDER BY price, priority"
            ),
            key,
        )
        is_bid = side is Side.BUY
        depth, orders = levels_of(book, None), resting_of(book, None)
        name = f"books view, {book.asset} {side}"
        leaving = {gone.order_id for gone in book.floor.departing}
        same(
            f"{name} levels",
            [tuple(row.values()) for row in levels],
            _with_leaving(book, side, depth.bids if is_bid else depth.asks),
        )
        same(
            f"{name} orders",
            [tuple(row.values()) for row in resting if row["order_id"] not in leaving],
            # Best first in the book, cheapest first in the row order; a stable sort keeps
            # the earlier order first within a price.
            [
                tuple(order)
                for order in sorted(
                    orders.bids if is_bid else orders.asks, key=lambda order: order.price
                )
            ],
        )

    def _verify_expiring(self, view: BookView, book: OrderBook) -> None:
        statement = "SELECT order_id, expires_at FROM {schema}.expiring WHERE asset = %s"
        rows = self._snapshot.rows(view.recorder.sql(statement), [book.asset])
        ends = book.floor.expiries.ends()
        leaving = {gone.order_id for gone in book.floor.departing}
        same(
            f"books view, {book.asset} expiring",
            {row["order_id"]: row["expires_at"] for row in rows if row["order_id"] not in leaving},
            ends,
        )

    def _verify_no_strangers(self, view: BookView, table: str, assets: list[str]) -> None:
        rows = self._snapshot.rows(
            view.recorder.sql(
                f"SELECT asset FROM {{schema}}.{table} WHERE asset <> ALL(%s) LIMIT 1"  # noqa: S608 - tables of ours
            ),
            [assets],
        )
        same(f"books view, {table} of assets without a book", list(rows), [])

    def _verify_trades(self, view: TradeView) -> None:
        shown_by_view = self._snapshot.reach(view.recorder, Matching.name)
        shown = self._snapshot.rows(
            view.recorder.sql("SELECT * FROM {schema}.trades ORDER BY position, trade_id")
        )
        for position, event in self._log(self._matching):
            if shown_by_view.covers(position, event.asset):
                for trade in TradeRow.of(event, position):
                    row = next(shown, None)
                    same("trades view", row and TradeRow(**row), trade)
        same("trades view, after the last trade", next(shown, None), None)

    def _verify_orders(self, view: OrderView) -> None:
        """Apply the decisions to each order; compare with what Orders has, and the view shows."""
        orders: dict[UUID, Order] = {}
        placed_at: dict[UUID, int] = {}  # of those that are shown
        requests: set[tuple[UUID, UUID]] = set()
        asked: set[UUID] = set()
        commands_shown = self._snapshot.reach(view.recorder, Orders.name)
        for position, event in self._log(self._orders):
            is_shown = commands_shown.covers(position, event.asset)
            if isinstance(event, Order.Created):
                orders[event.originator_id] = cast("Order", event.mutate(None))
                if is_shown:
                    placed_at[event.originator_id] = position
            elif isinstance(event, ContinuationRequest.Created):
                asked.add(event.originator_id)
            elif isinstance(event, CancelRequest.Created | ReplaceRequest.Created) and is_shown:
                requests.add((event.order_id, event.originator_id))
        rows = self._verify_outcomes(view, orders, placed_at, requests)
        self._compare_orders(view, rows)
        self._compare_open_orders(view, rows)
        self._check_periods(view)
        self._compare_requests(view, requests)
        same("Orders, requests to go on", asked, self._continuing)

    def _verify_outcomes(
        self,
        view: OrderView,
        orders: Mapping[UUID, Order],
        placed_at: Mapping[UUID, int],
        requests: set[tuple[UUID, UUID]],
    ) -> dict[UUID, OrderRow]:
        """Compare the outcomes that Orders has; return what the view is to show of each order.

        Either may be ahead of the other. Add the requests about many orders, which only their
        outcomes name.
        """
        rows: dict[UUID, OrderRow] = {}  # of orders that have gone further than is shown
        shown = self._snapshot.reach(view.recorder, Matching.name)
        applied = self._snapshot.reach(self._orders.recorder, Matching.name)
        stored = (event for _, event in self._log(self._orders) if isinstance(event, Order.Decided))
        for position, decision in self._log(self._matching):
            is_shown = shown.covers(position, decision.asset)
            is_applied = applied.covers(position, decision.asset)
            if is_applied and getattr(decision, "continues", False):
                self._continuing.add(
                    continuation_id(decision.originator_id, decision.originator_version)
                )
            for order_id, event, facts in outcomes(decision) if is_shown or is_applied else ():
                order = orders[order_id]
                if is_shown and (request_id := facts.get("request_id")) is not None:
                    requests.add((order_id, request_id))
                elif not is_shown and order_id in placed_at and order_id not in rows:
                    rows[order_id] = OrderRow.of(order, placed_at[order_id])
                order.record(event, **facts)
                recorded = order.collect_events()
                if is_applied:
                    compare("Orders", next(stored, None), *recorded)
        compare("Orders", next(stored, None))
        for order_id, position in placed_at.items():
            if order_id not in rows:
                rows[order_id] = OrderRow.of(orders[order_id], position)
        return rows

    def _compare_orders(self, view: OrderView, rows: Mapping[UUID, OrderRow]) -> None:
        shown = 0
        for row in self._snapshot.rows(view.recorder.sql("SELECT * FROM {schema}.orders")):
            same("orders view", OrderRow(**row), rows.get(row["order_id"]))
            shown += 1
        same("orders view, number of orders", shown, len(rows))

    def _compare_open_orders(self, view: OrderView, rows: Mapping[UUID, OrderRow]) -> None:
        shown = self._snapshot.rows(
            view.recorder.sql("SELECT position, user_id, asset FROM {schema}.open_orders")
        )
        expected = {
            (row.position, row.user_id, row.asset)
            for row in rows.values()
            if row.status in OPEN_STATUSES
        }
        difference = expected.symmetric_difference(tuple(row.values()) for row in shown)
        same("orders view, open orders", sorted(difference)[:1], [])

    def _check_periods(self, view: OrderView) -> None:
        """Check that each order was created in the period of its stretch of the log."""
        outside = self._snapshot.rows(
            view.recorder.sql(
                "SELECT position, created_at, earliest, latest FROM {schema}.orders"
                " LEFT JOIN {schema}.periods ON stretch = position / %s"
                " WHERE (created_at BETWEEN earliest AND latest) IS NOT TRUE LIMIT 1"
            ),
            [STRETCH],
        )
        same("orders view, periods", list(outside), [])

    def _compare_requests(self, view: OrderView, requests: set[tuple[UUID, UUID]]) -> None:
        rows = self._snapshot.rows(view.recorder.sql("SELECT * FROM {schema}.requests"))
        shown = {(row["order_id"], row["request_id"]) for row in rows}
        same("orders view, requests", sorted(shown ^ requests)[:1], [])

    def _decisions(self) -> Iterator[Any]:
        log = self._snapshot.log(self._matching.recorder, self._matching.mapper)
        return (event for _, event in log)

    def _log(self, application: Orders | Matching) -> Iterator[tuple[int, Any]]:
        for position, event in self._snapshot.log(application.recorder, application.mapper):
            self._last = f"{application.name} {position}"
            self._progress(1)
            yield position, event


def _with_leaving(
    book: OrderBook, side: Side, levels: Sequence[LevelRow]
) -> list[tuple[int, int, int]]:
    """The levels as views have them: with orders whose departure later events hold."""
    shown = {level.price: (level.quantity, level.orders) for level in levels}
    for gone in book.floor.departing:
        if gone.side is side and gone.price is not None and gone.shown:
            quantity, orders = shown.get(gone.price, (0, 0))
            shown[gone.price] = (quantity + gone.shown, orders + 1)
    return sorted((price, *level) for price, level in shown.items())


class _ByBook:
    """Decisions book by book: no book has to wait for the decisions of another."""

    def __init__(self, decisions: Iterator[Any]) -> None:
        self._decisions = decisions
        self._passed: dict[UUID, deque[Any]] = {}

    def next_of(self, book: UUID | None) -> Any | None:
        """The next decision of a book, or of any (None), that was not given yet; None: none."""
        for passed in [self._passed.get(book)] if book else self._passed.values():
            if passed:
                return passed.popleft()
        for decision in self._decisions:
            if book in {None, decision.originator_id}:
                return decision
            self._passed.setdefault(decision.originator_id, deque()).append(decision)
        return None
