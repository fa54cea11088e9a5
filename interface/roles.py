"""The roles of processes: the whole service, the engine, snapshots, or HTTP."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Collection, Mapping
from functools import partial
from typing import Final, NoReturn

import click

from application.matching import Matching
from application.orders import Orders
from application.persistence.datastore import SILENCE_SECONDS, STATEMENT_SECONDS
from application.persistence.standstills import WorkerState
from interface.child import has_supervisor, tell_supervisor
from interface.clock import Clock
from interface.connections import SNAPSHOTS_POOL, Need
from interface.database import telling_why, usable_database
from interface.engine import Engine, MakeFollowing, Others, no_others, tune_garbage_collection
from interface.errors import CannotStartError
from interface.following import Following
from interface.process import die_with_supervisor, keep_to_one_cpu
from interface.settings import Settings
from interface.snapshotting import take_snapshots
from interface.supervisor import run_all
from system import FOLLOWERS, VIEWS

log = logging.getLogger(__name__)

# The followers that a process runs. They share nothing with others but their log in PostgreSQL,
# so they may be anywhere.
ENGINES: Final[Mapping[str, Collection[str]]] = {
    "engine": FOLLOWERS,
    "matching": (Matching.name,),
    "orders": (Orders.name,),
    "views": tuple(view.name for view in VIEWS.values()),
    "publisher": (),
    "orders-publisher": (),
    "matching-publisher": (),
}
# The leaders whose logs a role publishes, if there is a Kafka to publish to.
_PUBLISHING: Final[Mapping[str, Collection[str]]] = {
    "engine": (Orders.name, Matching.name),
    "publisher": (Orders.name, Matching.name),
    "orders-publisher": (Orders.name,),
    "matching-publisher": (Matching.name,),
}
# Those of a role's followers that take their leader's log from Kafka then, each with the
# partitions that it is given: any number of processes share the work.
_VIEWS: Final = tuple(view.name for view in VIEWS.values())
_CONSUMING: Final[Mapping[str, Collection[str]]] = {
    "engine": _VIEWS,
    "views": _VIEWS,
    "matching": (Matching.name,),
}

# A request that waits in the database for longer is answered with 503: the database ends a
# statement that takes so long, and one that is silent is cut off.
_REQUEST_LIMITS: Final = {STATEMENT_SECONDS: "2.5", SILENCE_SECONDS: "3"}
_NICE = 10


def run(settings: Settings, role: str, *, demo: bool) -> int:
    """Run a role to its end, and return the exit code."""
    if role == "all":
        return run_all(settings, demo=demo)
    die_with_supervisor()
    try:
        with telling_why():
            return _run_part(settings, role)
    except CannotStartError as error:
        if not tell_supervisor(str(error)):
            click.echo(f"ome: {error}", err=True)
        return error.exit_code


def _run_part(settings: Settings, role: str) -> int:
    if role.endswith("publisher") and settings.kafka_bootstrap_servers is None:
        log.error("this role needs KAFKA_BOOTSTRAP_SERVERS", extra={"role": role})
        return 2
    if settings.database_url is None:
        log.error("this role needs DATABASE_URL", extra={"role": role})
        return 2
    url = settings.database_url.get_secret_value()
    need = Need.of(role, settings.http_workers)
    env = usable_database(url, settings, need, warn=not has_supervisor())
    if not has_supervisor():
        log.info("this role takes %s", need)
    if role in ENGINES:
        if settings.keep_to_one_cpu and role == "engine":
            # HTTP workers count from the other end. Of the parts there may be any number on a
            # machine, which know nothing of each other.
            keep_to_one_cpu(-1)
        return _run_engine(settings, env, role)
    if role == "snapshots":
        _run_snapshots(settings, {**env, "POSTGRES_MAX_OVERFLOW": str(SNAPSHOTS_POOL - 1)})
    from interface.http.server import serve  # noqa: PLC0415 - the engine needs no HTTP server

    serve(settings, {**env, **_REQUEST_LIMITS})
    return 0


def _run_engine(settings: Settings, env: dict[str, str], role: str) -> int:
    tune_garbage_collection()
    others: Others = no_others
    make: MakeFollowing = Following
    if settings.kafka_bootstrap_servers is not None:
        from interface.kafka import consuming, publishing  # noqa: PLC0415 - only where there is Kafka

        if role in _PUBLISHING:
            others = publishing(settings, env, _PUBLISHING[role])
        make = consuming(settings, _CONSUMING.get(role, ()))
    engine = Engine(env, settings.batch_size, ENGINES[role], others, make)
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: engine.stop())
    engine.start()
    stopping = threading.Event()
    if Orders.name in ENGINES[role]:
        state = WorkerState(engine.standstills, "clock")
        Clock(env, stopping, partial(engine.is_at_work, Orders.name), state=state).start()
    log.info("engine started")
    engine.join()
    stopping.set()
    log.info("engine stopped")
    return 0


def _run_snapshots(settings: Settings, env: dict[str, str]) -> NoReturn:
    """Until it is told to stop: whatever it is at then, nothing is lost with it."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: sys.exit(0))
    os.nice(_NICE)  # the market goes first
    take_snapshots(env, settings.snapshot_every)
