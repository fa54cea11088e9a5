"""What users ask of orders already placed: one-event aggregates, as FIX has messages for them.

The order itself stays untouched until the book has decided; its outcome carries the
request's id.
"""

from datetime import datetime
from typing import Self
from uuid import UUID

from domain.aggregate import Aggregate


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
    """A user asked for another price, another total quantity, or both. None: as it is."""

    TOPIC = "replace_request"
    class_version = 1

    class Created(Aggregate.Created):
        TOPIC = "request.replace"
        class_version = 1

        user_id: str
        asset: str
        order_id: UUID
        price: int | None
        quantity: int | None

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
        price: int | None,
        quantity: int | None,
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
            timestamp=time,
        )
