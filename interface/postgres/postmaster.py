"""The state of a PostgreSQL server, as its data directory has it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psutil

PID_FILE: Final = "postmaster.pid"

_LINES: Final = 8  # pid, data directory, start time, port, socket directory, host, memory, status


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The server named by the pid file of a cluster; it may be gone long since.

    A server that starts fills the file bit by bit: what is missing is 0 or empty here.
    """

    cluster: Path
    pid: int
    port: int
    socket_dir: str
    status: str

    @classmethod
    def read(cls, cluster: Path) -> Self | None:
        """Give what the pid file says; None where there is none."""
        try:
            text = (cluster / PID_FILE).read_text()
        except FileNotFoundError:
            return None
        lines = [line.strip() for line in text.splitlines()]
        lines += [""] * (_LINES - len(lines))
        return cls(cluster, _number(lines[0]), _number(lines[3]), lines[4], lines[7])

    @property
    def ready(self) -> bool:
        return self.status == "ready"

    def alive(self) -> bool:
        """Tell whether the pid is that of a server on this cluster, not merely in use again."""
        try:
            return _serves(psutil.Process(self.pid), self.cluster)
        except psutil.NoSuchProcess:
            return False


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _serves(process: psutil.Process, cluster: Path) -> bool:
    if process.name() != "postgres" or process.status() == psutil.STATUS_ZOMBIE:
        return False
    try:
        # Every process of a server has the data directory as its working directory.
        return Path(process.cwd()) == cluster
    except psutil.AccessDenied:
        # Root in a container may not look at other users' processes.
        return bool(process.uids().real == cluster.stat().st_uid)
