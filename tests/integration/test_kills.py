"""kill -9 of each process under load, at random moments: nothing that was told is lost.

FAULTS is how many kills of each part the slow tests do: `make test-faults N=100`.
"""

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from statistics import median

import psutil
import pytest

from application.persistence.connection import AWAY
from interface.database_url import database_env
from interface.maintenance import verify_all
from interface.postgres import EmbeddedPostgres
from interface.supervisor import COMMANDS
from system import build
from tests.integration.conftest import has_followed_all, patient
from tests.integration.load import NO_ANSWER, Load, check, unanswered
from tests.integration.service import START_SECONDS, Service, eventually, service

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

FEW = 2
MANY = int(os.environ.get("FAULTS", "20"))
YOUNG = 4  # kills in a row of processes that have just started: at the fifth all would stop
SETTLED_SECONDS = 6


Find = Callable[[Service], list[psutil.Process]]


def of_role(role: str) -> Find:
    """The process that the supervisor has started, without its own children."""

    def find(running: Service) -> list[psutil.Process]:
        found = running.named(f"--role {role}")
        return [process for process in found if process.ppid() == running.parent.pid]

    return find


def api_worker(running: Service) -> list[psutil.Process]:
    return [child for api in of_role("api")(running) for child in api.children(recursive=True)]


def postmaster(running: Service) -> list[psutil.Process]:
    return running.named("postgres -D")


def backend(running: Service) -> list[psutil.Process]:
    return running.named("postgres: postgres ome")


def supervisor(running: Service) -> list[psutil.Process]:
    return [running.parent]


PARTS: dict[str, Find] = {
    **{role: of_role(role) for role in COMMANDS if role != "traders"},
    "api worker": api_worker,
    "postmaster": postmaster,
    "postmaster, orderly": postmaster,
    "backend": backend,
    "supervisor": supervisor,
}

SERVING = ("api", "api worker", "supervisor")  # without these nobody answers


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    directory = Path(tempfile.mkdtemp(prefix="ome-test-", dir="/tmp"))
    with service(directory) as started:
        yield started
    shutil.rmtree(directory, ignore_errors=True)


SIGNALS = {"postmaster, orderly": signal.SIGINT}  # all others: kill -9


def kill(running: Service, part: str, chance: random.Random) -> None:
    eventually(lambda: bool(PARTS[part](running)), START_SECONDS, running.output)
    if part == "supervisor":
        running.kill_parent()
        running.start()
    else:
        with suppress(psutil.NoSuchProcess):  # a backend may be gone by itself
            chance.choice(PARTS[part](running)).send_signal(SIGNALS.get(part, signal.SIGKILL))


def database_url(running: Service) -> str:
    postgres = EmbeddedPostgres(running.directory / "var")
    assert postgres.adopt()
    return postgres.url


def check_all(running: Service, load: Load) -> None:
    """What clients were told is true, and all that is stored is what the rules say."""
    eventually(lambda: is_settled(running), START_SECONDS, running.output)
    url = database_url(running)
    check(load, url)
    assert verify_all(database_env(url), silent) is None


def is_settled(running: Service) -> bool:
    """Whether the service works, and every follower has followed all."""
    postgres = EmbeddedPostgres(running.directory / "var")
    if not running.is_ready() or not postgres.adopt():
        return False
    try:
        with closing(build(patient(database_env(postgres.url)))) as market:
            return has_followed_all(market)
    except AWAY:
        return False


class Silent:
    def update(self, steps: int) -> None:
        pass


@contextmanager
def silent(_label: str, _length: int) -> Iterator[Silent]:
    yield Silent()


def kill_under_load(running: Service, part: str, chance: random.Random, delay: float) -> float:
    """Kills at a random moment; gives how long it took until orders were taken again."""
    with Load(running.url, seed=chance.randrange(2**32)) as load:
        load.wait_for(30)
        time.sleep(delay + chance.random())
        killed = time.monotonic()
        kill(running, part, chance)
        load.wait_for(30)
        away = time.monotonic() - killed
        time.sleep(chance.random())
    print(f"kill -9 of {part}: {load.summary()}; {away:.2f} s until 30 more were acknowledged")
    if part not in SERVING:
        assert NO_ANSWER not in load.statuses(), "HTTP is served all the time"
    check_all(running, load)
    return away


def test_a_few_kills_lose_nothing_that_was_told(running: Service) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for part in chance.sample(sorted(PARTS), FEW):
        kill_under_load(running, part, chance, delay=0)


def test_postgresql_that_is_restarted_under_load_is_found_again(running: Service) -> None:
    """Clients are told 503 and when to try again meanwhile, and nothing else but what is true."""
    kill_under_load(running, "postmaster, orderly", random.Random(), delay=0)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", PARTS)
def test_many_kills_lose_nothing_that_was_told(running: Service, part: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    away = [
        kill_under_load(running, part, chance, delay=0 if number % YOUNG else SETTLED_SECONDS)
        for number in range(MANY)
    ]
    print(f"{MANY} kills of {part}: median {median(away):.2f} s, at most {max(away):.2f} s away")


def test_a_stop_under_load_finishes_what_is_in_flight(running: Service) -> None:
    with Load(running.url) as load:
        load.wait_for(50)
        asked = time.monotonic()
        assert running.terminate(signal.SIGTERM) == 0
        print(f"stopped under load within {time.monotonic() - asked:.2f} s")
        assert running.left_over() == []
    running.start()
    check_all(running, load)
    assert unanswered(load, database_url(running)) == []
