import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from interface.postgres.postmaster import Postmaster
from tests.clusters import put_cluster
from tests.kafka.program import free_port

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

ROOT = Path(__file__).parents[2]


class Service:
    """`ome run` over stubs, in a directory of its own."""

    def __init__(self, directory: Path, *arguments: str, **env: str) -> None:
        self.directory = directory
        self.pids = directory / "pids"
        self.pids.mkdir(exist_ok=True)
        self.port = int(env.get("PORT") or free_port())
        self.output = directory / f"output.{len(list(directory.glob('output.*')))}"
        command = [sys.executable, "-m", "tests.integration.stub_service", *arguments]
        settings = {
            "PIDS": str(self.pids),
            "PORT": str(self.port),
            "HOST": "127.0.0.1",
            "DATA_DIR": str(directory / "var"),
            "DATABASE_URL": "",
        }
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                env=os.environ | settings | env,
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def pids_of(self, role: str) -> list[int]:
        return [int(path.suffix[1:]) for path in self.pids.glob(f"{role}.*")]

    def wait_until_ready(self) -> "Service":
        eventually(lambda: "answers at" in self.said or self.process.poll() is not None)
        assert "answers at" in self.said, self.said
        return self

    def postgres(self) -> Postmaster:
        server = Postmaster.read((self.directory / "var" / "postgresql-18").resolve())
        assert server is not None
        return server

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sign)
        return self.process.wait(60)

    def living(self) -> list[psutil.Process]:
        """All of its processes that live, PostgreSQL included."""
        found = []
        for process in psutil.process_iter():
            try:
                cluster = str(self.directory / "var" / "postgresql-18")
                ours = process.cwd() == cluster or process.environ().get("PIDS") == str(self.pids)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def directory(short_dir: Path) -> Iterator[Path]:
    put_cluster(short_dir / "var")
    yield short_dir.resolve()
    # Whatever a failed test has left.
    leftover = Service.__new__(Service)
    leftover.directory = short_dir.resolve()
    leftover.pids = leftover.directory / "pids"
    for process in leftover.living():
        process.kill()


def test_it_says_what_to_try_once_the_service_answers(directory):
    service = Service(directory).wait_until_ready()
    assert httpx.get(f"http://127.0.0.1:{service.port}/health", trust_env=False).is_success
    assert f"curl -s http://127.0.0.1:{service.port}/orders" in service.said
    assert service.stop() == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_every_process_in_order(directory, sign):
    service = Service(directory, "--demo").wait_until_ready()
    assert "role=traders " in service.said
    eventually(lambda: len(service.pids_of("engine")) == 2)
    assert len(service.living()) >= 5
    assert service.stop(sign) == 0
    assert service.living() == []
    log = (directory / "var" / "postgres.log").read_text()
    assert log.rstrip().endswith("database system is shut down")


def test_the_traders_run_in_the_demo_only(directory):
    service = Service(directory).wait_until_ready()
    # They are started before it says what to try.
    assert "role=engine " in service.said
    assert "role=traders " not in service.said
    assert service.stop() == 0


def test_killed_it_can_be_started_again_at_once(directory):
    service = Service(directory, "--demo").wait_until_ready()
    service.stop(signal.SIGKILL)
    again = Service(directory, PORT=str(service.port)).wait_until_ready()
    assert again.stop() == 0
    assert again.living() == []


def test_killed_it_takes_all_its_processes_with_it(directory):
    service = Service(directory, "--demo").wait_until_ready()
    service.stop(signal.SIGKILL)
    eventually(lambda: not service.living())


def test_a_process_that_dies_is_started_again(directory):
    service = Service(directory).wait_until_ready()
    eventually(lambda: service.pids_of("engine"))
    [first] = service.pids_of("engine")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(service.pids_of("engine")) == 2)
    assert 'ending="signal SIGKILL"' in service.said
    assert service.stop() == 0


def test_a_database_that_dies_is_started_again(directory):
    service = Service(directory).wait_until_ready()
    first = service.postgres()
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: "PostgreSQL started" in service.said.partition("PostgreSQL ended")[2])
    second = service.postgres()
    assert second.pid != first.pid
    with psycopg.connect(
        host=second.socket_dir, port=second.port, user="postgres", dbname="ome"
    ) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert service.stop() == 0


def test_a_process_that_dies_all_the_time_stops_the_service_with_its_last_words(directory):
    service = Service(directory, ENGINE="failing", ENDING_SECONDS="60")
    assert service.process.wait(60) == 1
    assert service.said.count("last words of the engine") == 5
    assert "The process engine ended 5 times in a row, each within 60 s" in service.said
    assert service.living() == []


def test_a_process_that_can_never_work_stops_the_service_with_its_reason_said_once(directory):
    service = Service(directory, ENGINE="unusable")
    assert service.process.wait(60) == 3
    assert service.said.count("the tables are of a newer release") == 1
    assert service.said.count("role=engine ") == 2  # it started, and ended
    assert service.living() == []


def test_a_process_that_does_not_listen_is_killed_when_asked_twice(directory):
    service = Service(directory, ENGINE="deaf", STOP_SECONDS="600").wait_until_ready()
    eventually(lambda: service.pids_of("deaf"))
    service.process.send_signal(signal.SIGTERM)
    eventually(lambda: "event=stopping" in service.said)
    time.sleep(1)  # what comes sooner is the same request, said twice
    assert service.process.poll() is None
    assert service.stop(signal.SIGINT) == 0  # and it doesn't take 600 s
    assert service.living() == []


def test_a_second_copy_on_the_same_data_is_refused(directory):
    service = Service(directory).wait_until_ready()
    second = Service(directory)
    assert second.process.wait(60) == 1
    assert f"in use by another process (pid {service.process.pid})" in second.said
    assert service.stop() == 0


def test_a_second_copy_on_the_same_port_is_refused_before_it_starts_anything(directory):
    service = Service(directory).wait_until_ready()
    elsewhere = directory / "elsewhere"
    elsewhere.mkdir()
    second = Service(elsewhere, PORT=str(service.port))
    assert second.process.wait(60) == 1
    assert f"Port {service.port} on 127.0.0.1 is in use" in second.said
    assert not (elsewhere / "var" / "postgresql-18").exists()
    assert service.stop() == 0


def test_with_a_database_url_no_embedded_database_is_started(directory, database_url):
    elsewhere = str(directory / "elsewhere")
    env = {"DATABASE_URL": database_url, "DATA_DIR": elsewhere}
    service = Service(directory, **env).wait_until_ready()
    assert not Path(elsewhere).exists()
    assert service.stop() == 0
