"""The requests that are about no one order: of all of a user's, of a user, of an asset's rules."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from flask import request

from application.orders import MassOutcome
from application.persistence.connection import AWAY
from application.waiting import until_decided
from domain.errors import RejectReason
from domain.instrument import Instrument, Refusal, Rules
from domain.requests import InstrumentRequest, MassCancelRequest, TimeRequest, UserRequest
from domain.values import ALL_ASSETS
from interface.http import presenting
from interface.http.api import Answer
from interface.http.fields import (
    Fields,
    asset_or_default,
    check_no_query,
    instrument_rules,
    mass_cancel,
    user_settings,
)
from interface.http.parsing import json_object
from interface.http.problems import Problem, refused
from interface.http.recording import Recording
from interface.http.rules import asset_identifier, user_identifier
from interface.http.tokens import Token, encode
from interface.http.waiting import Waiting, preferred_wait
from interface.http.worker import Worker

# A request without a user id is by this user: there are no accounts of operators yet.
_OPERATOR = "operator"

_Asked: TypeAlias = MassCancelRequest | UserRequest | InstrumentRequest | TimeRequest


class VenueCommands:
    """``new_id`` gives an id that nobody has had."""

    def __init__(
        self,
        worker: Worker,
        recording: Recording,
        waiting: Waiting,
        new_id: Callable[[], UUID],
    ) -> None:
        self._orders = worker.market.orders
        self._matching = worker.market.matching
        self._books = worker.market.book_view
        self._recording = recording
        self._waiting = waiting
        self._pool = worker.pool
        self._new_id = new_id

    async def mass_cancel(self) -> Answer:
        """202 with the request's id; 200 with the cancelled orders where the client waits."""
        user_id, asset = mass_cancel(request)
        request_id = self._new_id()
        return await self._ask(
            lambda time: MassCancelRequest.make(
                request_id, user_id=user_id, asset=asset or ALL_ASSETS, time=time
            ),
            asset or ALL_ASSETS,
            lambda _: {},
        )

    async def change_user(self, user_id: str) -> Answer:
        """202, or 200 with the orders that were cancelled where the client waits."""
        fields = Fields({})
        user_id = fields.ruled("userId", user_identifier, user_id)
        fields.check()
        check_no_query(request)
        is_suspended = user_settings(json_object(request))
        request_id = self._new_id()
        return await self._ask(
            lambda time: UserRequest.make(
                request_id,
                user_id=user_id,
                asset=ALL_ASSETS,
                is_suspended=is_suspended,
                time=time,
            ),
            ALL_ASSETS,
            lambda _: {"userId": user_id, "suspended": is_suspended},
        )

    async def change_instrument(self, asset: str) -> Answer:
        """202 with the rules that will hold, or 200 with those that do where the client waits."""
        asset = asset_or_default(asset)
        check_no_query(request)
        instrument = instrument_rules(json_object(request))
        shown = await self._with_limits(instrument) if asset == ALL_ASSETS else instrument
        request_id = self._new_id()
        return await self._ask(
            lambda time: InstrumentRequest.make(
                request_id, user_id=_OPERATOR, asset=asset, instrument=instrument, time=time
            ),
            asset,
            lambda time: presenting.rules(asset, shown, time, _OPERATOR),
        )

    async def _with_limits(self, default: Instrument) -> Instrument:
        """Return a new default instrument with the limits that it leaves as they are."""
        row = await self._pool.run(self._books.recorder.instrument, ALL_ASSETS)
        return default if row is None else Rules(row.instrument).limited(default)

    async def reset_time(self, asset: str) -> Answer:
        """202 with the time that a book will go on from, 200 where the client waits for it."""
        fields = Fields({})
        asset = fields.ruled("asset", asset_identifier, asset)
        fields.check()
        check_no_query(request)
        request_id = self._new_id()
        return await self._ask(
            lambda time: TimeRequest.make(request_id, user_id=_OPERATOR, asset=asset, time=time),
            asset,
            lambda time: {"asset": asset, "time": time},
            must_agree=True,
        )

    async def _ask(
        self,
        make: Callable[[datetime], _Asked],
        asset: str,
        body_at: Callable[[datetime], presenting.Json],
        *,
        must_agree: bool = False,
    ) -> Answer:
        """Record a request; answer with what came of it where the client waits for that.

        Both callables take the request's time. Raise Problem 409 where the engine failed on it
        in some book: the others did as they were asked.
        """
        since = await self._waiting.recorded(self._matching)
        asked, position = await self._recording.record(make, must_agree=must_agree)
        body = body_at(asked.created_on)
        headers = {"Position": encode(Token.POSITION, position)}
        outcome = await self._outcome(asked.id, position, asset, since)
        if outcome is None:
            return presenting.answer(202, {**body, "requestId": asked.id}, headers)
        headers["Preference-Applied"] = "wait"
        if outcome.failed:
            raise refused(
                Refusal(RejectReason.INTERNAL_ERROR),
                headers,
                cancelled=outcome.cancelled,
                failed=outcome.failed,
            )
        if isinstance(asked, MassCancelRequest | UserRequest):
            body = {**body, "cancelled": outcome.cancelled}
            if outcome.leaving:
                body["leaving"] = outcome.leaving
        return presenting.answer(200, body, headers)

    async def _outcome(
        self, request_id: UUID, position: int, asset: str, since: int
    ) -> MassOutcome | None:
        """Return Matching's decision, if the client prefers to wait and it comes in time."""
        seconds = preferred_wait(request)
        if seconds is None:
            return None
        of = None if asset == ALL_ASSETS else asset
        steps = until_decided(self._waiting.progress, position, of)
        try:
            upto = await self._waiting.decided(steps, seconds)
            return await self._pool.run(self._orders.outcome_of, request_id, since, upto)
        except (TimeoutError, Problem, *AWAY):
            return None  # the request is committed, whatever is missing now
