"""Prices and quantities: exact on the way in, in the store, and on the way out."""

import pytest

from tests.http.support import Service, exact, new_asset, order

LARGEST = "10000000000"

TAKEN = [  # what is sent, and what is written; the same as a JSON number and as a string
    ("0.1", "0.1"),
    ("1e-8", "0.00000001"),
    ("1E-8", "0.00000001"),
    ("0.00000001", "0.00000001"),
    ("45000.00", "45000"),
    ("9999999999.99999999", "9999999999.99999999"),
    ("0.100000000", "0.1"),
    ("0.10000000000000000000000000000000000000000", "0.1"),
    (LARGEST, LARGEST),
    ("10000000000.000000000", LARGEST),
    ("1e10", LARGEST),
    ("1E+10", LARGEST),
    ("100000000000000000000e-10", LARGEST),
    ("1234567.12345678", "1234567.12345678"),
    ("1" + "0" * 400 + "e-400", "1"),
    ("0." + "0" * 400 + "1e401", "1"),
]

NOT_ABOVE_0 = "must be greater than 0"
TOO_FINE = "must have at most 8 decimal places"
TOO_LARGE = "must be at most 10000000000"
NO_NUMBER = "must be a number"

REFUSED_EITHER_WAY = [
    ("0", NOT_ABOVE_0),
    ("0.0", NOT_ABOVE_0),
    ("0e5", NOT_ABOVE_0),
    ("-0", NOT_ABOVE_0),
    ("-0.0", NOT_ABOVE_0),
    ("-1", NOT_ABOVE_0),
    ("-1e-300", NOT_ABOVE_0),
    ("0e999999999999999999999", NOT_ABOVE_0),
    ("-1e999999999999999999999", NOT_ABOVE_0),
    ("0.000000001", TOO_FINE),
    ("1.123456789", TOO_FINE),
    ("1e-9", TOO_FINE),
    ("1e-999999999999999999999", TOO_FINE),
    ("0." + "9" * 400, TOO_FINE),
    ("9999999999.999999999", TOO_FINE),
    ("10000000000.00000001", TOO_LARGE),
    ("10000000001", TOO_LARGE),
    ("1e11", TOO_LARGE),
    ("1e999999999", TOO_LARGE),
    ("1e999999999999999999", TOO_LARGE),
    ("1e999999999999999999999", TOO_LARGE),
    ("9" * 400, TOO_LARGE),
    ("9" * 100_000, TOO_LARGE),
]

REFUSED_AS_JSON = [
    *REFUSED_EITHER_WAY,
    *((f'"{text}"', message) for text, message in REFUSED_EITHER_WAY),
    ("NaN", NO_NUMBER),
    ("Infinity", NO_NUMBER),
    ("-Infinity", NO_NUMBER),
    ("true", NO_NUMBER),
    ("false", NO_NUMBER),
    ("[]", NO_NUMBER),
    ("[1]", NO_NUMBER),
    ("{}", NO_NUMBER),
    ('{"value":1}', NO_NUMBER),
    ('"NaN"', NO_NUMBER),
    ('"Infinity"', NO_NUMBER),
    ('"one"', NO_NUMBER),
    ('"1_000"', NO_NUMBER),
    ('"1,000"', NO_NUMBER),
    ('" 1"', NO_NUMBER),
    ('"1 "', NO_NUMBER),
    ('"1\\n"', NO_NUMBER),
    ('"+1"', NO_NUMBER),
    ('"01"', NO_NUMBER),
    ('".5"', NO_NUMBER),
    ('"1."', NO_NUMBER),
    ('"1e"', NO_NUMBER),
    ('"0x10"', NO_NUMBER),
    ('"--1"', NO_NUMBER),
    ('"\u0661"', NO_NUMBER),  # Arabic digits, which Decimal would take
    ('"\uff11"', NO_NUMBER),  # full-width ones
    ('"\\ud800"', NO_NUMBER),
    ("null", "must be greater than 0"),
    ('""', "must be greater than 0"),
]


def body(field: str, text: str, asset: str = "BTC-USD") -> bytes:
    """A good order, but for a field whose JSON is this text."""
    amounts = {"price": "1", "quantity": "1"} | {field: text}
    return (
        f'{{"userId":"user123","asset":"{asset}","type":"BUY",'
        f'"price":{amounts["price"]},"quantity":{amounts["quantity"]}}}'
    ).encode()


@pytest.mark.parametrize("field", ["price", "quantity"])
@pytest.mark.parametrize(("sent", "written"), TAKEN)
@pytest.mark.parametrize("quote", ["", '"'], ids=["number", "string"])
def test_an_amount_comes_back_as_the_number_it_is(
    service: Service, field: str, sent: str, written: str, quote: str
) -> None:
    client, asset = service.client, new_asset()
    text = f"{quote}{sent}{quote}"
    placed = client.post("/orders", data=body(field, text, asset), content_type="application/json")
    assert placed.status_code == 201
    assert exact(placed)[field] == written
    shown = {"Position": placed.headers["Position"]}
    assert exact(client.get(f"/orders/{placed.json['orderId']}", headers=shown))[field] == written
    book = exact(client.get(f"/books/{asset}", headers=shown))
    assert book["bids"][0][field] == written
    [order_placed, *_] = exact(client.get(f"/orders/{placed.json['orderId']}/events"))["events"]
    assert order_placed[field] == written


@pytest.mark.timeout(60, func_only=True)
@pytest.mark.parametrize("field", ["price", "quantity"])
@pytest.mark.parametrize(("text", "message"), REFUSED_AS_JSON, ids=lambda text: text[:24])
def test_an_amount_that_no_order_can_have_is_refused_by_its_rule(
    unfollowed: Service, field: str, text: str, message: str
) -> None:
    before, client = unfollowed.count_events(), unfollowed.client
    placed = client.post("/orders", data=body(field, text), content_type="application/json")
    assert placed.status_code == 400
    sentence = f"{field.capitalize()} {message}"
    assert placed.json["errors"] == [{"field": field, "message": sentence}]
    assert placed.json["detail"] == sentence
    assert unfollowed.count_events() == before


def test_amounts_of_an_amendment_have_the_same_rules(service: Service) -> None:
    client = service.client
    placed = client.post("/orders", json=order(asset=new_asset()))
    refused = client.patch(
        f"/orders/{placed.json['orderId']}", json={"price": "0.000000001", "quantity": True}
    )
    assert refused.status_code == 400
    assert refused.json["errors"] == [
        {"field": "price", "message": f"Price {TOO_FINE}"},
        {"field": "quantity", "message": f"Quantity {NO_NUMBER}"},
    ]
