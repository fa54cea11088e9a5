"""The whole market on PostgreSQL, with followers that run when a test says so."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from application.differences import Inconsistent
from application.orders import Placement, Receipt
from application.persistence.connection import connect
from application.persistence.following import BatchFollower
from application.persistence.position import PositionMoved
from application.persistence.snapshot import Snapshot
from application.verify import Verifier
from domain.instrument import Instrument
from domain.requests import ExpiryRequest, InstrumentRequest, MassCancelRequest, UserRequest
from domain.values import ALL_ASSETS, Side, Terms
from interface.engine import Engine
from interface.settings import Settings
from system import Market, build, followings
from tests.databases import PATIENT
from tests.kafka.sharing import Kafka

# A machine that tests keep busy stands still for seconds, and whoever has the log's lock with it.
# What engines make of a lock is theirs to show; who only asks waits for it. PostgreSQL itself is
# there: whoever starts gets his connection.
_PATIENCE_TO_START = {"POSTGRES_CONNECT_TIMEOUT": PATIENT["POSTGRES_CONNECT_TIMEOUT"]}


def patient(env: dict[str, str]) -> dict[str, str]:
    """The environment of a market that a test asks, or has work step by step."""
    return {**env, **PATIENT}


@dataclass
class Venue:
    """A market, and short ways to use it; each command comes 1 s after the last."""

    market: Market
    env: dict[str, str]
    now: datetime = field(default=datetime(2024, 2, 9, 12, tzinfo=UTC))

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def place(self, side: Side, price: int | None, quantity: int | None, **terms: Any) -> Receipt:
        terms = {"user_id": "user", "asset": "BTC-USD", **terms}
        placed = Placement(uuid4(), Terms(side=side, price=price, quantity=quantity, **terms))
        return self.market.orders.place(placed, self.tick())

    def buy(self, price: int | None, quantity: int | None, **terms: Any) -> UUID:
        return self.place(Side.BUY, price, quantity, **terms).order.id

    def sell(self, price: int | None, quantity: int | None, **terms: Any) -> UUID:
        return self.place(Side.SELL, price, quantity, **terms).order.id

    def cancel(self, order_id: UUID) -> None:
        self.market.orders.cancel(order_id, uuid4(), self.tick())

    def replace(
        self, order_id: UUID, price: int | None = None, quantity: int | None = None, **changes: int
    ) -> None:
        asked = {"price": price, "quantity": quantity, **changes}
        self.market.orders.replace(order_id, uuid4(), self.tick(), **asked)

    def cancel_all(self, user: str, asset: str = ALL_ASSETS) -> None:
        asked = MassCancelRequest.make(uuid4(), user_id=user, asset=asset, time=self.tick())
        self.market.orders.ask(asked)

    def set_rules(self, asset: str = ALL_ASSETS, **rules: Any) -> None:
        asked = InstrumentRequest.make(
            uuid4(),
            user_id="operator",
            asset=asset,
            instrument=Instrument(**rules),
            time=self.tick(),
        )
        self.market.orders.ask(asked)

    def suspend(self, user: str, *, is_suspended: bool = True) -> None:
        asked = UserRequest.make(
            uuid4(), user_id=user, asset=ALL_ASSETS, is_suspended=is_suspended, time=self.tick()
        )
        self.market.orders.ask(asked)

    def pass_time(self, asset: str, time: datetime) -> None:
        """The clock says what the time is."""
        self.now = max(self.now, time)
        self.market.orders.ask(ExpiryRequest.make(uuid4(), user_id="clock", asset=asset, time=time))

    def settle(self) -> None:
        """Has every follower process what waits, until nothing does."""
        while sum(process(follower) for follower in self.market):
            pass

    def trade_a_little(self) -> None:
        """Orders of all fates, in two books."""
        for asset in ("BTC-USD", "ETH-USD"):
            ids = [self.buy(price, 5, asset=asset) for price in (98, 99, 100, 100)]
            self.sell(99, 8, asset=asset)
            self.settle()
            self.replace(ids[1], 101, None)
            self.replace(ids[0], None, 4)
            self.cancel(ids[3])
            self.sell(101, 20, asset=asset)
            self.settle()

    def difference(self) -> str | None:
        with Snapshot.take(self.env) as snapshot:
            market = self.market
            verifier = Verifier(snapshot, market.orders, market.matching)
            try:
                verifier.verify(market.order_view, market.book_view, market.trade_view)
            except Inconsistent as found:
                return str(found)
        return None

    def connect(self) -> psycopg.Connection[dict[str, Any]]:
        return connect(self.env)

    def end_sessions_that_wait(self) -> int:
        """Ends the sessions in this database that wait for a lock; how many there were."""
        with self.connect() as connection:
            return connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).rowcount

    def end_all_sessions(self) -> None:
        """Ends them, and waits until they are gone."""
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        with self.connect() as connection:
            ended = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE "
            connection.execute(ended + others)

    def execute(self, statement: str) -> None:
        with self.market.orders.recorder.datastore.get_connection() as connection:
            connection.execute(statement)


@contextmanager
def at_work(*engines: Engine) -> Iterator[None]:
    """Has engines run, whatever becomes of the test: their threads would keep its process."""
    for engine in engines:
        engine.start()
    try:
        yield
    finally:
        for engine in engines:
            engine.stop()
    for engine in engines:
        engine.join()


def has_followed_all(market: Market) -> bool:
    return not any(follower.pending(leader, limit=1) for follower, leader in followings(market))


def process(follower: BatchFollower) -> int:
    """As a runner does: who was overtaken looks again."""
    try:
        return follower.process_batch(*follower.readers)
    except PositionMoved:
        return follower.process_batch(*follower.readers)


@pytest.fixture(autouse=True)
def patience_with_kafka(request: pytest.FixtureRequest) -> Iterator[None]:
    """The Kafka that all tests share is there, however long it takes to answer."""
    if "kafka" not in request.fixturenames:
        yield
        return
    from interface.kafka import topics  # noqa: PLC0415 - most tests have no Kafka

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topics, "_SECONDS", 60)
        yield


@pytest.fixture
def venue(market_template: str, library_env: dict[str, str]) -> Iterator[Venue]:
    with closing(build(patient(library_env))) as market:
        yield Venue(market, {**library_env, **_PATIENCE_TO_START})


@pytest.fixture
def settings(kafka: Kafka, topic_prefix: str, patience_with_kafka: None) -> Settings:
    """Of a service whose topics are there, in three partitions."""
    from tests.integration.feeding import on  # noqa: PLC0415 - it imports this module

    return on(kafka.bootstrap_servers, topic_prefix)
