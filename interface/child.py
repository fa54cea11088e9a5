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
# The descriptor of a pipe, for the reason why a process can't work: the supervisor says it, once.
_REASON_VARIABLE: Final = "OME_REASON_FD"
_LONGEST_REASON: Final = 4096  # bytes, which a pipe takes at once

_log = logging.getLogger(__name__)


def has_supervisor() -> bool:
    return _REASON_VARIABLE in os.environ


def tell_supervisor(reason: str) -> bool:
    """Leave the reason of the end to the supervisor; False where there is none."""
    descriptor = os.environ.get(_REASON_VARIABLE)
    if descriptor is None:
        return False
    with suppress(OSError):  # it is gone itself
        os.write(int(descriptor), reason.encode()[:_LONGEST_REASON])
    return True


class Endings:
    """Distinguish accidents, after which a process starts again, from causes that stay."""

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
        self._reason: int | None = None  # the end of a pipe

    def start(self) -> None:
        # A session of its own: Ctrl-C on the terminal reaches the supervisor alone, which stops
        # the processes in order. What they say goes to the terminal like our own.
        self._close_reason()
        self._reason, writable = os.pipe()
        os.set_blocking(self._reason, False)
        try:
            self._process = subprocess.Popen(
                self._command,
                env={
                    **self._env,
                    SUPERVISOR_VARIABLE: str(os.getpid()),
                    _REASON_VARIABLE: str(writable),
                },
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[writable],
            )
        finally:
            os.close(writable)
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

    @property
    def code(self) -> int | None:
        """The exit code of a process that has ended; negative for a signal."""
        return None if self._process is None else self._process.returncode

    def reason(self) -> str:
        """Return the process's reason why it can't work; empty: it has given none."""
        with suppress(BlockingIOError):
            if self._reason is not None:
                return os.read(self._reason, _LONGEST_REASON).decode(errors="replace")
        return ""

    def _close_reason(self) -> None:
        if self._reason is not None:
            os.close(self._reason)
            self._reason = None

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
        self._close_reason()

    def kill_group(self) -> None:
        """End what the process may have left: a worker without its parent goes on serving."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
