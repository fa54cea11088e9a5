"""The whole service under load, engine and views included, on the cores of the load tool.

Beside it, in turns and in the same minutes: another checkout of it, and a known engine (peer.py).
Closed loop: POST /orders by wrk over 1, 16 and 64 connections, with the processor time of an order
until all views show it. Reads over 64. Open loop: 1 000 orders a second, POST -> fill visible by
GET. And one client with `Prefer: wait`, in turns with bare commits on the same disk.
"""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import psycopg

from benchmarks.http_figures import Found, details, figures
from benchmarks.http_load import closed_loop, open_loop, order_paths, until_shown, wait_and_commit
from benchmarks.measuring import (
    ROOT,
    Report,
    commit,
    conditions,
    in_turns,
    output,
    publish,
    tell,
)
from benchmarks.peer import Peer, PeerService, peer_options
from benchmarks.running import ProcessorTime, directory, fresh_database, postgres
from benchmarks.service import Service
from benchmarks.workload import ASSETS
from interface.postgres import EmbeddedPostgres

CONNECTIONS = (1, 16, 64)
RATE = 1_000  # orders a second, in the open loop

_WARM_UP = (4, 2)  # connections, seconds
_BOOKS = [f"/books/ASSET-{number}" for number in range(ASSETS)]


class Settings(NamedTuple):
    """As the options say it."""

    runs: int
    seconds: int
    waits: int
    before: Path | None
    peer: bool
    peer_python: str | None
    verify: bool


def run_service(server: EmbeddedPostgres, checkout: Path, settings: Settings) -> Found:
    """A run of a checkout of ours, in a database of its own."""
    found = Found()
    with fresh_database(server.url) as url:
        service = Service(url, checkout=checkout)
        with service.child:
            service.wait_until_ready()
            closed_loop(service.port, *_WARM_UP)
            asyncio.run(until_shown(service.port))
            for connections in CONNECTIONS:
                tell(f"  {connections} connections")
                _place(found, service, server.pid, connections, settings.seconds)
            tell("  reads")
            orders = asyncio.run(order_paths(service.port))
            for name, paths in (("GET /books", _BOOKS), ("GET /orders/{id}", orders)):
                read = closed_loop(service.port, 64, settings.seconds, "get", paths)
                found.closed(f"{name}, 64", read)
            tell(f"  {RATE} orders/s, open loop")
            found.opened(RATE, open_loop(service.port, RATE, settings.seconds))
            tell("  Prefer: wait")
            found.waited(*asyncio.run(wait_and_commit(service.port, url, settings.waits)))
            asyncio.run(until_shown(service.port))
            if settings.verify:
                found.details["consistent"] = service.verify()
        service.close()
    return found


def _place(
    found: Found, service: Service, postgres_pid: int, connections: int, seconds: int
) -> None:
    """Place orders, and count the processor time of all processes until all views show them."""
    roles = service.roles()
    used = ProcessorTime(
        {
            "all": service.child.pid,  # the supervisor with all that it started
            "API": roles["api"],
            "engine": roles["engine"],
            "PostgreSQL": postgres_pid,
        }
    )
    placed = closed_loop(service.port, connections, seconds)
    asyncio.run(until_shown(service.port))
    parts = used.seconds()
    parts["all"] += parts["PostgreSQL"]
    found.closed(f"POST, {connections}", placed)
    found.processor_time(str(connections), parts, placed["accepted"])


def run_peer(peer: Peer, seconds: int) -> Found:
    """A run of the peer, in a directory of its own on the disk that the databases are on."""
    found = Found()
    with directory() as path:
        service = PeerService(peer, path)
        with service.child:
            service.wait_until_ready()
            closed_loop(service.port, *_WARM_UP, "peer")
            for connections in CONNECTIONS:
                tell(f"  {connections} connections")
                used = ProcessorTime({"all": service.child.pid})
                placed = closed_loop(service.port, connections, seconds, "peer")
                found.closed(f"POST, {connections}", placed)
                found.processor_time(str(connections), used.seconds(), placed["accepted"])
    return found


def measure(settings: Settings) -> Report:
    beside: dict[str, Any] = {}
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        candidates: dict[str, Callable[[], Found]] = {
            "ours": partial(run_service, server, ROOT, settings)
        }
        if settings.before:
            candidates["before"] = partial(run_service, server, settings.before, settings)
            beside["before"] = commit(settings.before)
        peer = stack.enter_context(Peer.if_there(settings.peer_python)) if settings.peer else None
        if peer:
            candidates["peer"] = partial(run_peer, peer, settings.seconds)
        beside["peer"] = peer.conditions if peer else "not measured"
        found = in_turns(settings.runs, candidates)
        with psycopg.connect(server.url) as connection:
            where = conditions(connection)
    shown = {name: getattr(settings, name) for name in ("runs", "seconds", "waits")}
    return Report("http", shown, figures(found), where, details(found) | {"others": beside})


@click.command()
@click.option("--runs", default=3, help="Of each candidate.")
@click.option("--seconds", default=15, help="Of each load.")
@click.option("--waits", default=1_000, help="Requests with Prefer: wait.")
@click.option(
    "--before",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="Another checkout with a .venv of its own, to compare with.",
)
@peer_options
@click.option("--verify", is_flag=True, help="Decide everything again at the end of each run.")
@output
def main(results: Path, *, as_json: bool, **settings: Any) -> None:
    """Measure requests a second, latencies and processor time of the whole service."""
    if shutil.which("wrk") is None:
        raise click.ClickException(
            "wrk is not there: install it (apt install wrk, brew install wrk)"
        )
    publish(measure(Settings(**settings)), results, as_json=as_json)
