"""Maintenance of the database by the command line, with or without a running service."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, Final
from uuid import UUID

import msgspec
from eventsourcing.application import AggregateNotFoundError

from application.differences import Inconsistent
from application.messages import message
from application.persistence.rights import grant
from application.persistence.snapshot import Snapshot
from application.persistence.standstills import Standstills, current
from application.verify import Verifier
from application.verify_snapshots import RecentVerifier
from application.views.rebuild import Fill, nothing, rebuild
from domain.values import book_id
from interface.database import telling_why, usable_database
from interface.postgres import database
from interface.settings import Settings
from system import VIEWS, build, leaders_of, parts_of

_PATIENCE_SECONDS: Final = 5.0  # somebody waits at the terminal

Bar = Callable[[str, int], AbstractContextManager[Any]]  # label, length -> click's bar


@contextmanager
def database_of(settings: Settings) -> Iterator[dict[str, str]]:
    """The library's environment for the service's database, started where nothing runs."""
    with database(settings) as url, telling_why():
        yield usable_database(url, settings, warn=False, patience=_PATIENCE_SECONDS)


def grant_all(env: Mapping[str, str], roles: Iterable[str]) -> None:
    """Give each role the rights that it takes to serve the market."""
    for role in roles:
        grant(env, parts_of(env), role)


def order_events(env: Mapping[str, str], order_id: UUID) -> list[str]:
    """An order's events and the requests about it, in the order of the log, as JSON."""
    with closing(build(env)) as market:
        requests = market.order_view.recorder.request_ids(order_id)
        try:
            trail = market.orders.trail(order_id, requests)
        except AggregateNotFoundError:
            return []
        return [_readable(event) for event in trail]


def book_events(env: Mapping[str, str], asset: str) -> list[str]:
    """Return the decisions of an asset's book, first to last, as JSON."""
    with closing(build(env)) as market:
        return [_readable(event) for event in market.matching.events.get(book_id(asset))]


def rebuild_view(env: Mapping[str, str], name: str, bar: Bar, fill: Fill = nothing) -> None:
    """Rebuild a view. Raises Busy where that is under way already, and the errors of ``fill``."""
    view_class = VIEWS[name]
    with closing(build(env)) as market:
        leaders = leaders_of(market, view_class)
        [view] = [app for app in market if isinstance(app, view_class)]
        with Snapshot.take(env) as snapshot:
            counts = [snapshot.count(each.recorder, view.topics_of(each.name)) for each in leaders]
        length = sum(counts)
        with bar(f"Rebuilding {name}", length) as progress:
            rebuild(view_class, leaders, progress.update, fill)


def verify_all(env: Mapping[str, str], bar: Bar) -> str | None:
    """The first difference between the log and what is stored; None: consistent."""
    with closing(build(env)) as market, Snapshot.take(env) as snapshot:
        counting = Verifier(snapshot, market.orders, market.matching)
        with bar("Verifying", counting.length()) as progress:
            verifier = Verifier(snapshot, market.orders, market.matching, progress.update)
            try:
                verifier.verify(market.order_view, market.book_view, market.trade_view)
            except Inconsistent as difference:
                return str(difference)
    return None


def verify_recent(env: Mapping[str, str], bar: Bar) -> str | None:
    """Verify the decisions since the newest snapshots, as ``verify_all`` does all."""
    with closing(build(env)) as market, Snapshot.take(env) as snapshot:
        counting = RecentVerifier(snapshot, market.orders, market.matching)
        with bar("Verifying", counting.length()) as progress:
            verifier = RecentVerifier(snapshot, market.orders, market.matching, progress.update)
            try:
                verifier.verify()
            except Inconsistent as difference:
                return str(difference)
    return None


def standing_still(env: Mapping[str, str], publishers: Collection[str]) -> list[str]:
    """Return a sentence on each view or worker that can't go on, as recorded by them."""
    with closing(build(env)) as market:
        views = (market.order_view, market.book_view, market.trade_view)
        parked = {view.name: view.recorder.parked() for view in views}
        workers = current(Standstills(market.orders.recorder.datastore).all(), publishers)
    return [
        *(f"{name} is parked: {reason}" for name, reason in parked.items() if reason),
        *map(str, workers),
    ]


def _readable(event: Any) -> str:
    """The public message of an event, as JSON."""
    return msgspec.json.encode(message(event)).decode()
