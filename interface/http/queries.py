"""The requests that read: each reads one read model, once it shows what a Position asks for."""

from typing import Final
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError
from flask import request

from application.messages import message
from application.orders import Orders
from application.views.books import BookRows, LevelRow, RestingRow, levels_of, resting_of
from application.views.order_rows import OrderRow
from application.views.view import View
from application.waiting import until_shown
from domain.instrument import DEFAULT
from domain.values import ALL_ASSETS
from interface.http import presenting
from interface.http.api import Answer
from interface.http.fields import Fields, asset_or_default, path_order_id
from interface.http.order_search import OrderSearch, order_search
from interface.http.pages import page, page_limit
from interface.http.problems import Problem
from interface.http.rules import asset_identifier, uuid, whole
from interface.http.tokens import Token, decode, encode
from interface.http.waiting import Waiting, awaited_position
from interface.http.worker import Worker

DEFAULT_DEPTH: Final = 100
MAX_DEPTH: Final = 1000

_MAX_VERSION: Final = 2**63 - 1
_BY_ORDER: Final = 3  # the level of a book's detail, as market data feeds count it


class Queries:
    """Handlers that change nothing; without a Position they may be a moment behind."""

    def __init__(self, worker: Worker, waiting: Waiting) -> None:
        self._market = worker.market
        self._waiting = waiting
        self._pool = worker.pool

    async def order(self, order_id: str) -> Answer:
        identifier = path_order_id(order_id)
        Fields.of_query(request).check()
        await self._show(self._market.order_view, await self._asset_awaited(identifier))
        row = await self._pool.run(self._known, identifier)
        return presenting.answer(200, presenting.order(row))

    async def orders(self) -> Answer:
        """Newest first. Orders that arrive meanwhile don't move the pages that follow."""
        search = order_search(request)
        await self._show(self._market.order_view, search.wanted.asset)
        return await self._pool.run(self._orders, search)

    def _orders(self, search: OrderSearch) -> Answer:
        rows, next_cursor = page(
            self._found(search),
            search.limit,
            lambda last: encode(Token.ORDERS_CURSOR, last.position),
        )
        orders = [presenting.order(row) for row in rows]
        return presenting.answer(200, {"orders": orders, "nextCursor": next_cursor})

    async def events(self, order_id: str) -> Answer:
        """The audit trail, numbered from 1 in the order of the log."""
        identifier = path_order_id(order_id)
        Fields.of_query(request).check()
        asset = await self._asset_awaited(identifier)
        await self._show(self._market.order_view, asset)
        await self._show(self._market.orders, asset)
        return await self._pool.run(self._events, identifier)

    def _events(self, identifier: UUID) -> Answer:
        requests = self._market.order_view.recorder.request_ids(identifier)
        trail = self._market.orders.trail(identifier, requests)
        events = [
            {"version": version, **message(event)} for version, event in enumerate(trail, start=1)
        ]
        return presenting.answer(200, {"events": events})

    async def trades(self) -> Answer:
        """Newest first."""
        fields = Fields.of_query(request)
        asset = fields.optional("asset", asset_identifier)
        order_id = fields.optional("orderId", uuid)
        limit = page_limit(fields)
        cursor = fields.optional("cursor", _trades_cursor)
        fields.check()
        await self._show(self._market.trade_view, asset)
        return await self._pool.run(self._trades, asset, order_id, limit, cursor)

    def _trades(
        self, asset: str | None, order_id: UUID | None, limit: int, cursor: tuple[int, int] | None
    ) -> Answer:
        rows = self._market.trade_view.recorder.trades(
            asset=asset, order_id=order_id, before=cursor, limit=limit + 1
        )
        rows, next_cursor = page(
            rows, limit, lambda last: encode(Token.TRADES_CURSOR, last.position, last.trade_id)
        )
        trades = [presenting.trade(row) for row in rows]
        return presenting.answer(200, {"trades": trades, "nextCursor": next_cursor})

    async def book(self, asset: str) -> Answer:
        """Price levels or, at level 3, orders; as they are, or as they were at a version."""
        fields = Fields.of_query(request)
        asset = fields.ruled("asset", asset_identifier, asset)
        depth = fields.optional("depth", whole(1, MAX_DEPTH))
        level = fields.optional("level", whole(2, _BY_ORDER))
        version = fields.optional("version", whole(0, _MAX_VERSION))
        fields.check()
        await self._show(self._market.book_view, asset)

        def read() -> Answer:
            rows = self._book(asset, version, depth, by_order=level == _BY_ORDER)
            return presenting.answer(200, presenting.book(asset, rows))

        return await self._pool.run(read)

    async def instruments(self) -> Answer:
        """The rules of all assets that have some of their own; those of the others first."""
        Fields.of_query(request).check()
        await self._show(self._market.book_view, None)
        return await self._pool.run(self._instruments)

    def _instruments(self) -> Answer:
        rows = self._market.book_view.recorder.instruments()
        shown = [presenting.instrument(row) for row in rows]
        if ALL_ASSETS not in {row.asset for row in rows}:
            shown.insert(0, presenting.rules(ALL_ASSETS, DEFAULT))
        return presenting.answer(200, {"instruments": shown})

    async def instrument(self, asset: str) -> Answer:
        """The rules that an order for the asset is checked against, its own or those of all."""
        asset = asset_or_default(asset)
        Fields.of_query(request).check()
        await self._show(self._market.book_view, None)
        return await self._pool.run(self._instrument, asset)

    def _instrument(self, asset: str) -> Answer:
        view = self._market.book_view.recorder
        row = view.instrument(asset)
        if row is not None:
            return presenting.answer(200, presenting.instrument(row))
        of_all = view.instrument(ALL_ASSETS)
        rules = DEFAULT if of_all is None else of_all.instrument
        return presenting.answer(200, presenting.rules(asset, rules))

    def _known(self, order_id: UUID) -> OrderRow:
        """Return an order that was acknowledged, also before the view has it."""
        row = self._market.order_view.recorder.order(order_id)
        return OrderRow.of(self._market.orders.get(order_id)) if row is None else row

    def _found(self, search: OrderSearch) -> list[OrderRow]:
        """The orders of a page, and one more where there is one."""
        view, (wanted, order_id, limit, before) = self._market.order_view.recorder, search
        if order_id is None:
            return view.orders(wanted, before=before, limit=limit + 1)
        try:
            row = self._known(order_id)
        except AggregateNotFoundError:
            return []
        is_before = before is None or 0 < row.position < before
        return [row] if is_before and wanted.admits(row) else []

    def _book(
        self, asset: str, version: int | None, depth: int | None, *, by_order: bool
    ) -> BookRows[LevelRow] | BookRows[RestingRow]:
        """By price levels as deep as by default unless told; by orders, all of them."""
        if version is None:
            view = self._market.book_view.recorder
            if by_order:
                return view.resting(asset, depth)
            return view.levels(asset, depth or DEFAULT_DEPTH)
        if version == 0:
            return BookRows(0, [], [])  # also where there is no book yet
        try:
            book = self._market.matching.book_at(asset, version)
        except AggregateNotFoundError:
            raise Problem(404, f"The book of {asset} has no version {version}") from None
        return resting_of(book, depth) if by_order else levels_of(book, depth or DEFAULT_DEPTH)

    async def _show(self, follower: View | Orders, asset: str | None) -> None:
        """Wait until a follower has what the request's Position refers to, if it has one.

        ``asset``: the one that it has to have; None: all.
        """
        position = awaited_position(request)
        if position is not None:
            steps = until_shown(self._waiting.progress, follower, position, asset)
            await self._waiting.shown(steps)

    async def _asset_awaited(self, order_id: UUID) -> str | None:
        """Return the asset of an order whose followers are to be waited for; None: all assets."""
        if awaited_position(request) is None or not self._waiting.progress.is_by_partition:
            return None
        return (await self._pool.run(self._known, order_id)).asset


def _trades_cursor(text: str) -> tuple[int, int]:
    position, trade_id = decode(Token.TRADES_CURSOR, text, count=2)
    return position, trade_id
