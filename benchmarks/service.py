"""Servers under load: `ome run`, on a database and a port of its own."""

import json
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil
import psycopg

from benchmarks.measuring import ROOT
from benchmarks.running import Child
from benchmarks.visible import last_command, until_visible

_START_SECONDS = 60


class Service:
    """`ome run` of a checkout, on a database and a port of its own."""

    def __init__(
        self, url: str, env: Mapping[str, str] | None = None, checkout: Path = ROOT
    ) -> None:
        self.port = free_port()
        self.env = {
            "DATABASE_URL": url,
            "PORT": str(self.port),
            "LOG_LEVEL": "WARNING",
            **(env or {}),
        }
        python = sys.executable if checkout == ROOT else str(checkout / ".venv/bin/python")
        self.child = Child(["interface.cli", "run"], self.env, python, checkout)
        self._connection = psycopg.connect(url, autocommit=True)

    def wait_until_ready(self) -> None:
        until_ready(self.child, f"http://127.0.0.1:{self.port}/ready")

    def wait_until_caught_up(self) -> None:
        until_visible(self._connection, last_command(self._connection), self.child.check)

    def verify(self) -> bool:
        with Child(["interface.cli", "verify", "--json"], self.env) as child:
            consistent: bool = json.loads(child.hear())["consistent"]
            return consistent

    def roles(self) -> dict[str, int]:
        """Return the pids of the processes that the supervisor started, by their role."""
        return {
            process.cmdline()[-1]: process.pid
            for process in psutil.Process(self.child.pid).children()
        }

    def close(self) -> None:
        self._connection.close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_ready(child: Child, url: str) -> None:
    """Wait until a server answers with success. Raises TimeoutError."""
    deadline = time.monotonic() + _START_SECONDS
    while not _is_success(url):
        if time.monotonic() > deadline:
            raise TimeoutError("the service does not get ready")
        child.check()
        time.sleep(0.05)


def _is_success(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
