"""The supervisor of `ome run`: it starts the database and the service, and watches them."""

import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

import click
import httpx

from interface.child import Child, Endings
from interface.connections import Need
from interface.data_dir import DataDirLock
from interface.database import usable_database
from interface.errors import DATABASE_UNUSABLE, CannotStartError, ServiceFailedError
from interface.port import base_url, reserve_port
from interface.postgres import EmbeddedPostgres
from interface.settings import Settings

# -P: the working directory may hold modules named like ours, or like Python's own.
_OME: Final = (sys.executable, "-P", "-m", "order_matching_engine")
# In the order of their start; they stop in the opposite one.
COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "engine": (*_OME, "run", "--role", "engine"),
    "snapshots": (*_OME, "run", "--role", "snapshots"),
    "api": (*_OME, "run", "--role", "api"),
    "traders": (*_OME, "traders"),
}
# These need a service that answers, and are there only for the demo.
_DEMO: Final = ("traders",)

# Seconds.
_PORT_PATIENCE: Final = 5.0  # after kill -9 the HTTP server takes a moment to follow
_POLL: Final = 0.1
_ONE_STOP: Final = 0.5  # seconds
_ORDER: Final = (
    '{"userId":"user123","asset":"BTC-USD","type":"BUY","price":45000.00,"quantity":1.5}'
)

_log = logging.getLogger(__name__)


def run_all(
    settings: Settings, *, demo: bool, commands: Mapping[str, Sequence[str]] = COMMANDS
) -> int:
    """Run the service until SIGINT or SIGTERM and give the exit code: 0, or that of the reason.

    If a process can't start, or can't stay up, the standard error says why.
    """
    with StopSignals() as stop:
        try:
            with ExitStack() as stack:
                return _Service(settings, stop, stack).run(demo=demo, commands=commands)
        except CannotStartError as error:
            if stop.requested():
                return 0
            click.echo(f"ome: {error}", err=True)
            return error.exit_code


class StopSignals:
    """A count of the signals to stop, which don't interrupt the program anywhere."""

    def __init__(self) -> None:
        self._count = 0
        self._last = -_ONE_STOP
        self._former: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup has SIGHUP ignored, and means it.
            if sign != signal.SIGHUP or signal.getsignal(sign) != signal.SIG_IGN:
                self._former[sign] = signal.signal(sign, self._add)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sign, handler in self._former.items():
            signal.signal(sign, handler)  # type: ignore[arg-type]

    def _add(self, _sign: int, _frame: FrameType | None) -> None:
        # Some send one stop as two signals: to the process, and to its group.
        now = time.monotonic()
        if now - self._last >= _ONE_STOP:
            self._count += 1
        self._last = now

    def requested(self) -> bool:
        return self._count > 0

    def forced(self) -> bool:
        """Tell whether it was asked for twice: somebody has no time for an orderly stop."""
        return self._count > 1


class EndedForGood(CannotStartError):
    """A process can't work with the database, and starting it again would not change that."""

    exit_code = DATABASE_UNUSABLE


class _Service:
    """All that runs; the exit stack stops it in the opposite order of its start."""

    def __init__(self, settings: Settings, stop: StopSignals, stack: ExitStack) -> None:
        self._settings = settings
        self._stop = stop
        self._stack = stack
        self._url = base_url(settings.host, settings.port)
        self._env = os.environ | settings.environment()
        self._postgres: EmbeddedPostgres | None = None
        self._postgres_endings = Endings()
        self._running: list[Child] = []
        self._waiting: dict[str, Sequence[str]] = {}

    def run(self, *, demo: bool, commands: Mapping[str, Sequence[str]]) -> int:
        embedded = self._settings.database_url is None
        if embedded:
            self._stack.enter_context(DataDirLock(self._settings.data_dir))
        self._stack.enter_context(
            reserve_port(
                self._settings.host,
                self._settings.port,
                patience=_PORT_PATIENCE,
                cancelled=self._stop.requested,
            )
        )
        if embedded:
            self._start_postgres()
        # The check is here, before there are any processes, so that each fault is reported once.
        need = Need.of("all", self._settings.http_workers)
        usable_database(
            self._env["DATABASE_URL"],
            self._settings,
            need,
            warn=not embedded,
            cancelled=self._stop.requested,
        )
        _log.info("the service takes %s", need)
        for name, command in commands.items():
            if name not in _DEMO:
                self._start_child(name, command)
            elif demo:
                self._waiting[name] = command
        announced = False
        while not self._stop.requested():
            self._keep_running()
            if not announced and _answers(self._url):
                announced = True
                for name, command in self._waiting.items():
                    self._start_child(name, command)
                click.echo(_what_to_try(self._url))
            time.sleep(_POLL)
        _log.info("stopping")
        return 0

    def _start_postgres(self) -> None:
        self._postgres = EmbeddedPostgres(self._settings.data_dir, cancelled=self._stop.requested)
        self._stack.callback(self._postgres.stop, self._stop.forced)
        self._postgres_endings.start()
        self._postgres.start()
        self._env["DATABASE_URL"] = self._postgres.url

    def _start_child(self, name: str, command: Sequence[str]) -> None:
        child = Child(name, command, self._env)
        self._stack.callback(child.stop, self._stop.forced)
        child.start()
        self._running.append(child)

    def _keep_running(self) -> None:
        """Start again what has ended; raise ServiceFailedError for what ends all the time."""
        if self._postgres is not None and not self._postgres.alive():
            _log.error("PostgreSQL ended")
            _count(self._postgres_endings, "PostgreSQL")
            self._postgres_endings.start()
            self._postgres.start()
        for child in self._running:
            if ending := child.ending():
                _log.error("process ended", extra={"role": child.name, "ending": ending})
                child.kill_group()
                if child.code == DATABASE_UNUSABLE and (reason := child.reason()):
                    raise EndedForGood(reason)
                _count(child.endings, f"The process {child.name}")
                child.start()


def _count(endings: Endings, what: str) -> None:
    if endings.add():
        raise ServiceFailedError(
            f"{what} ended {Endings.COUNT} times in a row, each within {Endings.SECONDS:.0f} s."
            " What it said is above."
        )


def _answers(url: str) -> bool:
    try:
        # A proxy that the environment names is not on the way to this machine.
        return httpx.get(f"{url}/health", timeout=1, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _what_to_try(url: str) -> str:
    script = Path(sys.executable).with_name("ome")
    ome = "ome" if shutil.which("ome") else os.path.relpath(script)
    return f"""
The matching engine answers at {url}

  Place an order   curl -s {url}/orders -H 'Content-Type: application/json' -d '{_ORDER}'
  See the book     curl -s {url}/books/BTC-USD
  or               {ome} book BTC-USD
  Stop             Ctrl-C
"""
