"""One process of the service, started, watched, started again and stopped by the supervisor."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from interface.process import SUPERVISOR_VARIABLE, wait_for_exit

_STOP_TIMEOUT: Final = 10.0  # seconds

_log = logging.getLogger(__name__)


class Endings:
    """Tells accidents, after which one starts again, from something that cannot work."""

    COUNT: Final = 5
    SECONDS: Final = 5.0

    def __init__(self) -> None:
        self._started = 0.0
        self._in_a_row = 0

    def start(self) -> None:
        self._started = time.monotonic()

    def add(self) -> bool:
        """Count one more; True for COUNT in a row, each within SECONDS of its start."""
        lived = time.monotonic() - self._started
        self._in_a_row = self._in_a_row + 1 if lived < self.SECONDS else 0
        return self._in_a_row >= self.COUNT


class Child:
    """A command that shall run for as long as the service does."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.name = name
        self.endings = Endings()
        self._command = command
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # A session of its own: Ctrl-C on the terminal reaches the supervisor alone, which stops
        # the processes in order. What they say goes to the terminal like our own.
        self._process = subprocess.Popen(
            self._command,
            env={**self._env, SUPERVISOR_VARIABLE: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.endings.start()
        _log.info("process started", extra={"role": self.name, "pid": self._process.pid})

    def ending(self) -> str | None:
        """Tell how the process ended; None while it runs."""
        if self._process is None or self._process.poll() is None:
            return None
        code = self._process.returncode
        if code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
        return f"signal {-code}"

    def stop(self, hurry: Callable[[], bool]) -> None:
        """End the process and all that it started; it has 10 s unless hurry says yes."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            if not wait_for_exit(self._process, _STOP_TIMEOUT, hurry):
                _log.warning(
                    "process is stopped by force",
                    extra={"role": self.name, "pid": self._process.pid},
                )
        self.kill_group()
        self._process.wait()

    def kill_group(self) -> None:
        """End what the process may have left: a worker without its parent goes on serving."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
