"""The memory of all processes of a service and of its database, in the course of a long load."""

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Self

import psutil

from benchmarks.service import Service

_EVERY_SECONDS = 5.0
_MEBIBYTE = 1 << 20

Sample = tuple[float, Mapping[str, float]]  # seconds since the beginning, MiB by process


class Memory(threading.Thread):
    """A thread that notes the memory of each process, for as long as it is entered.

    Of a process of the service: all that is resident. Of PostgreSQL: what its processes share with
    none, in sum, since each would count the shared buffers again.
    """

    def __init__(self, service: Service, postgres_pid: int) -> None:
        super().__init__(daemon=True)
        self._service = service.child.pid
        self._roles = service.roles()
        self._postgres = postgres_pid
        self._stopping = threading.Event()
        self.samples: list[tuple[float, dict[str, float]]] = []  # at which moment

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        while True:
            self.samples.append((time.monotonic(), self._now()))
            if self._stopping.wait(_EVERY_SECONDS):
                return

    def _now(self) -> dict[str, float]:
        found = {"supervisor": _resident([psutil.Process(self._service)])}
        for role, pid in self._roles.items():
            found[role] = _resident(_family(pid))
        found["PostgreSQL"] = _unshared(_family(self._postgres))
        return found


def by_window(samples: Iterable[Sample], window: float) -> dict[str, dict[str, float]]:
    """Return the median memory of each process in each window, by the second it begins at."""
    windows: dict[int, list[Mapping[str, float]]] = defaultdict(list)
    for at, memory in samples:
        if at >= 0:
            windows[int(at // window)].append(memory)
    return {f"from {number * window:g} s": _medians(windows[number]) for number in sorted(windows)}


def _medians(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in found), 1) for name in found[0]}


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _resident(processes: Iterable[psutil.Process]) -> float:
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / _MEBIBYTE


def _unshared(processes: Iterable[psutil.Process]) -> float:
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().uss
    return total / _MEBIBYTE
