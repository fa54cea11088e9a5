"""A request is one event that says all that was asked, and what it is about."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.instrument import Instrument
from domain.requests import (
    CancelRequest,
    ExpiryRequest,
    InstrumentRequest,
    MassCancelRequest,
    ReplaceRequest,
    TimeRequest,
    UserRequest,
)
from tests.domain.support import event, order_id, request_id, seconds

Case = tuple[type[Any], Callable[..., Any], dict[str, Any], str]
ABOUT: dict[str, Any] = {"order_id": order_id("a")}
OTHER: dict[str, Any] = {"price": 1, "quantity": 2, "stop_price": 3, "display_quantity": 4}
AS_IT_IS = dict.fromkeys(OTHER)
RULES: dict[str, Any] = {"instrument": Instrument(tick_size=10)}
CASES: dict[str, Case] = {
    "a cancel": (CancelRequest, CancelRequest.make, ABOUT, "cancel_request"),
    "other terms": (ReplaceRequest, ReplaceRequest.make, ABOUT | OTHER, "replace_request"),
    "a cancel of all": (MassCancelRequest, MassCancelRequest.make, {}, "mass_cancel_request"),
    "the time": (ExpiryRequest, ExpiryRequest.make, {}, "expiry_request"),
    "another time": (TimeRequest, TimeRequest.make, {}, "time_request"),
    "other rules": (InstrumentRequest, InstrumentRequest.make, RULES, "instrument_request"),
    "a suspension": (UserRequest, UserRequest.make, {"is_suspended": True}, "user_request"),
    "its end": (UserRequest, UserRequest.make, {"is_suspended": False}, "user_request"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_says_what_was_asked_by_whom_about_which_asset_and_when(case: Case) -> None:
    kind, make, asked, topic = case
    request = make(request_id(1), user_id="ann", asset="BTC-USD", time=seconds(1), **asked)
    assert request.collect_events() == [
        event(
            kind.Created,
            originator_id=request_id(1),
            originator_version=1,
            originator_topic=topic,
            timestamp=seconds(1),
            user_id="ann",
            asset="BTC-USD",
            **asked,
        )
    ]


def test_other_terms_that_are_not_told_are_as_they_are() -> None:
    request = ReplaceRequest.make(
        request_id(1), user_id="ann", asset="BTC-USD", time=seconds(1), **ABOUT
    )
    [asked] = request.collect_events()
    assert {name: vars(asked)[name] for name in AS_IT_IS} == AS_IT_IS


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_keeps_who_asked_and_about_which_asset(case: Case) -> None:
    _, make, asked, _ = case
    request = make(request_id(1), user_id="ann", asset="BTC-USD", time=seconds(1), **asked)
    assert (request.user_id, request.asset) == ("ann", "BTC-USD")
