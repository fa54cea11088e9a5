"""The wiring of applications to those that they follow, in one place."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final, NamedTuple, TypeVar

from eventsourcing.system import System
from eventsourcing.utils import get_topic

from application.matching import Matching
from application.orders import Orders
from application.persistence.datastore import ENGINE_POOL, Factory
from application.persistence.following import BatchFollower
from application.persistence.migrations import Part
from application.persistence.publisher_tables import publisher_part
from application.persistence.recorder import EventRecorder
from application.persistence.rights import open_market
from application.persistence.schemas import schema_of
from application.persistence.standstills import Standstills
from application.persistence.user_assets import MatchingRecorder
from application.publishing import FEEDS
from application.views.books import BookView
from application.views.order_upgrade import second_leader
from application.views.orders import OrderView
from application.views.trades import TradeView

PIPES: Final = (
    (Orders, Matching, Orders),
    (Orders, OrderView),
    (Matching, OrderView),
    (Matching, BookView),
    (Matching, TradeView),
)

VIEWS: Final = {"orders": OrderView, "books": BookView, "trades": TradeView}

FOLLOWERS: Final = (Matching.name, Orders.name, *(view.name for view in VIEWS.values()))

ENV: Final = {
    "PERSISTENCE_MODULE": f"{Factory.__module__}:{Factory.__qualname__}",
    "PROCESS_RECORDER_TOPIC": get_topic(EventRecorder),
    "MATCHING_PROCESS_RECORDER_TOPIC": get_topic(MatchingRecorder),
    # Seconds that anybody waits for a connection from the pool, and for the lock of a log.
    "POSTGRES_CONNECT_TIMEOUT": "1",
    "POSTGRES_LOCK_TIMEOUT": "1",
    # The pool is that of the whole process: connections at rest, and how many more it may have.
    "POSTGRES_POOL_SIZE": "1",
    "POSTGRES_MAX_OVERFLOW": str(ENGINE_POOL - 1),
    "CREATE_TABLE": "n",
}


Alone = TypeVar("Alone", bound=BatchFollower)


class Market(NamedTuple):
    """The applications, each following its leader's log."""

    orders: Orders
    matching: Matching
    order_view: OrderView
    book_view: BookView
    trade_view: TradeView

    def close(self) -> None:
        for application in self:
            application.close()


def system() -> System:
    return System(PIPES)


def create_tables(env: Mapping[str, str]) -> list[int]:
    """Make the database ready for this release, and return the schema versions applied.

    Safe to do again, and by several at once. Raises SchemaUnusable, in one sentence.
    """
    return open_market(env, parts_of(env))


def parts_of(env: Mapping[str, str]) -> list[Part]:
    """Return all that the market has in its database."""
    with closing(build(env)) as market:
        recorders: list[Any] = [app.recorder for app in market]
        recorders.append(market.matching.snapshots.recorder)
        recorders.append(Standstills(market.orders.recorder.datastore))
        parts: list[Part] = [recorder.part() for recorder in recorders]
        parts.append(second_leader(market.order_view.recorder, market.orders.recorder))
    return [*parts, *(publisher_part(schema_of(env), leader) for leader in FEEDS)]


def build(env: Mapping[str, str]) -> Market:
    """Construct the applications, and their tables only if ``env`` says CREATE_TABLE.

    ``env`` is the library's, with the connection string of libpq: see interface.database_url.
    """
    wiring = system()
    apps: dict[str, Any] = {
        name: wiring.follower_cls(name)({**ENV, **env}) for name in wiring.followers
    }
    for leader, follower in wiring.edges:
        apps[follower].follow(leader, apps[leader].notification_log)
    return Market(
        orders=apps[Orders.name],
        matching=apps[Matching.name],
        order_view=apps[OrderView.name],
        book_view=apps[BookView.name],
        trade_view=apps[TradeView.name],
    )


def build_alone(env: Mapping[str, str], application: type[Alone]) -> Alone:
    """One application that follows nobody, for who only reads what it has, or adds to it."""
    return application({**ENV, **env})


def leaders_of(market: Market, follower: type[BatchFollower]) -> list[Orders | Matching]:
    """Return those whose logs a follower follows, in the order of PIPES."""
    leaders = {app.name: app for app in (market.orders, market.matching)}
    return [leaders[leader] for leader, name in system().edges if name == follower.name]


def followings(market: Market) -> list[tuple[BatchFollower, str]]:
    """Each follower with the names of the leaders that it follows, in the order of PIPES."""
    followers: dict[str, BatchFollower] = {app.name: app for app in market}
    return [(followers[name], leader) for leader, name in system().edges]
