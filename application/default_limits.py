"""The limits that a market has unless its operator sets others.

They hold from their place in the log of commands: whatever was decided before them is decided
without them again.
"""

from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import uuid5

from eventsourcing.persistence import IntegrityError

from application.orders import Orders
from domain.instrument import Limits
from domain.requests import LimitsRequest
from domain.values import ALL_ASSETS, venue_id

# An open order takes about 1 kB of memory, and a mass cancel 2.5 us for each. A stop that is
# triggered takes 0.3 ms with all that follows from it, in which its asset waits. An iceberg is
# traded slice by slice: 100 is what Binance allows (ICEBERG_PARTS). One event of 1 000 parts is
# 200 kB of JSON, and its command takes Matching some 10 ms.
DEFAULT_LIMITS: Final = Limits(
    max_open_orders=50_000,
    max_user_stops=200,
    max_stops=10_000,
    max_slices=100,
    max_parts=1_000,
)
_USER: Final = "engine"


def record_default_limits(orders: Orders, time: datetime) -> None:
    """Ask for the default limits, once in the life of a market.

    The request has the same id each time, so that of several engines, or after a crash, one
    request is recorded; it leaves alone what an operator has set before.
    """
    request_id = uuid5(venue_id(), "default limits")
    if not orders.events_of([request_id]):
        request = LimitsRequest.make(
            request_id, user_id=_USER, asset=ALL_ASSETS, limits=DEFAULT_LIMITS, time=time
        )
        with suppress(IntegrityError):  # another engine was faster
            orders.ask(request)
