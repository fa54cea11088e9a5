"""The HTTP API: see docs/api.md."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from flask import Flask

from application.persistence.database_clock import DatabaseClock
from interface.http.commands import Commands
from interface.http.health import Health
from interface.http.lag import Lag
from interface.http.problems import register
from interface.http.queries import Queries
from interface.http.venue import VenueCommands
from interface.http.waiting import Waiting
from interface.http.wsgi import Api
from interface.listening import Bell, PublishedLog
from system import Market

log = logging.getLogger(__name__)


def create_app(  # noqa: PLR0913 - what it serves, and the limits it keeps
    market: Market,
    bell: Bell,
    clock: DatabaseClock,
    *,
    http_threads: int,
    max_lag_seconds: float,
    read_wait_seconds: float,
    published: Sequence[PublishedLog] = (),
    new_id: Callable[[], UUID] = uuid4,
    books_ahead: Callable[[], Mapping[str, datetime]] = dict,
    end: Callable[[str], None] = log.error,
) -> Flask:
    """The application that serves a market.

    ``http_threads`` is how many requests the server handles at a time. The market, the bell
    and the clock belong to the caller, who has started the bell and has the clock measure.
    ``books_ahead`` returns the times of books that are ahead of the database's clock. ``end`` is
    called with the reason when the database belongs to another release.
    """
    waiting = Waiting(bell, http_threads, read_wait_seconds)
    max_lag = timedelta(seconds=max_lag_seconds)
    lag = Lag(market.matching, clock, max_lag)
    commands = Commands(market, waiting, lag, clock, new_id)
    venue = VenueCommands(market, waiting, clock, new_id)
    queries = Queries(market, waiting)
    health = Health(market, clock, max_lag, books_ahead, published)

    app = Api(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # a path is right or unknown; nothing is redirected
    register(app, end)
    for method, path, handler in (
        ("POST", "/orders", commands.place),
        ("POST", "/orders/batch", commands.place_batch),
        ("PATCH", "/orders/<order_id>", commands.amend),
        ("DELETE", "/orders/<order_id>", commands.cancel),
        ("DELETE", "/orders", venue.mass_cancel),
        ("PUT", "/instruments/<asset>", venue.change_instrument),
        ("PUT", "/users/<user_id>", venue.change_user),
        ("POST", "/books/<asset>/reset-time", venue.reset_time),
        ("GET", "/orders", queries.orders),
        ("GET", "/orders/<order_id>", queries.order),
        ("GET", "/orders/<order_id>/events", queries.events),
        ("GET", "/books/<asset>", queries.book),
        ("GET", "/trades", queries.trades),
        ("GET", "/instruments", queries.instruments),
        ("GET", "/instruments/<asset>", queries.instrument),
        ("GET", "/health", health.alive),
        ("GET", "/ready", health.ready),
    ):
        app.add_url_rule(
            path,
            f"{method} {path}".replace(".", ""),
            handler,
            methods=[method],
            provide_automatic_options=False,
        )
    return app
