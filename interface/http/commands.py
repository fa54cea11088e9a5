"""The requests that change something. Each is answered once its event is committed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError
from eventsourcing.persistence import IntegrityError
from flask import request

from application.orders import ClientOrderIdReused, Placement, Receipt, Reply
from application.persistence.connection import AWAY
from application.persistence.database_clock import ClocksDisagree
from application.persistence.partitions import Reach
from application.views.order_rows import OrderRow
from application.waiting import until_decided
from domain.errors import OrderClosed
from domain.order import Order
from domain.values import OrderStatus, Terms, derive_order_id
from interface.http import presenting
from interface.http.api import Answer
from interface.http.fields import amendment, batch, check_no_query, path_order_id
from interface.http.lag import Lag
from interface.http.order_fields import order_terms
from interface.http.parsing import json_object
from interface.http.problems import CLIENT_ORDER_ID_REUSED, BadInput, Fault, Problem, refused
from interface.http.recording import Recording
from interface.http.tokens import Token, encode
from interface.http.waiting import Waiting, preferred_wait
from interface.http.worker import Worker


class Commands:
    """``new_id`` gives an id that nobody has had."""

    def __init__(
        self,
        worker: Worker,
        recording: Recording,
        waiting: Waiting,
        lag: Lag,
        new_id: Callable[[], UUID],
    ) -> None:
        self._orders = worker.market.orders
        self._matching = worker.market.matching
        self._recording = recording
        self._waiting = waiting
        self._lag = lag
        self._clock = worker.clock
        self._pool = worker.pool
        self._new_id = new_id

    async def place(self) -> Answer:
        """201 with the new order; 200 with the one that its clientOrderId stands for."""
        check_no_query(request)
        placement = self._placement(order_terms(json_object(request)))
        await self._check_lag(placement)
        since = await self._since()
        receipt = await self._place(placement)
        reply = await self._reply(since, receipt, None)
        headers = _headers(receipt.position, reply)
        if receipt.is_new:
            headers["Location"] = f"/orders/{receipt.order.id}"
        # Asked again, the order may have gone further than its placing brought it.
        known: list[Receipt | Reply] = [receipt] if reply is None else [receipt, reply]
        latest = max(known, key=lambda each: each.order.book_version)
        return presenting.answer(201 if receipt.is_new else 200, _order(latest), headers)

    async def place_batch(self) -> Answer:
        """200 with a result for each entry; all that can be placed is, in one commit."""
        check_no_query(request)
        entries = await self._pool.run(self._entries)
        placements = [entry for entry in entries if isinstance(entry, Placement)]
        await self._lag.check(*{placement.terms.asset for placement in placements})
        receipts = await self._place_all(placements) if placements else []
        return await self._pool.run(_batch, entries, receipts)

    async def amend(self, order_id: str) -> Answer:
        identifier = path_order_id(order_id)
        check_no_query(request)
        changes = amendment(json_object(request))._asdict()
        if await self._lag.is_too_long():
            known = await self._pool.run(self._orders.get, identifier)
            await self._lag.check(known.terms.asset)
        request_id = self._new_id()
        since = await self._since()
        order = await self._pool.run(self._orders.current, identifier)
        _, position = await self._recording.record(
            lambda time: order.request_replace(request_id, time, **changes), must_agree=True
        )
        receipt = Receipt(order, position)
        return _outcome(receipt, await self._reply(since, receipt, request_id))

    async def cancel(self, order_id: str) -> Answer:
        """Cancel an order; a second cancel of it is a success, too."""
        identifier = path_order_id(order_id)
        check_no_query(request)
        request_id = self._new_id()
        since = await self._since()
        order = await self._pool.run(self._orders.current, identifier)
        try:
            _, position = await self._recording.record(
                lambda time: order.request_cancel(request_id, time)
            )
        except OrderClosed as closed:
            if closed.status != OrderStatus.CANCELLED:
                raise
            return await self._pool.run(self._cancelled_before, identifier)
        receipt = Receipt(order, position)
        reply = await self._reply(since, receipt, request_id)
        if reply is not None and reply.order.status is OrderStatus.CANCELLED:
            reply = reply._replace(refusal=None)
        return _outcome(receipt, reply)

    def _cancelled_before(self, identifier: UUID) -> Answer:
        """Nothing was written, and Matching has decided the cancel by now."""
        reach = Reach.read(self._matching.recorder, self._orders.name)
        order = self._orders.current(identifier)
        headers = _headers(reach.of_asset(order.terms.asset))
        return presenting.answer(200, presenting.order(OrderRow.of(order)), headers)

    async def _since(self) -> int:
        """Return what Matching has recorded, where the client prefers to wait for more."""
        return (
            0 if preferred_wait(request) is None else await self._waiting.recorded(self._matching)
        )

    async def _check_lag(self, placement: Placement) -> None:
        """Raise Problem 503 for a new order that matching is too far behind to take."""
        try:
            await self._lag.check(placement.terms.asset)
        except Problem:
            # Asked again, it is not a new one.
            if not await self._is_known(placement):
                raise

    async def _place(self, placement: Placement) -> Receipt:
        """Raise ClocksDisagree for a new order while they do."""
        try:
            return await self._record(placement, must_agree=True)
        except ClocksDisagree:
            if not await self._is_known(placement):
                raise
        return await self._record(placement, must_agree=False)

    async def _record(self, placement: Placement, *, must_agree: bool) -> Receipt:
        try:
            order, position = await self._recording.record(
                lambda time: Order.place(placement.order_id, placement.terms, time),
                must_agree=must_agree,
            )
        except IntegrityError:
            return await self._pool.run(self._orders.placed, placement)
        return Receipt(order, position)

    async def _place_all(
        self, placements: Sequence[Placement]
    ) -> Sequence[Receipt | ClientOrderIdReused]:
        if len({placement.order_id for placement in placements}) == len(placements):
            with suppress(IntegrityError):
                orders, positions = await self._recording.record_all(
                    lambda time: [Order.place(*placement, time) for placement in placements]
                )
                return list(map(Receipt, orders, positions))
        # Some were placed before, perhaps in the same batch: find them, and place the rest.
        return await self._pool.run(
            self._clock.stamp,
            lambda time: self._orders.place_all(placements, time),
            must_agree=True,
        )

    async def _is_known(self, placement: Placement) -> bool:
        if placement.terms.client_order_id is None:
            return False
        try:
            await self._pool.run(self._orders.get, placement.order_id)
        except AggregateNotFoundError:
            return False
        return True

    def _placement(self, terms: Terms) -> Placement:
        if terms.client_order_id is None:
            return Placement(self._new_id(), terms)
        order_id = derive_order_id(terms.user_id, terms.asset, terms.client_order_id)
        return Placement(order_id, terms)

    def _entries(self) -> list[Placement | BadInput]:
        return [self._entry(given) for given in batch(json_object(request))]

    def _entry(self, given: object) -> Placement | BadInput:
        if not isinstance(given, dict):
            return BadInput(Fault("order", "Order must be a JSON object"))
        try:
            return self._placement(order_terms(given))
        except BadInput as error:
            return error

    async def _reply(self, since: int, receipt: Receipt, request_id: UUID | None) -> Reply | None:
        """Return Matching's decision, if the client prefers to wait and it comes in time.

        ``since`` is what Matching had recorded before the order was looked at.
        """
        seconds = preferred_wait(request)
        if seconds is None:
            return None
        order = receipt.order
        if request_id is None and order.status is not OrderStatus.PENDING:
            return Reply(order, None)  # it was placed before
        steps = until_decided(self._waiting.progress, receipt.position, order.terms.asset)
        try:
            upto = await self._waiting.decided(steps, seconds)
            return await self._pool.run(self._orders.reply_to, order, request_id, since, upto)
        except (TimeoutError, LookupError, Problem, *AWAY):
            return None  # the command is committed, whatever is missing now


def _outcome(receipt: Receipt, reply: Reply | None) -> Answer:
    """The answer to a request about an order, by matching's reply if there is one."""
    headers = _headers(receipt.position, reply)
    if reply is None:
        return presenting.answer(202, _order(receipt), headers)
    if reply.refusal is not None:
        raise refused(reply.refusal, headers)
    return presenting.answer(200, _order(reply), headers)


def _batch(
    entries: list[Placement | BadInput], receipts: Sequence[Receipt | ClientOrderIdReused]
) -> Answer:
    positions = [receipt.position for receipt in receipts if isinstance(receipt, Receipt)]
    headers = _headers(max(positions)) if positions else None
    return presenting.answer(200, {"results": _results(entries, iter(receipts))}, headers)


def _results(
    entries: list[Placement | BadInput], receipts: Iterator[Receipt | ClientOrderIdReused]
) -> list[presenting.Json]:
    """A result for each entry; the receipts are those of the placements among them."""
    return [
        {"status": 400, "errors": entry.errors}
        if isinstance(entry, BadInput)
        else _result(next(receipts))
        for entry in entries
    ]


def _result(receipt: Receipt | ClientOrderIdReused) -> presenting.Json:
    if isinstance(receipt, ClientOrderIdReused):
        return {"status": 409, "errors": [CLIENT_ORDER_ID_REUSED._asdict()]}
    return {
        "status": 201 if receipt.is_new else 200,
        "order": _order(receipt),
    }


def _order(at_hand: Receipt | Reply) -> presenting.Json:
    return presenting.order(OrderRow.of(at_hand.order))


def _headers(position: int, reply: Reply | None = None) -> dict[str, str]:
    headers = {"Position": encode(Token.POSITION, position)}
    if reply is not None:
        headers["Preference-Applied"] = "wait"
    return headers
