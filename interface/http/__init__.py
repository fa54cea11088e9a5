"""The HTTP API: see docs/api.md."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from interface.http.api import Api
from interface.http.commands import Commands
from interface.http.health import Health
from interface.http.lag import Lag
from interface.http.limits import Limits
from interface.http.problems import register
from interface.http.queries import Queries
from interface.http.recording import Recording
from interface.http.venue import VenueCommands
from interface.http.waiting import Waiting
from interface.http.worker import Worker
from interface.listening import PublishedLog

log = logging.getLogger(__name__)


def create_app(  # noqa: PLR0913 - what it serves, and what it calls
    worker: Worker,
    loop: asyncio.AbstractEventLoop,
    limits: Limits,
    *,
    published: Sequence[PublishedLog] = (),
    new_id: Callable[[], UUID] = uuid4,
    books_ahead: Callable[[], Mapping[str, datetime]] = dict,
    end: Callable[[str], None] = log.error,
) -> Api:
    """The application that serves the market of a worker, which the caller starts, on a loop.

    ``books_ahead`` returns the times of books that are ahead of the database's clock. ``end`` is
    called with the reason when the database belongs to another release.
    """
    waiting = Waiting(worker.bell, worker.pool, limits)
    max_lag = timedelta(seconds=limits.max_lag_seconds)
    lag = Lag(worker, max_lag)
    recording = Recording(worker, limits.commit_waits)
    commands = Commands(worker, recording, waiting, lag, new_id)
    venue = VenueCommands(worker, recording, waiting, new_id)
    queries = Queries(worker, waiting)
    health = Health(worker, max_lag, books_ahead, published)

    app = Api(__name__, loop)
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
