"""Requests beyond new orders: aggregates of one event, as FIX has messages for them.

Users ask about orders already placed, which stay untouched until the book has decided; each
outcome carries the request's id. The venue asks too: that time has come, that rules change.
A request about all assets carries ``ALL_ASSETS`` for its asset.
"""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from domain.aggregate import Aggregate
from domain.instrument import Instrument, Limits


class _Created(Aggregate.Created):
    user_id: str
    asset: str


class _Request:
    """The base of requests: a user, ``user_id``, asks something about an asset, or all of them."""

    def __init__(self, user_id: str, asset: str) -> None:
        self.user_id = user_id
        self.asset = asset

    @classmethod
    def make(
        cls, request_id: UUID, *, user_id: str, asset: str, time: datetime, **facts: Any
    ) -> Self:
        """``facts`` are the other fields of its event."""
        created: Any = cls
        request: Self = created._create(  # noqa: SLF001 - the aggregate's, which it is as well
            created.Created,
            id=request_id,
            user_id=user_id,
            asset=asset,
            timestamp=time,
            **facts,
        )
        return request


class CancelRequest(_Request, Aggregate):
    """A user asked that an order be cancelled."""

    TOPIC = "cancel_request"
    class_version = 1

    class Created(_Created):
        TOPIC = "request.cancel"
        class_version = 1

        order_id: UUID


class ReplaceRequest(_Request, Aggregate):
    """A user asked for other terms of an order. None: as it is."""

    TOPIC = "replace_request"
    class_version = 1

    class Created(_Created):
        TOPIC = "request.replace"
        class_version = 2

        order_id: UUID
        price: int | None
        quantity: int | None
        stop_price: int | None
        display_quantity: int | None

        @staticmethod
        def upcast_v1_v2(state: dict[str, object]) -> None:
            state.update(stop_price=None, display_quantity=None)

    @classmethod
    def make(cls, request_id: UUID, **facts: Any) -> Self:
        """Make a request; a value that is not given stays as it is."""
        nothing = dict.fromkeys(("price", "quantity", "stop_price", "display_quantity"))
        return super().make(request_id, **{**nothing, **facts})


class MassCancelRequest(_Request, Aggregate):
    """A user asked that all their orders be cancelled, those of an asset or of all.

    FIX 4.4, OrderMassCancelRequest.
    """

    TOPIC = "mass_cancel_request"
    class_version = 1

    class Created(_Created):
        TOPIC = "request.mass_cancel"
        class_version = 1


class ExpiryRequest(_Request, Aggregate):
    """The clock says that it is ``timestamp``: what is due by then is to leave the book."""

    TOPIC = "expiry_request"
    class_version = 1

    class Created(_Created):
        TOPIC = "request.expiry"
        class_version = 1


class ContinuationRequest(_Request, Aggregate):
    """The engine asks that a book go on with what an event of it had no room for.

    It is recorded with what came of that event, and has its time.
    """

    TOPIC = "continuation_request"
    class_version = 1

    class Created(_Created):
        TOPIC = "request.continue"
        class_version = 1


class InstrumentRequest(_Request, Aggregate):
    """Somebody asked for other rules of an asset, or of all that have none of their own."""

    TOPIC = "instrument_request"
    class_version = 1

    class Created(_Created):
        TOPIC = "request.instrument"
        class_version = 2

        instrument: Instrument

        @staticmethod
        def upcast_v1_v2(state: dict[str, object]) -> None:
            del state  # the limits of an instrument that has none are read as None


class LimitsRequest(_Request, Aggregate):
    """The engine asks for limits, where the default instrument leaves them open."""

    TOPIC = "limits_request"
    class_version = 1

    class Created(_Created):
        TOPIC = "request.limits"
        class_version = 1

        limits: Limits


class UserRequest(_Request, Aggregate):
    """Somebody asked that a user be suspended, all their orders cancelled, or let in again.

    CME Globex calls it a kill switch.
    """

    TOPIC = "user_request"
    class_version = 1

    class Created(_Created):
        TOPIC = "request.user"
        class_version = 1

        is_suspended: bool


class TimeRequest(_Request, Aggregate):
    """An operator asks that a book go on from ``timestamp``, which may be before its own time."""

    TOPIC = "time_request"
    class_version = 1

    class Created(_Created):
        TOPIC = "request.time"
        class_version = 1
