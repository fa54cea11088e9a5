"""A known engine to compare with: the package matching-engine, in an environment of its own.

It is a price-time book behind FastAPI and uvicorn, with a log in a file. By itself it calls fsync
once for a group of commands and answers after that (its setting ``ME_FSYNC``, which is on here).
It needs a newer Python than ours may be.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from uuid import UUID

import click

from benchmarks.book import Cancel, Operation
from benchmarks.measuring import tell
from benchmarks.running import Child, directory
from benchmarks.service import free_port, until_ready
from benchmarks.workload import ASSETS

VERSION = "0.1.1"

_PYTHONS = ("python3.12", "python3.13", "python3.14")  # the nearest to ours first
_INSTALL_SECONDS = 300


class NoPeer(Exception):
    """The package can't be had here."""


class Peer:
    """The installed package: its server, and its book in memory."""

    def __init__(self, python: str) -> None:
        self._python = python
        version = subprocess.run([python, "-V"], check=True, capture_output=True, text=True).stdout
        self.conditions = {
            "package": f"matching-engine {VERSION}",
            "python": version.split()[-1],
            "fsync": "by itself, before its answers, once for a group of commands",
        }

    def child(self, *arguments: str, env: dict[str, str] | None = None) -> Child:
        """Start a module in its environment."""
        return Child(arguments, env, self._python)

    @classmethod
    @contextmanager
    def if_there(cls, python: str | None) -> Iterator[Self | None]:
        """Install it into a temporary environment; None, and a line that says so, if it fails."""
        with directory() as path:
            try:
                installed: Self | None = cls(_install(python or _python(), path))
            except (OSError, subprocess.SubprocessError, NoPeer) as error:
                tell(f"The peer is not measured: {error}")
                installed = None
            yield installed


class PeerService:
    """Its server with the assets of the workload, on a port and a directory of its own."""

    def __init__(self, peer: Peer, path: Path) -> None:
        self.port = free_port()
        markets = ",".join(f"ASSET-{number}:0.01:0.001" for number in range(ASSETS))
        self.child = peer.child(
            *("matching_engine", "serve", "--port", str(self.port)),
            env={"ME_DATA_DIR": str(path), "ME_MARKETS": markets, "ME_FSYNC": "1"},
        )

    def wait_until_ready(self) -> None:
        until_ready(self.child, f"http://127.0.0.1:{self.port}/healthz")


def encoded(operations: Sequence[Operation]) -> str:
    """The operations of a book as one line for `peer_book.py`: ids and accounts are numbers."""
    numbers: dict[UUID, int] = {}
    users: dict[int, int] = {}
    rows: list[list[object]] = []
    for number, operation in enumerate(operations, start=1):
        if isinstance(operation, Cancel):
            order = numbers[operation.order_id]
            rows.append([order, users[order]])
            continue
        user = int(operation.user_id.rpartition("-")[2]) + 1
        numbers[operation.order_id] = number
        users[number] = user
        rows.append(
            [
                *(number, user, operation.side.value.lower()),
                *(operation.price, operation.quantity, operation.stays),
            ]
        )
    return json.dumps(rows)


def peer_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of benchmarks with the peer: ``peer`` and ``peer_python``."""
    command = click.option(
        "--peer-python", envvar="PEER_PYTHON", help="A Python for the peer, 3.12 or later."
    )(command)
    return click.option(
        "--peer/--no-peer", default=True, help="Compare with the package matching-engine."
    )(command)


def _install(python: str, path: Path) -> str:
    """Return the Python of an environment below ``path`` that has the package."""
    own = str(path / "bin/python")
    package = f"matching-engine[gateway]=={VERSION}"
    for command in ([python, "-m", "venv", str(path)], [own, "-m", "pip", "install", package]):
        subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
    return own


def _python() -> str:
    """Return a Python that it runs on. Raises NoPeer."""
    for name in _PYTHONS:
        path = shutil.which(name)
        # A shim of a version manager may be there without its Python.
        if path and subprocess.run([path, "-V"], capture_output=True, check=False).returncode == 0:
            return path
    raise NoPeer(f"it needs one of {', '.join(_PYTHONS)}, or PEER_PYTHON with a path")
