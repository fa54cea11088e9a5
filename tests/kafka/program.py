"""A server program as a child of this process: started, paused, killed, started again."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from interface.process import death_signal

_START_SECONDS: Final = 100
_STOP_SECONDS: Final = 30
_POLL: Final = 0.05
_PARTS: Final = 16
_PORTS: Final = 750  # in each
_given: Final[set[int]] = set()


class Program:
    """A server on a port of 127.0.0.1; what it says goes to the end of a file.

    It dies with the thread that started it (that is how Linux sees parents), and so with this
    process, also by kill -9: start it from a thread that lives as long as it shall.
    """

    def __init__(
        self, command: Sequence[str], port: int, log: Path, end_with: signal.Signals
    ) -> None:
        self._command = command
        self._port = port
        self._log = log
        self._end_with = end_with
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it takes connections; raise RuntimeError when it ends."""
        assert not self.runs()
        tie = death_signal(os.getpid(), self._end_with)

        def tie_or_exit() -> None:
            if not tie():
                os._exit(1)

        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._log.parent,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop it
                preexec_fn=tie_or_exit,  # noqa: PLW1509 - takes no lock: threads don't matter
            )
        self.wait_until(self._answers)

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait for it; raise RuntimeError with what the program said when it ends before."""
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            if not self.runs() or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(self._command)}\n{self.said()}")
            time.sleep(_POLL)

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it in an orderly way, which it has half a minute for."""
        if self._process is None:
            return
        self._process.terminate()
        self.resume()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False


def free_port() -> int:
    """A port that nobody has, below those that the kernel gives to connections by itself.

    So it is still free when a server comes to it, and when it comes back to it. Each process of
    a test run has a part of these ports for itself, and gives none of them twice.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")  # gw0, gw1, ...
    first = 20_000 + int(worker[2:] or -1) % _PARTS * _PORTS
    while True:
        port = first + random.randrange(_PORTS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
