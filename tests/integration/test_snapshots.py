"""Snapshots save time, and change nothing: with them, without them, with broken ones."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest

from application.differences import Inconsistent
from application.matching import Matching
from application.persistence.snapshot import Snapshot
from application.snapshots import SnapshotTaker, superfluous
from application.verify_snapshots import RecentVerifier
from domain.order_book import OrderBook
from domain.values import OrderType, SelfTradePrevention, Side, TimeInForce, book_id
from system import build, build_alone, create_tables
from tests.domain.support import state
from tests.integration.conftest import Venue, patient
from tests.integration.service import eventually

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

BTC = book_id("BTC-USD")


@pytest.fixture
def taker(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> SnapshotTaker:
    """Takes a snapshot of whatever has decided something since the last."""
    monkeypatch.setattr("application.snapshots.BYTES_PER_EVENT", 10**6)
    return SnapshotTaker(venue.market.matching, every=1)


def trade(venue: Venue, seed: int, commands: int = 20) -> None:
    random = Random(seed)
    placed: list[UUID] = []
    for _ in range(commands):
        side, price = random.choice(list(Side)), random.randint(97, 103)
        user = f"user {random.randint(1, 3)}"
        match random.choices(["place", "cancel", "replace"], [6, 1, 1])[0] if placed else "place":
            case "place":
                terms = {"price": price, "user_id": user, **some_terms(venue, random)}
                receipt = venue.place(side, quantity=random.randint(1, 9), **terms)
                placed.append(receipt.order.id)
            case "cancel":
                venue.cancel(random.choice(placed))
            case "replace":
                venue.replace(random.choice(placed), price, random.randint(1, 9))
    venue.settle()


def some_terms(venue: Venue, random: Random) -> dict[str, Any]:
    """Of plain orders, and of all whose state is more than a price and a quantity."""
    ends = venue.now + timedelta(seconds=random.randint(1, 40))
    stop_price = random.randint(97, 103)
    return random.choice(
        [
            *[{}] * 4,
            {"display_quantity": 1, "self_trade_prevention": SelfTradePrevention.DECREMENT},
            {"time_in_force": TimeInForce.DAY, "display_quantity": 1},
            {"time_in_force": TimeInForce.GTD, "expires_at": ends},
            {"order_type": OrderType.STOP_LIMIT, "stop_price": stop_price, "take_profit": True},
            {"order_type": OrderType.STOP, "stop_price": stop_price, "price": None},
        ]
    )


def from_events_alone(venue: Venue, version: int | None = None) -> dict[str, Any]:
    books: dict[UUID, OrderBook] = {}
    venue.market.matching.catch_up([BTC], books, version)
    return state(books[BTC])


def versions(venue: Venue) -> list[int]:
    return venue.market.matching.snapshots.recorder.versions(BTC)


def recent_difference(venue: Venue) -> str | None:
    with Snapshot.take(venue.env) as moment:
        try:
            RecentVerifier(moment, venue.market.orders, venue.market.matching).verify()
        except Inconsistent as found:
            return str(found)
    return None


def spoil(venue: Venue, **changes: Any) -> None:
    """Changes the state in every snapshot."""
    for name, value in changes.items():
        venue.execute(
            "UPDATE matching_snapshots SET state = jsonb_set("
            f"convert_from(state, 'UTF8')::jsonb, '{{state,{name}}}', '{json.dumps(value)}'"
            ")::text::bytea"
        )


# Exactness.


@pytest.mark.parametrize("seed", range(3))
def test_a_book_from_a_snapshot_and_the_rest_is_the_book_from_all_events(
    venue: Venue, taker: SnapshotTaker, seed: int
) -> None:
    for part in range(3):
        trade(venue, 10 * seed + part)
        taker.take_due()
    trade(venue, 10 * seed + 3)
    assert versions(venue) == [20, 40, 60]

    with closing(build_alone(patient(venue.env), Matching)) as fresh:
        assert state(fresh.load([BTC])[BTC]) == from_events_alone(venue)
        for version in range(0, 81, 7):
            book = fresh.book_at("BTC-USD", version)
            assert state(book) == from_events_alone(venue, version)


def test_after_a_restart_from_snapshots_the_market_decides_as_it_would_have(
    venue: Venue, taker: SnapshotTaker
) -> None:
    trade(venue, 1)
    venue.trade_a_little()
    taker.take_due()
    trade(venue, 2)
    with closing(build(patient(venue.env))) as restarted:
        venue.market = restarted
        trade(venue, 3)
        trade(venue, 4)
        assert venue.difference() is None
        assert recent_difference(venue) is None


def test_the_library_s_repository_starts_from_a_snapshot_too(
    venue: Venue, taker: SnapshotTaker
) -> None:
    trade(venue, 1)
    taker.take_due()
    trade(venue, 2)
    venue.execute("DELETE FROM matching_events WHERE originator_version < 20")
    book: OrderBook = venue.market.matching.repository.get(BTC)
    assert book.version == 40


def test_what_a_snapshot_tells_is_not_read_from_events(venue: Venue, taker: SnapshotTaker) -> None:
    trade(venue, 1)
    taker.take_due()
    trade(venue, 2)
    expected = from_events_alone(venue)
    venue.execute("DELETE FROM matching_events WHERE originator_version <= 20")
    with closing(build_alone(patient(venue.env), Matching)) as fresh:
        assert state(fresh.load([BTC])[BTC]) == expected


@pytest.mark.parametrize("page", [1, 2, 7, 1_000])
def test_events_of_many_books_are_read_in_pages(
    venue: Venue, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("application.persistence.recorder._PAGE", page)
    trade(venue, 1, commands=7)
    venue.buy(100, 1, asset="EMPTY-SOON")
    venue.settle()
    for _ in range(3):
        venue.buy(100, 1, asset="ETH-USD")
    venue.settle()
    eth, other, unknown = book_id("ETH-USD"), book_id("EMPTY-SOON"), UUID(int=1)
    after = {eth: 1, unknown: -1, BTC: 3, other: 1}
    read = list(venue.market.matching.recorder.select_after(after, upto=6))
    assert [(book, version) for book, version, _, _ in read] == [
        *((eth, version) for version in (2, 3)),
        *((BTC, version) for version in (4, 5, 6)),
    ]


# When they are taken, and which are kept.


def test_a_snapshot_is_taken_when_a_book_has_decided_enough_since_the_last(venue: Venue) -> None:
    taker = SnapshotTaker(venue.market.matching, every=30)
    taken = []
    for part in range(5):
        trade(venue, part)
        taken.append(taker.take_due())
    assert taken == [0, 1, 0, 1, 0]
    assert versions(venue) == [40, 80]


def test_a_larger_book_waits_for_more(
    venue: Venue, taker: SnapshotTaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade(venue, 1)
    assert taker.take_due() == 1
    size = venue.market.matching.snapshots.recorder.kept()[BTC].size
    monkeypatch.setattr("application.snapshots.BYTES_PER_EVENT", size // 30)
    trade(venue, 2)
    assert taker.take_due() == 0
    trade(venue, 3)
    assert taker.take_due() == 1


def test_where_nothing_was_decided_nothing_is_taken(venue: Venue, taker: SnapshotTaker) -> None:
    assert taker.take_due() == 0
    trade(venue, 1)
    assert [taker.take_due(), taker.take_due()] == [1, 0]
    assert SnapshotTaker(venue.market.matching, every=1).take_due() == 0


def test_a_taker_that_starts_anew_goes_on_from_the_snapshots(
    venue: Venue, taker: SnapshotTaker
) -> None:
    trade(venue, 1)
    taker.take_due()
    trade(venue, 2)
    venue.execute("DELETE FROM matching_events WHERE originator_version < 20")
    assert SnapshotTaker(venue.market.matching, every=1).take_due() == 1
    assert versions(venue) == [20, 40]


def test_books_that_do_not_fit_into_memory_are_read_again(
    venue: Venue, taker: SnapshotTaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.snapshots.MAX_LIVE_ORDERS", 0)
    for part in range(3):
        trade(venue, part)
        taker.take_due()
    assert versions(venue) == [20, 40, 60]
    assert venue.difference() is None


def test_a_book_that_cannot_be_read_does_not_keep_the_others_from_theirs(
    venue: Venue, taker: SnapshotTaker
) -> None:
    venue.trade_a_little()
    venue.execute(
        f"UPDATE matching_events SET state = 'no' WHERE originator_id = '{BTC}'"
        " AND originator_version = 3"
    )
    assert taker.take_due() == 1
    assert list(venue.market.matching.snapshots.recorder.kept()) == [book_id("ETH-USD")]


def test_of_old_snapshots_some_are_dropped(venue: Venue, taker: SnapshotTaker) -> None:
    for _ in range(12):
        venue.buy(100, 1)
        venue.settle()
        taker.take_due()
    assert versions(venue) == [1, 4, 6, 8, 9, 10, 11, 12]


def test_the_newest_two_and_ever_fewer_of_the_older_are_kept() -> None:
    kept: list[int] = []
    for version in range(10, 100_001, 10):
        kept.append(version)
        going = superfluous(kept)
        kept = [each for each in kept if each not in going]
        assert len(kept) <= 32
    assert kept[-2:] == [99_990, 100_000]
    for version in range(10, 100_001):
        start = max(each for each in kept if each <= version)
        assert version - start <= 10 + 100_000 - version


# What is wrong with one stops nobody.


@pytest.mark.parametrize(
    "damage",
    [
        "state = 'no'",
        "state = '{}'",
        "topic = 'book.of.another.release'",
        """state = regexp_replace(convert_from(state, 'UTF8'),
            '"class_version":[0-9]+', '"class_version":99')::bytea""",
        """state = replace(convert_from(state, 'UTF8'), '"users":["user"]', '"users":[]')::bytea""",
        # It can be read, but what came after doesn't fit.
        """state = regexp_replace(convert_from(state, 'UTF8'),
            '"order_ids":\\["........', '"order_ids":["00000000', 'g')::bytea""",
    ],
    ids=["not JSON", "empty", "unknown", "newer", "incomplete", "unfitting"],
)
def test_a_market_with_a_broken_snapshot_replays_the_events_and_goes_on(
    venue: Venue, taker: SnapshotTaker, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    orders = [venue.buy(100, 5), venue.sell(105, 5)]
    venue.settle()
    taker.take_due()
    for order in orders:
        venue.cancel(order)
    venue.settle()
    expected = from_events_alone(venue)
    venue.execute(f"UPDATE matching_snapshots SET {damage}")

    with closing(build(patient(venue.env))) as restarted, caplog.at_level(logging.ERROR):
        assert state(restarted.matching.load([BTC])[BTC]) == expected
        assert "replayed" in caplog.text
        assert restarted.matching.book_at("BTC-USD", 2).version == 2
        venue.market = restarted
        trade(venue, 2)
        assert SnapshotTaker(restarted.matching, every=1).take_due() == 1
        assert versions(venue) == [2, 24]
        assert state(restarted.matching.load([BTC])[BTC]) == from_events_alone(venue)


def test_a_broken_snapshot_of_the_last_version_is_replaced(venue: Venue) -> None:
    trade(venue, 1)
    matching = venue.market.matching
    SnapshotTaker(matching, every=1).take_due()
    venue.execute("UPDATE matching_snapshots SET state = 'no'")
    matching.snapshots.put([OrderBook.Snapshot.take(matching.load([BTC])[BTC])])
    assert state(matching.snapshots.restore([BTC])[BTC]) == from_events_alone(venue)


# Proving.


WRONG = [{"last_trade_id": 7_000}, {"position": 1}, {"users": ["somebody else"] * 9}]


@pytest.mark.parametrize("changes", WRONG, ids=lambda changes: next(iter(changes)))
def test_a_wrong_snapshot_is_found(
    venue: Venue, taker: SnapshotTaker, changes: dict[str, Any]
) -> None:
    trade(venue, 1)
    taker.take_due()
    trade(venue, 2)
    assert venue.difference() is None
    spoil(venue, **changes)
    assert venue.difference() == ("snapshot of BTC-USD at version 20: it is not the book as it was")


def test_an_older_wrong_snapshot_is_found_too(venue: Venue, taker: SnapshotTaker) -> None:
    trade(venue, 1)
    taker.take_due()
    spoil(venue, last_trade_id=7_000)
    trade(venue, 2)
    taker.take_due()
    assert str(venue.difference()).startswith("snapshot of BTC-USD at version 20")


def test_a_snapshot_of_a_book_that_never_was_is_found(venue: Venue, taker: SnapshotTaker) -> None:
    trade(venue, 1)
    taker.take_due()
    venue.execute("UPDATE matching_snapshots SET originator_version = 99")
    assert venue.difference() == f"snapshot of the book {BTC} at version 99: it had none"


def test_what_came_after_the_newest_snapshots_is_proved_alone(
    venue: Venue, taker: SnapshotTaker
) -> None:
    trade(venue, 1)
    taker.take_due()
    trade(venue, 2)
    venue.buy(100, 1, asset="ETH-USD")  # its book has no snapshot
    venue.settle()
    assert recent_difference(venue) is None
    venue.execute(
        "UPDATE matching_events SET state = 'no' WHERE originator_version BETWEEN 1 AND 19"
        f" AND originator_id = '{BTC}'"
    )
    assert recent_difference(venue) is None
    venue.execute(
        "UPDATE matching_events SET state = replace(convert_from(state, 'UTF8'),"
        " '\"quantity\":', '\"quantity\":1')::bytea"
        f" WHERE originator_id = '{BTC}' AND originator_version = 21"
    )
    assert str(recent_difference(venue)).startswith("Matching log: stored is")


def test_a_recent_decision_that_nobody_asked_for_is_found(
    venue: Venue, taker: SnapshotTaker
) -> None:
    trade(venue, 1)
    taker.take_due()
    venue.buy(1, 1)
    venue.settle()
    venue.execute(
        "DELETE FROM orders_events WHERE topic = 'order.placed' AND notification_id ="
        " (SELECT max(notification_id) FROM orders_events WHERE topic = 'order.placed')"
    )
    assert str(recent_difference(venue)).startswith("Matching log: nothing was asked that led to")


# The process.


def role(venue: Venue) -> subprocess.Popen[str]:
    """`ome run --role snapshots`, which takes one as soon as a book has decided 10 commands."""
    env = venue.env
    address = f"{env['POSTGRES_HOST']}&port={env['POSTGRES_PORT']}"
    url = f"postgresql://{env['POSTGRES_USER']}@/{env['POSTGRES_DBNAME']}?host={address}"
    return subprocess.Popen(
        [sys.executable, "-m", "interface.cli", "run", "--role", "snapshots"],
        env={**os.environ, "DATABASE_URL": url, "SNAPSHOT_EVERY": "10"},
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(venue: Venue) -> Iterator[subprocess.Popen[str]]:
    process = role(venue)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_process_takes_them_and_ends_when_it_is_told_to(venue: Venue) -> None:
    trade(venue, 1)
    with running(venue) as process:
        eventually(lambda: versions(venue) == [20], 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert venue.difference() is None


def test_of_two_processes_one_stands_by_and_takes_over_when_the_first_is_killed(
    venue: Venue,
) -> None:
    with running(venue) as first:
        eventually(lambda: holders(venue) == 1, 60)
        with running(venue) as second:
            trade(venue, 1)
            eventually(lambda: versions(venue) == [20], 60)
            assert holders(venue) == 1
            first.kill()
            first.wait()
            trade(venue, 2)
            eventually(lambda: versions(venue) == [20, 40], 60)
            assert second.poll() is None
    assert venue.difference() is None


def test_the_process_outlives_its_sessions(venue: Venue) -> None:
    with running(venue) as process:
        eventually(lambda: holders(venue) == 1, 60)
        venue.end_all_sessions()
        with closing(build(patient(venue.env))) as venue.market:
            trade(venue, 1)
            eventually(lambda: versions(venue) == [20], 60)
        assert process.poll() is None


def holders(venue: Venue) -> int:
    """How many hold the lock of who takes snapshots; there are others, as at the start."""
    with venue.connect() as connection:
        return connection.execute(
            "SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND objid::bigint = hashtext('take snapshots')::bigint & 4294967295"
        ).rowcount


def test_snapshots_that_lack_the_last_price_are_not_used(
    venue: Venue, taker: SnapshotTaker
) -> None:
    """Those of the first release: stops and bands would be decided otherwise than from events."""
    venue.sell(100, 5)
    venue.buy(100, 5)
    venue.settle()
    taker.take_due()
    outdated = """topic = 'book.snapshot',
        state = replace(convert_from(state, 'UTF8'), '"last_price":100,', '')::bytea"""
    venue.execute(f"UPDATE matching_snapshots SET {outdated}")
    venue.execute("DELETE FROM ome_schema_versions")  # the first release has none
    create_tables(venue.env)
    assert versions(venue) == []
    with closing(build_alone(patient(venue.env), Matching)) as fresh:
        assert fresh.load([BTC])[BTC].floor.last_price == 100
