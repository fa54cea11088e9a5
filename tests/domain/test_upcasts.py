"""Events stored before there were other orders than LIMIT, GTC and IOC are read as they were."""

import dataclasses
from typing import Any

import pytest

from domain.order import Order
from domain.order_book import OrderBook
from domain.requests import ReplaceRequest
from domain.values import SelfTradePrevention

FIRST = {"originator_id", "originator_version", "originator_topic", "timestamp"}
LATER = {"originator_id", "originator_version", "timestamp"}
OF_BOOK = LATER | {"asset", "position", "order_id", "user_id"}
OF_ORDER = LATER | {"user_id", "asset", "book_version", "status"}

# The fields of version 1.
FIELDS: dict[type[Any], set[str]] = {
    OrderBook.Matched: OF_BOOK | {"side", "price", "quantity", "fills", "rested", "reason"},
    OrderBook.Cancelled: OF_BOOK | {"request_id", "side", "price", "remaining", "reason"},
    OrderBook.Reduced: OF_BOOK
    | {"request_id", "side", "price", "quantity", "remaining", "previous_remaining"},
    OrderBook.Replaced: OF_BOOK
    | {"request_id", "side", "price", "quantity", "previous_price", "previous_remaining"}
    | {"fills", "rested"},
    OrderBook.Refused: OF_BOOK | {"request_id", "reason"},
    Order.Created: FIRST
    | {"user_id", "asset", "side", "price", "quantity"}
    | {"order_type", "time_in_force", "client_order_id"},
    Order.Filled: OF_ORDER | {"fills"},
    Order.Expired: OF_ORDER | {"fills", "reason"},
    Order.Rejected: OF_ORDER | {"reason"},
    Order.Cancelled: OF_ORDER | {"request_id", "reason"},
    Order.Replaced: OF_ORDER | {"request_id", "price", "quantity", "fills"},
    Order.RequestRefused: OF_ORDER | {"request_id", "reason"},
    ReplaceRequest.Created: FIRST | {"user_id", "asset", "order_id", "price", "quantity"},
}
# What each is then said to have been.
ARRIVED: dict[str, Any] = {
    "expired": [],
    "prevented": [],
    "shown": "the rested",
    "lowered": 0,
    "waits": False,
    "conditions": None,
    "triggered": [],
}
CHANGED: dict[str, Any] = {"stop_price": None, "display_quantity": None}
ADDED: dict[type[Any], dict[str, Any]] = {
    OrderBook.Matched: ARRIVED,
    OrderBook.Cancelled: {"expired": [], "shown": "the remaining"},
    OrderBook.Reduced: {
        "expired": [],
        "shown": "the remaining",
        "previous_shown": "the previous_remaining",
        "conditions": None,
    },
    OrderBook.Replaced: ARRIVED | {"previous_shown": "the previous_remaining", "reason": None},
    OrderBook.Refused: {"expired": [], "limit": None},
    Order.Created: {
        "post_only": False,
        "stop_price": None,
        "take_profit": False,
        "display_quantity": None,
        "expires_at": None,
        "self_trade_prevention": SelfTradePrevention.NONE,
        "quote_quantity": None,
    },
    Order.Filled: {"quantity": None},
    Order.Expired: {"quantity": None, "request_id": None},
    Order.Rejected: {"limit": None},
    Order.Cancelled: {"quantity": None, "fills": []},
    Order.Replaced: {"reason": None} | CHANGED,
    Order.RequestRefused: {"limit": None},
    ReplaceRequest.Created: CHANGED,
}


# Of releases that left nothing for later events.
UNBOUNDED = {"leaving": 0, "continues": False}


def _unbounded_arrival(event: type[Any]) -> dict[str, Any]:
    is_arrival = issubclass(event, OrderBook.Arrived)
    return {"queued": None, "unfinished": False} if is_arrival else {}


@pytest.mark.parametrize("event", FIELDS, ids=lambda it: it.__qualname__)
def test_an_event_of_version_1_gets_what_it_lacks_and_keeps_what_it_has(event: type[Any]) -> None:
    stored = {name: f"the {name}" for name in FIELDS[event]}
    state: dict[str, Any] = dict(stored)
    event.upcast_v1_v2(state)
    assert state == stored | ADDED[event]
    if issubclass(event, OrderBook.Decided):
        event.upcast_v2_v3(state)  # type: ignore[attr-defined]
        assert state == stored | ADDED[event] | UNBOUNDED | _unbounded_arrival(event)
    assert state.keys() == {field.name for field in dataclasses.fields(event)}


@pytest.mark.parametrize("event", [Order.Opened, OrderBook.Created])
def test_an_event_that_lacks_nothing_is_of_version_1_still(event: type[Any]) -> None:
    assert event.class_version == 1
    assert not hasattr(event, "upcast_v1_v2")
