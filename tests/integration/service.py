"""The real service, as `ome run` runs it: started, killed, started again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil

from tests.clusters import put_cluster
from tests.kafka.program import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
WAIT = {"Prefer": "wait=30"}


class Service:
    """One copy of the service on a port and a directory of its own."""

    def __init__(self, directory: Path, port: int | None = None, **settings: str) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            **os.environ,
            "PORT": str(self.port),
            "DATA_DIR": str(directory / "var"),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}",
            # For as long as a machine stands still that tests keep busy.
            "MAX_LAG_SECONDS": "60",
            "READ_WAIT_SECONDS": "30",
            **settings,
        }
        self.command: Sequence[str] = (sys.executable, "-m", "interface.cli")
        self._process: subprocess.Popen[bytes] | None = None
        self._known: dict[int, psutil.Process] = {}

    def start(self, *, until_ready: bool = True) -> None:
        with (self.directory / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*self.command, "run"],
                cwd=self.directory,
                env=self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if until_ready:
            eventually(self.is_ready, START_SECONDS, self.output)
            self.processes()

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def code(self) -> int | None:
        """The exit code, of a service that has ended."""
        return None if self._process is None else self._process.poll()

    def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.output()
        try:
            return httpx.get(f"{self.url}/ready", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def output(self) -> str:
        return (self.directory / "output.log").read_text()[-6000:]

    @property
    def parent(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def processes(self) -> list[psutil.Process]:
        """The parent first, then everything that it and its children have started."""
        found = [self.parent, *self.parent.children(recursive=True)]
        self._known |= {process.pid: process for process in found}
        return found

    def named(self, part: str) -> list[psutil.Process]:
        return [process for process in self.processes() if part in _command(process)]

    def left_over(self) -> list[psutil.Process]:
        """Those of all processes that it ever had that still run."""
        return [process for process in self._known.values() if _runs(process)]

    def terminate(self, sign: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        self.processes()
        self._process.send_signal(sign)
        return self._process.wait(timeout=90)

    def kill_parent(self) -> None:
        assert self._process is not None
        self.processes()
        self._process.kill()
        self._process.wait()
        eventually(lambda: not self.left_over(), 60, self.output)

    def kill_everything(self) -> None:
        """Every process at once, the database's included, by kill -9."""
        processes = self.processes()
        for act in (psutil.Process.suspend, psutil.Process.kill):
            for process in processes:  # suspended first: nobody gets to mourn anybody
                with suppress(psutil.NoSuchProcess):
                    act(process)
        assert self._process is not None
        self._process.wait()
        eventually(lambda: not self.left_over(), 60, self.output)

    def ome(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            cwd=self.directory,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def verify(self) -> dict[str, Any]:
        done = self.ome("verify", "--json")
        assert done.stdout, done.stderr
        verdict: dict[str, Any] = json.loads(done.stdout)
        return verdict

    def clean_up(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.processes()
            self._process.kill()
            self._process.wait()
        for process in self.left_over():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(self._known.values(), timeout=30)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def client(running: Service) -> httpx.Client:
    return httpx.Client(base_url=running.url, timeout=60, trust_env=False)


def ask(http: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    """The first answer that is no 503: who is told to come again does. A POST has its id."""
    answers: list[httpx.Response] = []

    def is_answered() -> bool:
        answers.append(http.request(method, path, **options))
        return answers[-1].status_code != 503

    eventually(is_answered, 60, lambda: answers[-1].text)
    return answers[-1]


def place(http: httpx.Client, order: dict[str, Any]) -> httpx.Response:
    """The answer once the market has had its say."""
    named = {"clientOrderId": uuid4().hex, **order}
    answer = ask(http, "POST", "/orders", json=named, headers=WAIT)
    assert answer.status_code in (200, 201), answer.text
    assert answer.headers["Preference-Applied"] == "wait"
    return answer


@contextmanager
def service(directory: Path, port: int | None = None, **settings: str) -> Iterator[Service]:
    if "DATABASE_URL" not in settings:
        put_cluster(directory / "var")
    running = Service(directory, port, **settings)
    try:
        running.start()
        yield running
    finally:
        running.clean_up()


def eventually(
    condition: Callable[[], bool], seconds: float, explain: Callable[[], str] = str
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)
