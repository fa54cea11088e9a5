"""Somebody else reads the topics, by what the documents say, and has the books that we have."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from application.messages import FORMS
from domain.errors import OrderClosed
from domain.instrument import Limits, TradingStatus
from domain.requests import LimitsRequest, TimeRequest
from domain.values import (
    ALL_ASSETS,
    MAX_AMOUNT,
    UNITS_PER_ONE,
    OrderType,
    SelfTradePrevention,
    TimeInForce,
)
from interface.settings import Settings
from tests import asyncapi
from tests.http.support import serving
from tests.integration.conftest import Venue, at_work
from tests.integration.feeding import is_published, market, servers
from tests.integration.plain_consumer import TYPE_PREFIX, Books, Sides, read
from tests.integration.service import eventually
from tests.integration.test_crashes import crashes

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

ASSETS = ("BTC-USD", "ETH-USD", "SOL-USD", "DOGE-USD", "X:Y.z-1")
MOST = MAX_AMOUNT * UNITS_PER_ONE
PARTS = 4  # of an event, once it is bounded
USERS = ("user", "alice", "bob")
SECONDS = 60
needs_kcat = pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed")

Client = Any  # Flask's test client


@pytest.fixture
def http(venue: Venue) -> Iterator[Client]:
    with serving(venue.market, venue.env) as service:
        yield service.client


@pytest.fixture
def topic(settings: Settings) -> str:
    return settings.kafka_topic_prefix + "book.events"


@pytest.fixture
def traded(venue: Venue) -> Venue:
    """A market with everything in it that can happen to a book; it is not published yet."""
    seed = Random().randrange(2**32)
    print(f"seed {seed}")
    trade_at_random(venue, Random(seed))
    return venue


def trade_at_random(venue: Venue, chance: Random, turns: int = 300) -> None:
    """Amounts from the smallest to the largest, with all their decimal places."""
    ids: list[UUID] = []
    for turn in range(turns):
        act = chance.random()
        if act < 0.65 or not ids:
            ids.append(place(venue, chance))
        elif act < 0.97:
            with suppress(OrderClosed):  # it is filled, or was cancelled before
                change(venue, chance, chance.choice(ids))
        elif act < 0.98:
            venue.cancel_all(chance.choice(USERS), chance.choice(ASSETS))
        else:
            venue.pass_time(chance.choice(ASSETS), venue.tick())
        if turn % 20 == 0:
            venue.settle()
    # And whatever chance has left out.
    last = venue.buy(1, 3, asset=ASSETS[0])
    venue.replace(last, None, 2)
    venue.replace(last, 2, None)
    venue.cancel(last)
    venue.cancel(last)  # there is nothing left to cancel
    stop = venue.buy(None, 3, order_type=OrderType.STOP, stop_price=MOST, asset=ASSETS[1])
    venue.replace(stop, None, 2)
    venue.replace(stop, stop_price=MOST - 1)
    venue.set_rules(ASSETS[2], status=TradingStatus.DELISTED)
    venue.set_rules(ASSETS[2])
    venue.market.orders.ask(
        TimeRequest.make(uuid4(), user_id="operator", asset=ASSETS[1], time=venue.tick())
    )
    venue.suspend(USERS[0])
    venue.suspend(USERS[0], is_suspended=False)
    venue.set_rules(status=TradingStatus.DELISTED)
    venue.set_rules()
    go_on_in_further_events(venue)
    venue.settle()


def go_on_in_further_events(venue: Venue) -> None:
    """A sweep, and a mass cancel, that take more parts than an event may have from now on."""
    venue.market.orders.ask(
        LimitsRequest.make(
            uuid4(),
            user_id="engine",
            asset=ALL_ASSETS,
            limits=Limits(max_parts=PARTS),
            time=venue.tick(),
        )
    )
    for _ in range(2 * PARTS):
        venue.sell(MOST, 1, asset=ASSETS[3], user_id="alice")
        venue.buy(1, 1, asset=ASSETS[3], user_id="alice")
    venue.buy(MOST, 2 * PARTS - 1, asset=ASSETS[3], user_id="bob")
    venue.cancel_all("alice", ASSETS[3])


def place(venue: Venue, chance: Random) -> UUID:
    """An order of any kind."""
    order_type = chance.choice([OrderType.LIMIT] * 5 + list(OrderType))
    amount = quantity(chance)
    terms: dict[str, Any] = {
        "user_id": chance.choice(USERS),
        "asset": chance.choice(ASSETS),
        "order_type": order_type,
        "self_trade_prevention": chance.choice(list(SelfTradePrevention)),
    }
    if order_type is OrderType.MARKET:
        terms["time_in_force"] = TimeInForce.IOC
    if order_type is OrderType.LIMIT:
        terms["time_in_force"] = chance.choice([TimeInForce.GTC] * 8 + list(TimeInForce))
    if terms.get("time_in_force") is TimeInForce.GTD:
        terms["expires_at"] = venue.now + timedelta(seconds=chance.randint(0, 40))
    if order_type.is_stop:
        terms |= {"stop_price": price(chance), "take_profit": chance.random() < 0.3}
    is_limit = order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}
    if is_limit and terms.get("time_in_force") not in {TimeInForce.IOC, TimeInForce.FOK}:
        terms["post_only"] = chance.random() < 0.1
        if chance.random() < 0.4:
            terms["display_quantity"] = -(-amount // chance.randint(1, 5))
    side = chance.choice((venue.buy, venue.sell))
    return side(price(chance) if is_limit else None, amount, **terms)


def change(venue: Venue, chance: Random, order_id: UUID) -> None:
    act = chance.random()
    if act < 0.4:
        venue.cancel(order_id)
    elif act < 0.6:
        venue.replace(order_id, None, quantity(chance))
    elif act < 0.8:
        venue.replace(order_id, price(chance), None)
    elif act < 0.9:
        venue.replace(order_id, stop_price=price(chance))
    else:
        venue.replace(order_id, display_quantity=quantity(chance))


def price(chance: Random) -> int:
    return 45_000 * UNITS_PER_ONE + chance.randint(-3, 3)


def quantity(chance: Random) -> int:
    return chance.choice((1, 10, 3 * UNITS_PER_ONE // 2, chance.randint(1, MOST)))


def test_the_books_are_rebuilt_from_the_topic_alone(
    traded: Venue, settings: Settings, topic: str, http: Client
) -> None:
    books = Books()
    for _ in range(2):  # the second time it goes on from where it is
        with at_work(market(traded, settings)):
            eventually(lambda: is_published(traded), SECONDS)
        for message in read(servers(settings), topic):
            books.take(*message)
        agree(books, http)
        trade_at_random(traded, Random(1), turns=100)
    assert books.dropped > 0
    of_log = {"book", "venue"}
    assert {each for each in books.types if each.partition(".")[0] in of_log} == {
        form.types[-1] for form in FORMS.values() if form.name.partition(".")[0] in of_log
    }


def test_what_a_publisher_that_died_has_sent_twice_is_dropped(
    traded: Venue, settings: Settings, topic: str, http: Client
) -> None:
    for _ in crashes(traded, f"publish Matching {servers(settings)} {settings.kafka_topic_prefix}"):
        pass
    books = Books()
    for message in read(servers(settings), topic):
        books.take(*message)
    assert books.dropped > 0
    agree(books, http)


def agree(books: Books, http: Client) -> None:
    """At every version that there ever was, order by order, to the last decimal place."""
    assert set(books.books) == set(ASSETS)
    for (asset, version), sides in books.past.items():
        told = get(http, f"/books/{asset}?level=3&version={version}")
        assert (told["asset"], told["version"]) == (asset, version)
        if left := books.leaving[asset, version]:
            check_without(left, sides, sides_of(told))
        else:
            assert sides_of(told) == sides
    assert any(books.leaving.values())
    for asset in ASSETS:
        now = get(http, f"/books/{asset}?level=3")
        assert sides_of(now) == books.past[asset, int(now["version"])]
        assert books.leaving[asset, int(now["version"])] == 0
        beyond = max(version for each, version in books.past if each == asset) + 1
        assert http.get(f"/books/{asset}?version={beyond}").status_code == 404


def check_without(left: int, known: Sides, told: Sides) -> None:
    """Check that the published book lacks only orders that have left and are still to be told."""
    for orders, rest in zip(known, told, strict=True):
        assert [order for order in orders if order in rest] == rest
    assert sum(map(len, known)) - sum(map(len, told)) <= left


def get(http: Client, path: str) -> Any:
    answer = http.get(path)
    assert answer.status_code == 200
    return json.loads(answer.data, parse_float=Decimal, parse_int=Decimal)


def sides_of(told: dict[str, Any]) -> Sides:
    bids, asks = (
        [(each["orderId"], each["price"], each["quantity"]) for each in told[side]]
        for side in ("bids", "asks")
    )
    return Sides(bids, asks)


def test_all_that_is_sent_is_what_the_document_says(traded: Venue, settings: Settings) -> None:
    with at_work(market(traded, settings)):
        eventually(lambda: is_published(traded), SECONDS)
    for topic, types in asyncapi.topics().items():
        sent = set()
        for _, headers, value in read(servers(settings), settings.kafka_topic_prefix + topic):
            name = headers["ce_type"].removeprefix(TYPE_PREFIX)
            sent.add(name)
            asyncapi.check_headers(name, headers)
            asyncapi.check_payload(name, value.encode())
        assert sent <= types


@needs_kcat
def test_kcat_reads_the_topic(traded: Venue, settings: Settings, topic: str, http: Client) -> None:
    books = Books()
    with at_work(market(traded, settings)):
        eventually(lambda: is_published(traded), SECONDS)
    # -J: a JSON object for each message; headers are names and values in turn.
    done = subprocess.run(
        ["kcat", "-C", "-q", "-e", "-J", "-b", servers(settings), "-t", topic, "-o", "beginning"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for line in done.stdout.splitlines():
        message = json.loads(line)
        headers = dict(zip(message["headers"][::2], message["headers"][1::2], strict=True))
        books.take(message["partition"], headers, message["payload"])
    agree(books, http)
