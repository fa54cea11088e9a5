"""The index of the assets in which users have orders: as if every book were asked."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import pytest
from eventsourcing.persistence import OperationalError

from application import user_assets, user_assets_backfill
from application.matching import Matching
from application.persistence.partitions import partition_of
from application.persistence.user_assets import MatchingRecorder
from application.user_assets_backfill import UserAssetsBackfill
from domain.instrument import TradingStatus
from domain.values import OrderStatus, OrderType, book_id
from system import build, build_alone
from tests.integration.conftest import Venue, has_followed_all, patient
from tests.integration.service import eventually
from tests.integration.test_partitions import (
    ASSETS,
    PARTITIONS,
    follow_in_parts,
    of_partition,
    settle_in_parts,
)
from tests.integration.test_requests_about_all_assets import ask_anything, status

COMPLETE = ("", "")
ROOT: Final = Path(__file__).resolve().parents[2]


class Table(NamedTuple):
    """The rows, by what they say."""

    users: set[tuple[str, str]]
    books: set[str]
    is_complete: bool


def table(venue: Venue) -> Table:
    with venue.connect() as connection:
        found = connection.execute("SELECT user_id, asset FROM matching_user_assets").fetchall()
    rows = {(row["user_id"], row["asset"]) for row in found}
    return Table(
        {row for row in rows if row[0]},
        {asset for user, asset in rows if asset and not user},
        COMPLETE in rows,
    )


def asked(venue: Venue) -> set[tuple[str, str]]:
    """The users and assets with orders: every book is asked."""
    books = venue.market.matching.load([book_id(asset) for asset in ASSETS])
    return {(user, book.asset) for book in books.values() for user in book.floor.users()}


def be_of_an_earlier_release(venue: Venue) -> None:
    """Have a market that has never heard of the table."""
    venue.execute("DELETE FROM matching_user_assets")
    venue.market.matching.forget()


def trade_in_an_earlier_release(venue: Venue, chance: random.Random, commands: int) -> None:
    for _ in range(commands):
        ask_anything(venue, chance)
    venue.settle()
    be_of_an_earlier_release(venue)


@pytest.fixture
def loaded(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The books that Matching reads from now on."""
    ids: list[UUID] = []
    load = Matching.load

    def noting(matching: Matching, wanted: Sequence[UUID], upto: int | None = None) -> Any:
        ids.extend(wanted)
        return load(matching, wanted, upto)

    monkeypatch.setattr(Matching, "load", noting)
    return ids


@pytest.fixture(params=[(0, 0), (2, 1), (20_000, 1_000)], ids=["none", "few", "as it is"])
def idle(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many rows may be kept without orders."""
    most, of_user = request.param
    monkeypatch.setattr(user_assets, "MAX_IDLE", most)
    monkeypatch.setattr(user_assets, "MAX_IDLE_OF_USER", of_user)
    found: int = most
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_index_after_each_batch_equals_asking_every_book(
    venue: Venue, idle: int, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        for _ in range(chance.randint(1, 6)):
            ask_anything(venue, chance)
        venue.settle()
        found, expected = table(venue), asked(venue)
        assert found.is_complete
        assert expected <= found.users
        assert len(found.users - expected) <= idle
    for user in ("ann", "bob", "cy"):
        venue.cancel_all(user)
    venue.settle()
    assert asked(venue) == set()
    assert venue.difference() is None


def test_index_over_conflicts_restarts_and_partitions_equals_asking_every_book(
    venue: Venue, idle: int
) -> None:
    chance = random.Random(3)
    for _ in range(25):
        for _ in range(chance.randint(1, 12)):
            ask_anything(venue, chance)
        # Whoever is given other partitions forgets what it knew.
        match chance.randrange(4):
            case 0:
                venue.market.matching.forget()
                settle_in_parts(venue)
            case 1:
                venue.market.matching.forget()
                follow_in_parts(venue.market.matching, "Orders", [chance.randrange(PARTITIONS)])
            case 2:
                with closing(build(patient(venue.env))) as another:
                    another.matching.pull_and_process("Orders")
            case 3:
                venue.settle()
        assert asked(venue) <= table(venue).users
    for user in ("ann", "bob", "cy"):
        venue.cancel_all(user)
    venue.settle()
    assert asked(venue) == set()
    assert venue.difference() is None


def test_mass_cancel_of_nobody_reads_no_book(venue: Venue, loaded: list[UUID]) -> None:
    for asset in ASSETS:
        venue.buy(90, 1, asset=asset, user_id="other")
    venue.settle()
    with closing(build(patient(venue.env))) as started:
        loaded.clear()
        venue.cancel_all("nobody")
        venue.suspend("nobody")
        started.matching.pull_and_process("Orders")
    assert loaded == []


def test_mass_cancel_after_start_reads_own_books_alone_also_of_stops(
    venue: Venue, loaded: list[UUID]
) -> None:
    stop = venue.buy(
        None, 1, asset=ASSETS[1], user_id="mine", order_type=OrderType.STOP, stop_price=200
    )
    rests = venue.buy(90, 1, asset=ASSETS[2], user_id="mine")
    for asset in ASSETS:
        venue.sell(300, 1, asset=asset, user_id="other")
    venue.settle()
    with closing(build(patient(venue.env))) as started:
        loaded.clear()
        venue.cancel_all("mine")
        started.matching.pull_and_process("Orders")
    assert loaded == [book_id(asset) for asset in sorted(ASSETS[1:3])]
    venue.settle()
    assert [status(venue, each) for each in (stop, rests)] == ["CANCELLED", "CANCELLED"]
    assert venue.difference() is None


def test_orders_of_the_same_batch_are_cancelled_at_their_place(venue: Venue) -> None:
    before = venue.buy(90, 1, user_id="mine")
    venue.cancel_all("mine")
    after = venue.buy(91, 1, user_id="mine")
    elsewhere = venue.buy(91, 1, asset="ETH-USD", user_id="mine")
    venue.suspend("mine")
    refused = venue.buy(92, 1, user_id="mine")
    venue.settle()
    fates = [status(venue, each) for each in (before, after, elsewhere, refused)]
    assert fates == ["CANCELLED", "CANCELLED", "CANCELLED", "REJECTED"]
    assert venue.difference() is None


def test_user_who_comes_and_goes_leaves_no_dead_rows(venue: Venue) -> None:
    for _ in range(20):
        venue.buy(90, 1, user_id="mine")
        venue.settle()
        venue.cancel_all("mine")
        venue.settle()
    with venue.connect() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        [row] = connection.execute(
            "SELECT n_tup_ins, n_tup_del FROM pg_stat_user_tables"
            " WHERE relname = 'matching_user_assets'"
        ).fetchall()
    assert row["n_tup_del"] == 0
    assert table(venue).users == {("mine", "BTC-USD")}
    assert venue.difference() is None


def test_rows_left_by_a_crash_are_looked_at_once(venue: Venue, loaded: list[UUID]) -> None:
    for asset in ASSETS:
        venue.buy(90, 1, asset=asset, user_id="mine")
    venue.settle()
    venue.cancel_all("mine")
    venue.settle()
    assert {("mine", asset) for asset in ASSETS} == table(venue).users
    with closing(build(patient(venue.env))) as started:
        for reads in (len(ASSETS), 0):
            loaded.clear()
            venue.cancel_all("mine")
            started.matching.pull_and_process("Orders")
            assert len(loaded) == reads
    assert venue.difference() is None


def test_worker_that_lost_a_partition_deletes_none_of_its_rows(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It believes that a user has no orders there; another has taken one since."""
    matching = venue.market.matching
    asset = ASSETS[0]
    lost = partition_of(asset, PARTITIONS)
    other = next(each for each in ASSETS if partition_of(each, PARTITIONS) != lost)
    kept = partition_of(other, PARTITIONS)
    cancelled = venue.buy(90, 1, asset=asset, user_id="mine")
    follow_in_parts(matching, "Orders", [lost])
    venue.cancel(cancelled)
    follow_in_parts(matching, "Orders", [lost])
    venue.buy(90, 1, asset=asset, user_id="mine")
    venue.buy(90, 1, asset=other, user_id="other")
    with closing(build(patient(venue.env))) as another:
        follow_in_parts(another.matching, "Orders", [lost])
    monkeypatch.setattr(user_assets, "MAX_IDLE", 0)
    last = matching.end_of_log("Orders")
    matching.process_parts("Orders", {kept: (of_partition(matching, "Orders", kept), last)})
    assert ("mine", asset) in table(venue).users
    settle_in_parts(venue)
    assert venue.difference() is None


@contextmanager
def role(name: str, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the service."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "interface.cli", "run", "--role", name],
        env={**os.environ, "DATABASE_URL": url, "LOG_LEVEL": "WARNING", "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_mass_cancel_after_kill_of_the_engine_reaches_all_orders(
    venue: Venue, database_url: str
) -> None:
    def are(fate: str) -> bool:
        return {status(venue, each) for each in ids} == {OrderStatus(fate)}

    ids = [venue.buy(90, 1, asset=asset, user_id="mine") for asset in ASSETS]
    stop: dict[str, Any] = {"order_type": OrderType.STOP, "stop_price": 200}
    ids.append(venue.buy(None, 1, asset="STOPS", user_id="mine", **stop))
    with role("engine", database_url) as killed:
        eventually(lambda: are("OPEN"), 60)
        killed.kill()
    venue.cancel_all("nobody")
    venue.cancel_all("mine")
    with role("engine", database_url):
        eventually(lambda: are("CANCELLED"), 60)
        eventually(lambda: has_followed_all(venue.market), 60)
    assert venue.difference() is None


def test_delisting_by_default_reaches_books_that_are_not_in_memory(venue: Venue) -> None:
    ids = [venue.buy(90, 1, asset=asset, user_id="mine") for asset in ASSETS]
    venue.settle()
    with closing(build(patient(venue.env))) as started:
        assert started.matching.assets_with_books() == set(ASSETS)
        venue.set_rules(status=TradingStatus.DELISTED)
        started.matching.pull_and_process("Orders")
    venue.settle()
    assert {status(venue, each) for each in ids} == {OrderStatus.CANCELLED}
    assert venue.difference() is None


# A database of an earlier release.


def test_every_book_is_asked_until_the_table_is_complete(venue: Venue) -> None:
    ids = [venue.buy(90, 1, asset=asset, user_id="mine") for asset in ASSETS]
    venue.settle()
    be_of_an_earlier_release(venue)
    venue.cancel_all("mine")
    venue.settle()
    assert {status(venue, each) for each in ids} == {OrderStatus.CANCELLED}
    assert not table(venue).is_complete
    assert venue.difference() is None


def test_process_that_takes_snapshots_completes_the_table(venue: Venue, database_url: str) -> None:
    for asset in ASSETS:
        venue.buy(90, 1, asset=asset, user_id="mine")
    venue.settle()
    be_of_an_earlier_release(venue)
    with role("snapshots", database_url):
        eventually(lambda: table(venue).is_complete, 60)
    assert table(venue) == Table(
        {("mine", asset) for asset in ASSETS}, set(ASSETS), is_complete=True
    )


def test_backfill_that_is_killed_begins_again_and_completes_the_table(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    trade_in_an_earlier_release(venue, chance, 80)
    monkeypatch.setattr(user_assets_backfill, "_BOOKS_AT_A_TIME", 1)
    add = MatchingRecorder.add_user_assets
    left = iter([True, True])

    def add_twice(recorder: MatchingRecorder, pairs: Any) -> None:
        if not next(left, False):
            raise OperationalError("killed")
        add(recorder, pairs)

    with closing(build_alone(patient(venue.env), Matching)) as beside:
        with monkeypatch.context() as patch:
            patch.setattr(MatchingRecorder, "add_user_assets", add_twice)
            with pytest.raises(OperationalError):
                UserAssetsBackfill(beside).fill()
        assert not table(venue).is_complete
        for _ in range(40):  # the market goes on meanwhile
            ask_anything(venue, chance)
        venue.settle()
        UserAssetsBackfill(beside).fill()
    found = table(venue)
    assert found.is_complete
    assert asked(venue) <= found.users
    assert found.books == set(ASSETS)
    for user in ("ann", "bob", "cy"):
        venue.cancel_all(user)
    venue.settle()
    assert asked(venue) == set()
    assert venue.difference() is None


def test_market_that_goes_on_while_the_table_is_filled_misses_no_order(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two steps of the backfill a user may come, leave, and come again."""
    chance = random.Random(6)
    trade_in_an_earlier_release(venue, chance, 60)
    monkeypatch.setattr(user_assets_backfill, "_BOOKS_AT_A_TIME", 1)
    add = MatchingRecorder.add_user_assets

    def add_slowly(recorder: MatchingRecorder, pairs: Any) -> None:
        for _ in range(20):
            ask_anything(venue, chance)
        venue.settle()
        add(recorder, pairs)

    with closing(build_alone(patient(venue.env), Matching)) as beside:
        monkeypatch.setattr(MatchingRecorder, "add_user_assets", add_slowly)
        UserAssetsBackfill(beside).fill()
        monkeypatch.undo()
    for _ in range(10):
        assert table(venue).is_complete
        assert asked(venue) <= table(venue).users
        for _ in range(10):
            ask_anything(venue, chance)
        venue.settle()
    assert venue.difference() is None


# Verifying.


def break_one_row(venue: Venue, how: str) -> str | None:
    for asset in ASSETS:
        venue.buy(90, 1, asset=asset, user_id="mine")
    venue.settle()
    assert venue.difference() is None
    venue.execute(how)
    return venue.difference()


@pytest.mark.parametrize(
    "how",
    [
        "DELETE FROM matching_user_assets WHERE user_id = 'mine' AND asset = 'ETH-USD'",
        "DELETE FROM matching_user_assets WHERE user_id = '' AND asset = 'ETH-USD'",
        "INSERT INTO matching_user_assets VALUES ('stranger', 'ETH-USD')",
        "INSERT INTO matching_user_assets VALUES ('', 'UNKNOWN')",
    ],
)
def test_verify_reports_a_row_that_is_missing_or_a_stranger(venue: Venue, how: str) -> None:
    difference = break_one_row(venue, how)
    assert difference is not None
    assert difference.startswith("user assets of Matching")


def test_row_of_an_asset_without_a_book_stops_nobody(venue: Venue) -> None:
    venue.buy(90, 1, user_id="mine")
    venue.settle()
    venue.execute("INSERT INTO matching_user_assets VALUES ('mine', 'UNKNOWN')")
    venue.cancel_all("mine")
    venue.settle()
    assert asked(venue) == set()


def test_rows_have_the_names_as_they_are(venue: Venue) -> None:
    recorder = venue.market.matching.recorder
    assert isinstance(recorder, MatchingRecorder)
    odd = ['a"b', "c\\d", '\\"', "{x}", "NULL", "e,f", " g ", "ö", "'", "%s"]
    recorder.add_user_assets([(user, asset) for user in odd for asset in odd])
    recorder.complete_user_assets()
    found = recorder.select_user_assets(odd)
    assert found.is_complete
    assert {user: sorted(assets) for user, assets in found.assets.items()} == dict.fromkeys(
        odd, sorted(odd)
    )
