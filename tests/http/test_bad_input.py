"""What a client gets wrong: each its status, a problem that names it, and no trace in the log."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.support import Response, Service, order

MiB = 1024 * 1024

USER_RULE = "must be 1 to 64 of A-Z a-z 0-9 ._:@-, beginning with a letter or digit"
ASSET_RULE = "must be 1 to 32 of A-Z a-z 0-9 ._:-, beginning with a letter or digit"
PREVENTIONS = "NONE, CANCEL_TAKER, CANCEL_MAKER, CANCEL_BOTH or DECREMENT"

FIELDS = [  # a field of a good order, what it is given, and the message
    ("userId", None, "UserId is required"),
    ("userId", "", "UserId is required"),
    ("userId", 5, "UserId must be a string"),
    ("userId", True, "UserId must be a string"),
    ("userId", ["a"], "UserId must be a string"),
    ("userId", {}, "UserId must be a string"),
    ("userId", "a" * 65, f"UserId {USER_RULE}"),
    ("userId", "a b", f"UserId {USER_RULE}"),
    ("userId", "a\n", f"UserId {USER_RULE}"),
    ("userId", "-a", f"UserId {USER_RULE}"),
    ("userId", "\u00e4", f"UserId {USER_RULE}"),
    ("userId", "\u0661", f"UserId {USER_RULE}"),
    ("userId", "a\x00", f"UserId {USER_RULE}"),
    ("userId", "\ud800", f"UserId {USER_RULE}"),
    ("asset", None, "Asset is required"),
    ("asset", "", "Asset is required"),
    ("asset", 1.5, "Asset must be a string"),
    ("asset", "a" * 33, f"Asset {ASSET_RULE}"),
    ("asset", "a@b", f"Asset {ASSET_RULE}"),
    ("asset", "../x", f"Asset {ASSET_RULE}"),
    ("asset", "*", f"Asset {ASSET_RULE}"),
    ("type", None, "Type must be BUY or SELL"),
    ("type", "", "Type must be BUY or SELL"),
    ("type", "buy", "Type must be BUY or SELL"),
    ("type", "HOLD", "Type must be BUY or SELL"),
    ("type", 0, "Type must be BUY or SELL"),
    ("type", ["BUY"], "Type must be BUY or SELL"),
    ("type", {"BUY": 1}, "Type must be BUY or SELL"),
    ("price", None, "Price must be greater than 0"),
    ("quantity", None, "Quantity must be greater than 0"),
    ("orderType", "", "OrderType must be LIMIT, MARKET, STOP or STOP_LIMIT"),
    ("orderType", "limit", "OrderType must be LIMIT, MARKET, STOP or STOP_LIMIT"),
    ("timeInForce", "GTX", "TimeInForce must be GTC, IOC, FOK, GTD or DAY"),
    ("timeInForce", 1, "TimeInForce must be GTC, IOC, FOK, GTD or DAY"),
    ("clientOrderId", "", f"ClientOrderId {USER_RULE}"),
    ("clientOrderId", "#1", f"ClientOrderId {USER_RULE}"),
    ("clientOrderId", "a" * 65, f"ClientOrderId {USER_RULE}"),
    ("clientOrderId", 7, "ClientOrderId must be a string"),
    ("postOnly", 1, "PostOnly must be true or false"),
    ("takeProfit", True, "TakeProfit goes with orderType STOP or STOP_LIMIT only"),
    ("stopPrice", 1, "StopPrice goes with orderType STOP or STOP_LIMIT only"),
    ("displayQuantity", 2, "DisplayQuantity must be at most the quantity"),
    ("expiresAt", "2030-01-01T00:00:00Z", "ExpiresAt goes with timeInForce GTD only"),
    ("selfTradePrevention", True, f"SelfTradePrevention must be {PREVENTIONS}"),
    ("quoteQuantity", 1, "QuoteQuantity goes with orderType MARKET only"),
    ("status", "FILLED", "status is unknown"),
    ("orderId", "550e8400-e29b-41d4-a716-446655440000", "orderId is unknown"),
    ("UserId", "user123", "UserId is unknown"),
    ("", 1, " is unknown"),
    ("__proto__", 1, "__proto__ is unknown"),
]

BODIES = [  # a body that is no order, and how the detail begins
    (b"", "The body is not JSON: Expecting value: line 1 column 1"),
    (b"{", "The body is not JSON: Expecting property name"),
    (b'{"userId":"a",}', "The body is not JSON: Expecting property name"),
    (b'{"userId":"a"} x', "The body is not JSON: Extra data: line 1 column 16"),
    (b"{'userId':'a'}", "The body is not JSON: Expecting property name"),
    (b'{"userId":"a\nb"}', "The body is not JSON: Invalid control character"),
    (b'{"userId":\n01}', "The body is not JSON: Expecting ',' delimiter: line 2 column 2"),
    (b'{"price":+1}', "The body is not JSON: Expecting value: line 1 column 10"),
    (b'{"price":.5}', "The body is not JSON: Expecting value: line 1 column 10"),
    (b'{"price":0x1}', "The body is not JSON: Expecting ',' delimiter"),
    (b"userId=a", "The body is not JSON: Expecting value: line 1 column 1"),
    (b"\xef\xbb\xbf{}", "The body is not JSON: Expecting value: line 1 column 1"),
    (b'{"userId":"\xff"}', "The body is not UTF-8: byte 11"),
    (b'{"userId":"\xed\xa0\x80"}', "The body is not UTF-8: byte 11"),
    ('{"a":1}'.encode("utf-16"), "The body is not UTF-8: byte 0"),
    (b"null", "The body must be a JSON object"),
    (b"[]", "The body must be a JSON object"),
    (b"1", "The body must be a JSON object"),
    (b'"order"', "The body must be a JSON object"),
    (b"NaN", "The body must be a JSON object"),
    (b"[" * 100_000, "The body is nested too deeply"),
    (b'{"a":' * 100_000, "The body is nested too deeply"),
    (b'{"userId":"a","userId":"a"}', "userId is given more than once"),
    (b'{"a":{"b":1,"b":2}}', "b is given more than once"),
]

QUERIES = [
    ("/orders?limit=0", ["limit"]),
    ("/orders?limit=1001", ["limit"]),
    ("/orders?limit=-1", ["limit"]),
    ("/orders?limit=1.0", ["limit"]),
    ("/orders?limit=", ["limit"]),
    ("/orders?limit=+5", ["limit"]),
    ("/orders?limit=%D9%A1", ["limit"]),
    ("/orders?limit=" + "9" * 5000, ["limit"]),
    ("/orders?limit=1&limit=2", ["limit"]),
    ("/orders?status=open", ["status"]),
    ("/orders?status=", ["status"]),
    ("/orders?status=OPEN,", ["status"]),
    ("/orders?status=,", ["status"]),
    ("/orders?status=OPEN,,FILLED", ["status"]),
    ("/orders?status=OPEN,SHUT,FILLED", ["status"]),
    ("/orders?status=OPEN,%20FILLED", ["status"]),
    ("/orders?status=OPEN&status=FILLED", ["status"]),
    ("/orders?open=", ["open"]),
    ("/orders?open=True", ["open"]),
    ("/orders?open=1", ["open"]),
    ("/orders?open=true&open=true", ["open"]),
    ("/orders?clientOrderId=a", ["userId", "asset"]),
    ("/orders?clientOrderId=a&userId=u", ["asset"]),
    ("/orders?clientOrderId=a&asset=A", ["userId"]),
    ("/orders?clientOrderId=&userId=u&asset=A", ["clientOrderId"]),
    ("/orders?clientOrderId=%23&userId=%23", ["userId", "clientOrderId", "asset"]),
    ("/orders?since=", ["since"]),
    ("/orders?since=yesterday", ["since"]),
    ("/orders?since=2026-01-01", ["since"]),
    ("/orders?since=1700000000000", ["since"]),
    ("/orders?since=2026-01-01T00:00:00", ["since"]),
    ("/orders?since=2026-01-01T00:00:00+01:00", ["since"]),  # a blank, in a query
    ("/orders?since=2026-02-30T00:00:00Z", ["since"]),
    ("/orders?since=2026-01-01T00:00:00.1234567Z", ["since"]),
    ("/orders?until=0000-01-01T00:00:00Z", ["until"]),
    ("/orders?until=9999-12-31T23:59:59-01:00", ["until"]),
    ("/orders?since=x&until=y&open=z", ["open", "since", "until"]),
    ("/orders?userId=", ["userId"]),
    ("/orders?userId=a%20b", ["userId"]),
    ("/orders?asset=%00", ["asset"]),
    ("/orders?asset=%ff", ["asset"]),
    ("/orders?cursor=nonsense", ["cursor"]),
    ("/orders?cursor=", ["cursor"]),
    ("/orders?cursor=dHJhZGVzMTo1OjM", ["cursor"]),  # one of /trades
    ("/orders?cursor=%C3%A4", ["cursor"]),
    ("/orders?user=a", ["user"]),
    ("/orders?limit=0&status=x&foo=1", ["status", "limit", "foo"]),
    ("/trades?orderId=1", ["orderId"]),
    ("/trades?cursor=b3JkZXJzMTo1", ["cursor"]),  # one of /orders
    ("/trades?limit=1001", ["limit"]),
    ("/trades?userId=a", ["userId"]),
    ("/books/BTC-USD?depth=0", ["depth"]),
    ("/books/BTC-USD?depth=1001", ["depth"]),
    ("/books/BTC-USD?level=1", ["level"]),
    ("/books/BTC-USD?version=-1", ["version"]),
    ("/books/BTC-USD?version=99999999999999999999", ["version"]),
    ("/books/BTC-USD?asset=BTC-USD", ["asset"]),
    ("/books/a%20b", ["asset"]),
    ("/books/*", ["asset"]),
    ("/books/" + "a" * 33, ["asset"]),
    ("/instruments?asset=BTC-USD", ["asset"]),
    ("/instruments/BTC-USD?status=HALTED", ["status"]),
    ("/instruments/a%20b", ["asset"]),
    ("/instruments/**", ["asset"]),
    ("/orders/550e8400-e29b-41d4-a716-446655440000?x=1", ["x"]),
    ("/orders/550e8400-e29b-41d4-a716-446655440000/events?x=1", ["x"]),
]


def assert_problem(response: Response, status: int) -> None:
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    assert response.json["type"] == "about:blank"
    assert response.json["status"] == status
    assert response.json["title"]
    assert response.json["detail"]


@pytest.mark.parametrize(("field", "value", "message"), FIELDS)
def test_a_field_that_breaks_its_rule_is_named(
    unfollowed: Service, field: str, value: Any, message: str
) -> None:
    before = unfollowed.count_events()
    fields = order() | {field: value}
    refused = unfollowed.client.post("/orders", json=fields)
    assert_problem(refused, 400)
    assert refused.json["errors"] == [{"field": field, "message": message}]
    del fields[field]
    if value is None:
        absent = unfollowed.client.post("/orders", json=fields)
        assert absent.json == refused.json
    assert unfollowed.count_events() == before


def test_every_fault_is_found_at_once(service: Service) -> None:
    refused = service.client.post(
        "/orders", json={"type": "HOLD", "price": 0, "quantity": -1, "colour": "red"}
    )
    assert_problem(refused, 400)
    assert refused.json["errors"] == [
        {"field": "userId", "message": "UserId is required"},
        {"field": "asset", "message": "Asset is required"},
        {"field": "type", "message": "Type must be BUY or SELL"},
        {"field": "price", "message": "Price must be greater than 0"},
        {"field": "quantity", "message": "Quantity must be greater than 0"},
        {"field": "colour", "message": "colour is unknown"},
    ]


def test_the_name_of_an_unknown_field_is_repeated_printable_and_short(service: Service) -> None:
    body = '{"\\ud800":1,"%s":2}' % ("n" * 1000)
    refused = service.client.post("/orders", data=body, content_type="application/json")
    assert [fault["field"] for fault in refused.json["errors"][-2:]] == ["\\ud800", "n" * 64]


@pytest.mark.parametrize(("body", "detail"), BODIES, ids=lambda value: str(value[:24]))
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/orders"),
        ("POST", "/orders/batch"),
        ("PATCH", "/orders/550e8400-e29b-41d4-a716-446655440000"),
        ("PUT", "/instruments/BTC-USD"),
        ("PUT", "/users/user123"),
    ],
)
def test_a_body_that_is_no_json_object_says_where_it_goes_wrong(
    service: Service, method: str, path: str, body: bytes, detail: str
) -> None:
    refused = service.client.open(path, method=method, data=body, content_type="application/json")
    assert_problem(refused, 400)
    assert refused.json["detail"].startswith(detail)


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"],
)
def test_a_body_of_another_type_is_refused(service: Service, content_type: str | None) -> None:
    refused = service.client.post("/orders", data=json.dumps(order()), content_type=content_type)
    assert_problem(refused, 415)


@pytest.mark.parametrize(("path", "fields"), QUERIES, ids=lambda value: str(value)[:40])
def test_a_query_parameter_that_breaks_its_rule_is_named(
    service: Service, path: str, fields: list[str]
) -> None:
    refused = service.client.get(path)
    assert_problem(refused, 400)
    assert [fault["field"] for fault in refused.json["errors"]] == fields


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/orders/", "//orders", "/Orders", "/orders/a/b", "/books", "/books/"]
)
def test_an_unknown_path_is_not_found(service: Service, path: str) -> None:
    assert_problem(service.client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/orders", {"GET", "HEAD", "POST", "DELETE"}),
        ("PATCH", "/orders", {"GET", "HEAD", "POST", "DELETE"}),
        ("POST", "/orders/1", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("POST", "/books/BTC-USD", {"GET", "HEAD"}),
        ("FOO", "/trades", {"GET", "HEAD"}),
        ("PUT", "/instruments", {"GET", "HEAD"}),
        ("DELETE", "/instruments/BTC-USD", {"GET", "HEAD", "PUT"}),
        ("GET", "/users/user123", {"PUT"}),
    ],
)
def test_a_method_that_a_path_does_not_have_names_those_it_has(
    service: Service, method: str, path: str, allowed: set[str]
) -> None:
    refused = service.client.open(path, method=method)
    assert_problem(refused, 405)
    assert set(refused.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("token", ["", "1", "nonsense", "b3JkZXJzMTo1", "a" * 5000, "\u00e4"])
@pytest.mark.parametrize(
    "path", ["/orders", "/trades", "/books/A", "/orders/550e8400-e29b-41d4-a716-446655440000"]
)
def test_a_position_that_we_never_gave_out_is_refused(
    service: Service, path: str, token: str
) -> None:
    refused = service.client.get(path, headers={"Position": token})
    assert_problem(refused, 400)
    assert [fault["field"] for fault in refused.json["errors"]] == ["Position"]


OPTIONAL = ["orderType", "timeInForce", "postOnly", "stopPrice", "takeProfit", "displayQuantity"]
OPTIONAL += ["expiresAt", "selfTradePrevention", "quoteQuantity", "clientOrderId"]
NAMES = st.sampled_from([*order(), *OPTIONAL, "orders", "x"])
RULES = ["tickSize", "lotSize", "minQuantity", "maxQuantity", "minNotional", "minPrice"]
RULES += ["maxPrice", "bandPercent", "sessionEnd", "status", "suspended"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["BUY", "SELL", "LIMIT", "GTC", "BTC-USD", "1e-8", "0.1"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(), inner),
    max_leaves=12,
)
ALMOST_ORDERS = st.dictionaries(NAMES, JSON, max_size=4).map(lambda fields: order() | fields)

FUZZ = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def assert_placed_or_untouched(service: Service, response: Response, before: int) -> None:
    if response.status_code != 201:
        # 200 and 409: the clientOrderId came up before.
        assert response.status_code in {200, 400, 409}
        assert service.count_events() == before


# A pool that opens a connection, in a thread of its own, draws the time that it will live.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@FUZZ
@given(value=ALMOST_ORDERS | JSON)
def test_no_json_is_a_failure_of_ours_or_leaves_a_trace_when_refused(
    unfollowed: Service, value: Any
) -> None:
    service = unfollowed
    before = service.count_events()
    response = service.client.post(
        "/orders", data=json.dumps(value), content_type="application/json"
    )
    assert_placed_or_untouched(service, response, before)


@FUZZ
@given(body=st.binary(max_size=200))
def test_no_bytes_are_a_failure_of_ours(unfollowed: Service, body: bytes) -> None:
    service = unfollowed
    before = service.count_events()
    response = service.client.post("/orders", data=body, content_type="application/json")
    assert_placed_or_untouched(service, response, before)


@FUZZ
@given(entries=st.lists(ALMOST_ORDERS | JSON, max_size=5))
def test_no_batch_is_a_failure_of_ours(unfollowed: Service, entries: list[Any]) -> None:
    service = unfollowed
    response = service.client.post(
        "/orders/batch", data=json.dumps({"orders": entries}), content_type="application/json"
    )
    assert response.status_code == (200 if entries else 400)
    for entry in response.json.get("results", []):
        assert entry["status"] in {200, 201, 400, 409}


@FUZZ
@given(value=st.dictionaries(st.sampled_from(RULES) | st.text(max_size=5), JSON, max_size=4) | JSON)
def test_no_rules_are_a_failure_of_ours_or_leave_a_trace_when_refused(
    unfollowed: Service, value: Any
) -> None:
    service = unfollowed
    for path in ("/instruments/BTC-USD", "/users/user123"):
        before = service.count_events()
        response = service.client.put(path, data=json.dumps(value), content_type="application/json")
        assert response.status_code in {202, 400}
        assert service.count_events() == before + (response.status_code == 202)


@FUZZ
@given(query=st.text(max_size=40), header=st.text(st.characters(max_codepoint=255), max_size=20))
def test_no_query_and_no_header_is_a_failure_of_ours(
    service: Service, query: str, header: str
) -> None:
    header = header.replace("\r", "").replace("\n", "")
    for path in ("/orders", "/trades", "/books/A"):
        read = service.client.get(
            f"{path}?{quote(query, safe='&=%')}", headers={"Position": header}
        )
        assert read.status_code == 400
    cancelled = service.client.delete(f"/orders?{quote(query, safe='&=%')}")
    assert cancelled.status_code == 400
    placed = service.client.post("/orders", json={}, headers={"Prefer": header})
    assert placed.status_code == 400
