"""What is asked beside new orders: one-event aggregates, as FIX has messages for them.

Users ask about orders already placed, which stay untouched until the book has decided; each
outcome carries the request's id. The venue asks too: that time has come, that rules change.
A request about all assets carries ``ALL_ASSETS`` for its asset.
"""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from domain.aggregate import Aggregate
from domain.instrument import Instrument


class CancelRequest(Aggregate):
    """A user asked that an order be cancelled."""

    TOPIC = "cancel_request"
    class_version = 1

    class Created(Aggregate.Created):
        TOPIC = "request.cancel"
        class_version = 1

        user_id: str
        asset: str
        order_id: UUID

    def __init__(self, order_id: UUID) -> None:
        self.order_id = order_id

    @classmethod
    def make(
        cls, request_id: UUID, *, user_id: str, asset: str, order_id: UUID, time: datetime
    ) -> Self:
        return cls._create(
            cls.Created,
            id=request_id,
            user_id=user_id,
            asset=asset,
            order_id=order_id,
            timestamp=time,
        )


class ReplaceRequest(Aggregate):
    """A user asked for other terms of an order. None: as it is."""

    TOPIC = "replace_request"
    class_version = 1

    class Created(Aggregate.Created):
        TOPIC = "request.replace"
        class_version = 2

        user_id: str
        asset: str
        order_id: UUID
        price: int | None
        quantity: int | None
        stop_price: int | None
        display_quantity: int | None

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            state.update(stop_price=None, display_quantity=None)

    def __init__(self, order_id: UUID) -> None:
        self.order_id = order_id

    @classmethod
    def make(  # noqa: PLR0913 - these are what a request is
        cls,
        request_id: UUID,
        *,
        user_id: str,
        asset: str,
        order_id: UUID,
        price: int | None = None,
        quantity: int | None = None,
        stop_price: int | None = None,
        display_quantity: int | None = None,
        time: datetime,
    ) -> Self:
        return cls._create(
            cls.Created,
            id=request_id,
            user_id=user_id,
            asset=asset,
            order_id=order_id,
            price=price,
            quantity=quantity,
            stop_price=stop_price,
            display_quantity=display_quantity,
            timestamp=time,
        )


class MassCancelRequest(Aggregate):
    """A user asked that all their orders be cancelled, those of an asset or of all.

    FIX 4.4, OrderMassCancelRequest.
    """

    TOPIC = "mass_cancel_request"
    class_version = 1

    class Created(Aggregate.Created):
        TOPIC = "request.mass_cancel"
        class_version = 1

        user_id: str
        asset: str

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id

    @classmethod
    def make(cls, request_id: UUID, *, user_id: str, asset: str, time: datetime) -> Self:
        return cls._create(cls.Created, id=request_id, user_id=user_id, asset=asset, timestamp=time)


class ExpiryRequest(Aggregate):
    """The clock says that it is ``timestamp``: what is due by then is to leave the book."""

    TOPIC = "expiry_request"
    class_version = 1

    class Created(Aggregate.Created):
        TOPIC = "request.expiry"
        class_version = 1

        user_id: str
        asset: str

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id

    @classmethod
    def make(cls, request_id: UUID, *, user_id: str, asset: str, time: datetime) -> Self:
        return cls._create(cls.Created, id=request_id, user_id=user_id, asset=asset, timestamp=time)


class InstrumentRequest(Aggregate):
    """Somebody asked for other rules of an asset, or of all that have none of their own."""

    TOPIC = "instrument_request"
    class_version = 1

    class Created(Aggregate.Created):
        TOPIC = "request.instrument"
        class_version = 1

        user_id: str
        asset: str
        instrument: Instrument

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument

    @classmethod
    def make(
        cls, request_id: UUID, *, user_id: str, asset: str, instrument: Instrument, time: datetime
    ) -> Self:
        return cls._create(
            cls.Created,
            id=request_id,
            user_id=user_id,
            asset=asset,
            instrument=instrument,
            timestamp=time,
        )


class UserRequest(Aggregate):
    """Somebody asked that a user be suspended, all their orders cancelled, or let in again.

    What CME Globex calls a kill switch.
    """

    TOPIC = "user_request"
    class_version = 1

    class Created(Aggregate.Created):
        TOPIC = "request.user"
        class_version = 1

        user_id: str
        asset: str
        is_suspended: bool

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id

    @classmethod
    def make(
        cls, request_id: UUID, *, user_id: str, asset: str, is_suspended: bool, time: datetime
    ) -> Self:
        return cls._create(
            cls.Created,
            id=request_id,
            user_id=user_id,
            asset=asset,
            is_suspended=is_suspended,
            timestamp=time,
        )
