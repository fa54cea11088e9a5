"""docs/api.md says what the code does: each of its tables is held against it."""

import ast
import re
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.domain import Aggregate
from flask import Request
from werkzeug.test import EnvironBuilder

import interface.http
from application.messages import message
from application.views.order_rows import OrderRow
from application.views.trades import TradeRow
from domain.errors import CancelReason, RejectReason
from domain.instrument import DEFAULT
from domain.order import Order, OrderFill
from domain.requests import InstrumentRequest, MassCancelRequest, UserRequest
from domain.values import Liquidity, OrderStatus, Side, Terms
from interface.http import presenting
from interface.http.fields import Fields, instrument_rules, mass_cancel, user_settings
from interface.http.order_fields import order_terms
from interface.http.problems import BadInput
from tests.domain.support import NOTHING
from tests.http.support import WAIT, Service, new_asset, order

DOCS = Path(interface.http.__file__).parents[2] / "docs"
PAGE = DOCS.joinpath("api.md").read_text()
NOON = datetime(2024, 2, 9, 12, tzinfo=UTC)
ID = UUID("550e8400-e29b-41d4-a716-446655440000")
TERMS = Terms("user123", "BTC-USD", Side.BUY, 100, 100)


def table(first_heading: str) -> list[list[str]]:
    """The rows of the table that begins with this heading, without their back quotes."""
    lines = PAGE.splitlines()
    [start] = [n for n, line in enumerate(lines) if line.startswith(f"| {first_heading} |")]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return rows


def first_column(first_heading: str) -> list[str]:
    return [row[0] for row in table(first_heading)]


def with_braces(path: str) -> str:
    """A path of Flask's as the page writes it: <order_id> is {orderId}."""
    braces = re.sub("<(.*?)>", r"{\1}", path)
    return re.sub("_([a-z])", lambda found: found[1].upper(), braces)


def test_every_route_is_described(service: Service) -> None:
    described = re.findall(r"^### ([A-Z]+ /\S*)$", PAGE, re.MULTILINE)
    served = [
        f"{method} {with_braces(rule.rule)}"
        for rule in service.client.application.url_map.iter_rules()
        for method in set(rule.methods or ()) - {"HEAD", "OPTIONS"}
    ]
    assert sorted(described) == sorted(served)


def test_the_fields_of_a_new_order_are_those_that_are_taken() -> None:
    rows = table("Field")
    assert len(rows) == len(Terms._fields)
    with pytest.raises(BadInput) as refused:
        order_terms({name: [] for name, *_ in rows})
    assert [fault["field"] for fault in refused.value.errors] == [name for name, *_ in rows]
    assert not any("unknown" in fault["message"] for fault in refused.value.errors)
    with pytest.raises(BadInput) as refused:
        order_terms({})
    required = [name for name, needed, *_ in rows if needed == "yes"]
    assert [fault["field"] for fault in refused.value.errors] == required


def test_the_fields_of_an_order_are_those_that_are_shown() -> None:
    shown = presenting.order(OrderRow.of(Order.place(ID, TERMS, NOON)))
    assert first_column("Field of an order") == list(shown)


def test_the_fields_of_a_trade_are_those_that_are_shown() -> None:
    shown = presenting.trade(TradeRow("BTC-USD", 1, 100, 100, ID, ID, Side.BUY, NOON, 1))
    assert first_column("Field of a trade") == list(shown)


def test_the_fields_of_an_instrument_are_those_that_are_shown() -> None:
    shown = presenting.rules("BTC-USD", DEFAULT)
    assert first_column("Field of an instrument") == list(shown)


def test_the_rules_of_an_instrument_are_those_that_are_taken() -> None:
    rows = table("Rule")
    with pytest.raises(BadInput) as refused:
        instrument_rules({name: [] for name, *_ in rows})
    assert [fault["field"] for fault in refused.value.errors] == [name for name, *_ in rows]
    assert not any("unknown" in fault["message"] for fault in refused.value.errors)
    shown = presenting.rules("BTC-USD", DEFAULT)
    nothing_else = {"asset", "updatedAt", "userId"}
    assert {name for name, *_ in rows} == shown.keys() - nothing_else
    defaults = {name: default for name, default, *_ in rows if default != "none"}
    assert presenting.rules("BTC-USD", instrument_rules(defaults)) == shown
    is_none = {name for name, *_ in rows if shown[name] is None}
    assert is_none.isdisjoint(defaults)
    assert is_none | defaults.keys() == {name for name, *_ in rows}


def test_what_else_is_taken_is_told_with_what_of_it_is_required() -> None:
    def query(**arguments: str) -> Request:
        return Request(EnvironBuilder(query_string=arguments).get_environ())

    for heading, take in (
        ("Parameter of DELETE /orders", lambda given: mass_cancel(query(**given))),
        ("Field of a user", user_settings),
    ):
        rows = table(heading)
        with pytest.raises(BadInput) as refused:
            take({name: "#" for name, *_ in rows})
        assert [fault["field"] for fault in refused.value.errors] == [name for name, *_ in rows]
        assert not any("unknown" in fault["message"] for fault in refused.value.errors)
        with pytest.raises(BadInput) as refused:
            take({})
        required = [name for name, needed, *_ in rows if needed == "yes"]
        assert [fault["field"] for fault in refused.value.errors] == required


@pytest.mark.parametrize("name", ["api.md", "order-types.md"])
def test_a_page_links_to_what_there_is(name: str) -> None:
    page = DOCS.joinpath(name).read_text()
    links = re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", page)
    assert links
    for target, heading in links:
        text = DOCS.joinpath(target).read_text() if target else page
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^a-z -]", "", each.lower()).replace(" ", "-") for each in headings}
        assert not heading or heading in anchors


@pytest.mark.parametrize("path", ["/orders", "/trades", "/books/{asset}"])
def test_the_query_parameters_are_those_that_are_taken(
    service: Service, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    taken = []
    optional = Fields.optional

    def spy(self: Fields, name: str, *rest: object) -> object:
        taken.append(name)
        return optional(self, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Fields, "optional", spy)
    assert service.client.get(path.replace("{asset}", "BTC-USD")).status_code == 200
    assert first_column(f"Parameter of GET {path}") == taken


def test_the_statuses_are_those_of_the_model() -> None:
    assert [row[:2] for row in table("Status")] == [
        [status, "yes" if status.is_terminal else "no"] for status in OrderStatus
    ]


def test_the_reasons_and_their_sentences_are_those_of_the_model() -> None:
    assert table("Reason") == [
        [reason, reason.sentence] for reason in chain(RejectReason, CancelReason)
    ]


def test_the_events_of_the_audit_trail_are_those_that_are_told() -> None:
    placed = Order.place(ID, TERMS, NOON)
    fills = (OrderFill(1, 100, 100, Liquidity.MAKER),)
    rejected, cancelled = RejectReason.INTERNAL_ERROR, CancelReason.USER_REQUEST
    decisions: tuple[tuple[Any, dict[str, Any]], ...] = (
        (Order.Opened, {}),
        (Order.Filled, {"fills": fills}),
        (Order.Decremented, {"fills": fills, "quantity": 1}),
        (Order.Triggered, {"fills": fills, "reason": cancelled}),
        (Order.Expired, {"fills": fills, "reason": cancelled}),
        (Order.Rejected, {"reason": rejected}),
        (Order.Cancelled, {"request_id": ID, "reason": cancelled}),
        (Order.Replaced, {"request_id": ID, "price": 1, "quantity": 1, "fills": fills}),
        (Order.RequestRefused, {"request_id": ID, "reason": rejected}),
    )
    for version, (event, facts) in enumerate(decisions, start=1):
        record(placed, event, version, facts)
    about: dict[str, Any] = {"user_id": "user123", "asset": "BTC-USD", "time": NOON}
    requests: list[Aggregate] = [
        placed.request_cancel(ID, NOON),
        placed.request_replace(ID, NOON, price=1, quantity=1),
        MassCancelRequest.make(ID, **about),
        UserRequest.make(ID, is_suspended=True, **about),
        InstrumentRequest.make(ID, instrument=DEFAULT, **about),
    ]
    events = [e for aggregate in [placed, *requests] for e in aggregate.collect_events()]
    always = {"type", "occurredAt", "userId", "asset"}
    messages = [message(e) for e in events]
    told = [(each["type"], set(each) - always - {"orderId"}) for each in messages]
    assert told == [(row[0], set(re.findall(r"\w+", row[2]))) for row in table("Event type")]
    assert all(always <= set(each) for each in messages)
    # "each but the last three also orderId"
    assert ["orderId" in each for each in messages] == [True] * (len(messages) - 3) + [False] * 3
    [told_fill] = message(placed_event_with_fills(fills))["fills"]
    assert "{" + ",".join(f'"{name}"' for name in told_fill) + "}" in PAGE


def placed_event_with_fills(fills: tuple[OrderFill, ...]) -> Order.Filled:
    placed = Order.place(ID, TERMS, NOON)
    record(placed, Order.Filled, 1, {"fills": fills})
    event = placed.pending_events[-1]
    assert isinstance(event, Order.Filled)
    return event


def record(placed: Order, event: Any, version: int, facts: dict[str, Any]) -> None:
    placed.record(event, book_version=version, timestamp=NOON, **{**NOTHING[event], **facts})


def test_the_headers_are_those_that_come(stalled: Service, service: Service) -> None:
    answers = [
        service.client.post("/orders", json=order(asset=new_asset()), headers=WAIT),
        service.client.put("/orders"),
        stalled.client_with(read_wait_seconds=0).get(
            "/orders",
            headers={"Position": stalled.client.post("/orders", json=order()).headers["Position"]},
        ),
    ]
    come = {name for answer in answers for name, _ in answer.headers}
    described = {name for name, where, _ in table("Header") if where in {"response", "both"}}
    assert described == come - {"Content-Type", "Content-Length"}


def test_the_status_codes_are_those_in_the_code() -> None:
    sources = Path(interface.http.__file__).parent.glob("*.py")
    numbers = {
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, int)
    }
    in_the_code = {number for number in numbers if 200 <= number < 600}
    of_the_framework = {405}
    assert {int(row[0]) for row in table("Code")} == in_the_code | of_the_framework
