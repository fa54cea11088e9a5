"""Matching, Orders' follower and the views as one, where one thing after the other goes wrong."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from eventsourcing.persistence import OperationalError

from application import fused as fusion
from application import matching as deciding
from application import orders as outcomes
from application.fused import Fused
from application.matching import Matching
from application.persistence.connection import connect
from application.persistence.position import PositionMoved
from application.persistence.unit_of_work import Call, CommitUnknown, transact
from application.views.view import View
from domain.errors import OrderClosed
from domain.order_book import OrderBook
from domain.values import OrderStatus, Side
from interface.database_url import database_env
from interface.postgres import EmbeddedPostgres
from system import Market, build, create_tables, followings
from tests.clusters import put_cluster
from tests.integration.conftest import Venue, patient
from tests.integration.service import eventually
from tests.integration.test_log_lock import kill_all, preset_setting

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

ASSETS = ("A", "B", "C", "D", "E")


class Engine:
    """A fused engine without threads but the writer's, whose turns a test gives it."""

    def __init__(self, venue: Venue) -> None:
        self.market: Market = build(patient(venue.env))
        self.fused = Fused(self.market.matching, self.market.orders)

    def join(self) -> None:
        for view in (self.market.orders, *views(self.market)):
            assert self.fused.join(view)

    def follow(self, limit: int = 500) -> None:
        """Process all that waits; after an error from the beginning, as the real one does."""
        while True:
            try:
                if not self.fused.is_joined:
                    self.join()
                while self.fused.process_batch(limit):
                    pass
            except (PositionMoved, OperationalError):
                self.fused.leave()
            else:
                return

    def close(self) -> None:
        self.fused.leave()
        self.fused.close()
        self.market.close()


def views(market: Market) -> list[View]:
    return [market.order_view, market.book_view, market.trade_view]


@pytest.fixture
def engine(venue: Venue) -> Iterator[Engine]:
    with closing(Engine(venue)) as engine:
        yield engine


@pytest.fixture
def small_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "MAX_LIVE_BOOKS", 2)
    monkeypatch.setattr(outcomes, "MAX_LIVE_ORDERS", 10)


@pytest.fixture
def slow_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each batch be decided long before the one before it is committed."""

    def transact_late(datastore: Any, calls: Any, locks: str) -> Any:
        time.sleep(0.02)
        return transact(datastore, calls, locks)

    monkeypatch.setattr(fusion, "transact", transact_late)


def trade(venue: Venue, seed: int, commands: int) -> None:
    """Place orders of two users that meet in five books, and cancel and amend some."""
    chance = random.Random(seed)
    placed: list[UUID] = []
    for _ in range(commands):
        if placed and chance.random() < 0.3:
            order_id = chance.choice(placed)
            try:
                if chance.random() < 0.5:
                    venue.cancel(order_id)
                else:
                    venue.replace(order_id, chance.randint(97, 103), chance.randint(1, 12))
            except OrderClosed:
                pass
        else:
            side, asset, user = (
                chance.choice(list(Side)),
                chance.choice(ASSETS),
                chance.choice("xy"),
            )
            price, quantity = chance.randint(97, 103), chance.randint(1, 9)
            placed.append(venue.place(side, price, quantity, asset=asset, user_id=user).order.id)


def check(venue: Venue) -> None:
    """Everything is followed, and all that is stored is what the rules say."""
    venue.settle()
    assert venue.difference() is None


def have(market: Market) -> set[int | None]:
    """The positions in Matching's log of all that follow it."""
    return {
        follower.recorder.max_tracking_id(leader)
        for follower, leader in followings(market)
        if leader == Matching.name
    }


@pytest.mark.parametrize("limit", [1, 7, 500])
def test_batches_of_any_size_leave_what_followers_apart_leave(
    venue: Venue, engine: Engine, small_caches: None, slow_commits: None, limit: int
) -> None:
    trade(venue, seed=limit, commands=150)
    engine.follow(limit)
    assert have(venue.market) == {venue.market.matching.recorder.max_notification_id()}
    check(venue)


def test_mass_cancel_over_more_books_than_are_kept_and_orders_for_the_first_meet_what_is_left(
    venue: Venue, engine: Engine, small_caches: None, slow_commits: None
) -> None:
    for asset in ASSETS:
        venue.buy(99, 5, asset=asset, user_id="stays")
        venue.buy(100, 5, asset=asset, user_id="leaves")
    venue.cancel_all("leaves")
    sold = [venue.sell(99, 5, asset=asset, user_id="comes") for asset in ASSETS]
    engine.follow(limit=1)
    assert {venue.market.orders.get(each).notional for each in sold} == {99 * 5}
    check(venue)


@contextmanager
def held(venue: Venue, statement: str) -> Iterator[None]:
    """A transaction of somebody else that holds what the statement locks."""
    with venue.connect() as other:
        other.execute(f"BEGIN; {statement}".encode())
        yield
        other.execute("ROLLBACK")


def test_poison_is_refused_while_the_batch_before_it_is_being_written(
    venue: Venue, engine: Engine, slow_commits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = OrderBook.place

    def fail(book: OrderBook, position: int, order: Any, *rules: Any) -> None:
        if order.quantity == 666:
            raise ZeroDivisionError("poison")
        place(book, position, order, *rules)

    monkeypatch.setattr(OrderBook, "place", fail)
    rests, poison = venue.buy(100, 5), venue.sell(100, 666)
    taker = venue.sell(100, 3)
    engine.follow(limit=1)
    orders = venue.market.orders
    assert [orders.get(each).status for each in (rests, poison, taker)] == [
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.REJECTED,
        OrderStatus.FILLED,
    ]
    check(venue)


class Failing:
    """Transactions that fail in a way that a test says, the first time that one is made."""

    def __init__(self, fail: Callable[[Any, list[Call]], Any]) -> None:
        self._fail = fail
        self.times = 0

    def __call__(self, datastore: Any, calls: Any, locks: str) -> Any:
        self.times += 1
        if self.times == 2:  # the batch after it is decided by then
            return self._fail(datastore, list(calls))
        return transact(datastore, calls, locks)


@pytest.mark.parametrize("place", range(7))
def test_batch_that_fails_at_any_call_is_decided_again_with_the_one_after_it(
    venue: Venue,
    engine: Engine,
    small_caches: None,
    monkeypatch: pytest.MonkeyPatch,
    place: int,
) -> None:
    """Whatever it is that fails, views included: those catch up alone."""

    def fail(datastore: Any, calls: list[Call]) -> Any:
        calls[min(place, len(calls)) : place] = [Call("1 / %s::int", [0])]
        return transact(datastore, calls, "")

    failing = Failing(fail)
    monkeypatch.setattr(fusion, "transact", failing)
    trade(venue, seed=place, commands=40)
    engine.follow(limit=10)
    assert failing.times > 3
    check(venue)


@pytest.mark.parametrize("times", [0, 1])
def test_connection_lost_during_the_commit_repeats_what_is_not_stored_and_nothing_else(
    venue: Venue,
    engine: Engine,
    small_caches: None,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
) -> None:
    def lose(datastore: Any, calls: list[Call]) -> Any:
        for _ in range(times):
            transact(datastore, calls, "")
        raise CommitUnknown("the connection was lost")

    monkeypatch.setattr(fusion, "transact", Failing(lose))
    trade(venue, seed=8, commands=60)
    engine.follow(limit=10)
    check(venue)


def test_overtaken_engine_drops_what_it_has_decided_and_goes_on_from_there(
    venue: Venue, engine: Engine, small_caches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Engine(venue)) as other:

        def overtake(datastore: Any, calls: list[Call]) -> Any:
            monkeypatch.setattr(fusion, "transact", transact)
            other.follow(limit=7)
            return transact(datastore, calls, "")

        monkeypatch.setattr(fusion, "transact", Failing(overtake))
        trade(venue, seed=9, commands=60)
        engine.follow(limit=10)
        check(venue)
        trade(venue, seed=10, commands=60)
        other.follow(limit=10)
        engine.follow(limit=10)
    check(venue)


def test_two_engines_that_race_decide_each_command_once(venue: Venue, engine: Engine) -> None:
    chance = random.Random(11)
    with closing(Engine(venue)) as other:
        for seed in range(20):
            trade(venue, seed, commands=8)
            for each in chance.sample([engine, other], 2):
                each.follow(limit=chance.choice([1, 3, 500]))
    check(venue)


def test_ids_that_undone_transactions_have_taken_are_left_out_everywhere(
    venue: Venue, engine: Engine
) -> None:
    venue.buy(100, 5)
    engine.follow()
    for _ in range(3):
        with venue.connect() as other, pytest.raises(psycopg.errors.DivisionByZero):
            other.execute(
                "INSERT INTO matching_events SELECT gen_random_uuid(), 1 / (2 - n), 'x', 'x'"
                " FROM generate_series(1, 2) AS n"
            )
        venue.sell(100, 1)
        engine.follow()
    ids = [each.id for each in venue.market.matching.recorder.select_notifications(1, 100)]
    assert len(ids) < ids[-1]
    trades = venue.market.trade_view.recorder.trades(limit=10)
    assert sorted(trade.position for trade in trades) == ids[-3:]
    check(venue)


@pytest.mark.parametrize("table", ["book_view.levels", "trade_view.trades", "order_view.orders"])
def test_locked_view_goes_on_alone_and_joins_again(
    venue: Venue, engine: Engine, table: str
) -> None:
    trade(venue, seed=12, commands=30)
    engine.follow()
    joined = list(engine.fused.views)
    trade(venue, seed=13, commands=30)
    with held(venue, f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"):
        engine.follow()
        is_of_one = any(table.startswith(view.recorder.datastore.schema) for view in joined)
        assert engine.fused.views == ([] if is_of_one else joined)
        decided = venue.market.orders.recorder.max_tracking_id(Matching.name)
        assert decided == venue.market.matching.recorder.max_notification_id()
    for view in set(joined) - set(engine.fused.views):
        view.forget()
        assert engine.fused.join(view)
    trade(venue, seed=14, commands=30)
    engine.follow()
    assert set(engine.fused.views) == set(joined)
    check(venue)


def test_placing_does_not_wait_for_rows_of_views(
    venue: Venue, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of Orders, which HTTP writes too, is locked after everything else is written."""
    monkeypatch.setattr(
        fusion, "_VIEWS_WAIT", Call("set_config('lock_timeout', %s, true)", ["60s"])
    )
    trade(venue, seed=15, commands=5)
    engine.join()
    with ThreadPoolExecutor() as pool:
        with held(venue, "LOCK TABLE trade_view.trades, book_view.books IN ACCESS EXCLUSIVE MODE"):
            batch = pool.submit(engine.fused.process_batch, 500)
            eventually(lambda: somebody_waits(venue), 60)
            assert venue.place(Side.BUY, 1, 1).position == 6
            assert not batch.done()
        assert batch.result(60) == 5
    engine.follow()
    check(venue)


def somebody_waits(venue: Venue) -> bool:
    with venue.connect() as other:
        return bool(other.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall())


def test_joint_transaction_commits_synchronously_whatever_is_preset(
    venue: Venue, engine: Engine
) -> None:
    """Views that commit alone do not: within the joint one that must not be said."""
    with venue.connect() as connection:
        preset_setting(connection, "synchronous_commit", "off")
        for log in ("orders_events", "matching_events"):  # noted at the commit
            connection.execute(
                f"""CREATE TABLE {log}_commits (setting text);
                CREATE FUNCTION {log}_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    INSERT INTO {log}_commits VALUES (current_setting('synchronous_commit'));
                    RETURN NULL;
                END $$;
                CREATE CONSTRAINT TRIGGER note AFTER INSERT ON {log}
                    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {log}_note()"""
            )
        trade(venue, seed=18, commands=20)
        engine.follow()
        assert len(engine.fused.views) == len(views(engine.market))
        for log in ("orders_events", "matching_events"):
            rows = connection.execute(f"SELECT setting FROM {log}_commits").fetchall()
            assert {row["setting"] for row in rows} == {"on"}


def test_views_that_lost_their_commits_in_a_crash_catch_up_before_they_join(
    short_dir: Path,
) -> None:
    """A view that commits alone does not wait for the disk: its rows go with its position."""
    put_cluster(short_dir)
    with EmbeddedPostgres(short_dir, durable=False) as postgres:
        env = database_env(postgres.url)
        create_tables(patient(env))
        with connect(env) as connection:
            connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            connection.execute("ALTER SYSTEM SET wal_writer_flush_after = '128MB'")
            connection.execute("SELECT pg_reload_conf()")
        with closing(build(patient(env))) as market:
            venue = Venue(market, env)
            trade(venue, seed=16, commands=30)
            venue.settle()
            placed = venue.buy(50, 1)
            market.matching.pull_and_process("Orders")
            market.orders.pull_and_process("Matching")
            for view in views(market):
                view.process_batch(*view.readers)
            assert len(have(market)) == 1
            kill_all(short_dir)
        postgres.stop()
        postgres.start()
        with closing(build(patient(env))) as market:
            check_joining(Venue(market, env), placed)


def check_joining(venue: Venue, placed: UUID) -> None:
    """The views are behind; they catch up, and join."""
    assert len(have(venue.market)) == 2
    with closing(Engine(venue)) as engine:
        engine.follow()
        assert len(engine.fused.views) == len(views(engine.market))
    assert len(have(venue.market)) == 1
    assert venue.market.orders.get(placed).status is OrderStatus.OPEN
    check(venue)
