"""The service in its parts, each a process of its own, as on many machines."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
import psutil

from interface.maintenance import verify_all
from interface.process import SUPERVISOR_VARIABLE
from interface.settings import Settings
from tests.integration.conftest import Venue, has_followed_all
from tests.integration.feeding import is_published
from tests.integration.service import START_SECONDS, eventually
from tests.integration.test_kills import silent
from tests.integration.topics import check_messages

ROOT: Final = Path(__file__).resolve().parents[2]
_SETTLED_SECONDS: Final = 60

Process = subprocess.Popen[bytes]


class Parts:
    """So many processes of each role; whoever kills one starts another, as a supervisor does."""

    def __init__(self, settings: Settings, directory: Path, **counts: int) -> None:
        """``settings`` say where PostgreSQL, Kafka and the topics are; these must be there."""
        self.url = f"http://{settings.host}:{settings.port}"
        self.running: dict[str, list[Process]] = {role: [] for role in counts}
        self._settings = settings
        self._counts = counts
        self._log = directory / "parts.log"
        # They end with this process, also when it is killed.
        self._env = os.environ | settings.environment() | {SUPERVISOR_VARIABLE: str(os.getpid())}

    def __enter__(self) -> Self:
        try:
            for role, count in self._counts.items():
                for _ in range(count):
                    self.start(role)
            eventually(self._is_ready, START_SECONDS, self.said)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(self.said())
        self._end()

    def start(self, role: str) -> Process:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "interface.cli", "run", "--role", role],
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.running[role].append(process)
        return process

    def end(self, process: Process, sign: signal.Signals = signal.SIGKILL) -> None:
        """End it, and wait for it."""
        [role] = [role for role, processes in self.running.items() if process in processes]
        process.send_signal(sign)
        process.wait(60)
        self.running[role].remove(process)

    def ended(self) -> list[str]:
        """The roles of those that ended by themselves."""
        return [
            role
            for role, processes in self.running.items()
            for process in processes
            if process.poll() is not None
        ]

    def check(self, venue: Venue) -> None:
        """Everything settles, and all that is stored and published is what the rules say."""
        eventually(lambda: has_followed_all(venue.market), _SETTLED_SECONDS, self.said)
        eventually(lambda: is_published(venue), _SETTLED_SECONDS, self.said)
        assert self.ended() == []
        assert verify_all(venue.env, silent) is None
        repeated = check_messages(venue, self._settings)
        print(f"messages that are there twice: {dict(repeated)}")

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-8000:]

    def _is_ready(self) -> bool:
        assert self.ended() == [], self.said()
        try:
            return httpx.get(f"{self.url}/ready", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _end(self) -> None:
        processes = [process for each in self.running.values() for process in each]
        started = [
            child
            for process in processes
            if process.poll() is None
            for child in psutil.Process(process.pid).children(recursive=True)
        ]
        for process in processes:
            process.kill()
            process.wait()
        psutil.wait_procs(started, timeout=10)  # they end with their parents
