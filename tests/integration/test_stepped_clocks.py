"""The real service and a real PostgreSQL, whose clocks are stepped while both run."""

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from interface.postgres import EmbeddedPostgres
from tests.clusters import put_cluster
from tests.integration.service import WAIT, Service, eventually

pytestmark = pytest.mark.timeout(300)


class SteppedClock:
    """The wall clock of the processes that have its environment; what never steps is real."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        file.touch(0o644)
        self.step(0)
        self.env = {"LD_PRELOAD": str(library), "STEPPED_CLOCK": str(file)}

    def step(self, hours: int) -> None:
        """Set the clock off by so many hours; the processes have the file mapped."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", hours * 3600))


@pytest.fixture
def library(short_dir: Path) -> Path:
    """The library that steps clocks, where any user can read it."""
    check_compiler()
    short_dir.chmod(0o755)
    library = short_dir / "stepped_clock.so"
    source = Path(__file__).with_name("stepped_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


def check_compiler() -> None:
    """Skip the test where there is no C compiler, and fail it where REQUIRE_COMPILER is 1."""
    if shutil.which("cc") is None:
        reason = "There is no C compiler to test with: install the packages gcc and libc6-dev."
        if os.environ.get("REQUIRE_COMPILER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


class World:
    """A database and a service on hosts of their own."""

    def __init__(self, database: SteppedClock, host: SteppedClock, service: Service) -> None:
        self.database = database
        self.host = host
        self.service = service
        self.client = httpx.Client(base_url=service.url, timeout=60, trust_env=False)

    def place(self, user: str, **fields: Any) -> httpx.Response:
        order = {"userId": user, "asset": "BTC-USD", "type": "BUY", "price": 1, "quantity": 1}
        return self.client.post("/orders", json={**order, **fields}, headers=WAIT)

    def place_for(self, **lasts: float) -> str:
        """Place an order that ends then, by a right clock, and return its path."""
        end = datetime.now(UTC) + timedelta(**lasts)
        placed = self.place("other", timeInForce="GTD", expiresAt=end.isoformat())
        assert (placed.status_code, placed.json()["status"]) == (201, "OPEN")
        path = f"/orders/{placed.json()['orderId']}"
        assert self.client.get(path, headers={"Position": placed.headers["Position"]}).is_success
        return path

    def until_expired(self, path: str) -> None:
        """Wait until the engine's clock has asked for it."""
        eventually(lambda: self.status(path) == "EXPIRED", 60, self.service.output)

    def status(self, path: str) -> str:
        status: str = self.client.get(path).json()["status"]
        return status

    def until_ready(self, *, ready: bool) -> str:
        """Wait for /ready to be so; return what it says."""
        eventually(lambda: self.client.get("/ready").is_success is ready, 60, self.service.output)
        return self.client.get("/ready").text


@pytest.fixture
def world(short_dir: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    database = SteppedClock(library, short_dir / "database.clock")
    host = SteppedClock(library, short_dir / "host.clock")
    put_cluster(short_dir / "var")
    popen = subprocess.Popen

    def with_clock(command: list[str], env: dict[str, str], **given: Any) -> Any:
        return popen(command, env={**env, **database.env}, **given)

    with monkeypatch.context() as starting:
        starting.setattr(subprocess, "Popen", with_clock)
        postgres = EmbeddedPostgres(short_dir / "var", durable=False)
        postgres.start()
    service = Service(short_dir, None, DATABASE_URL=postgres.url, **host.env)
    try:
        service.start()
        world = World(database, host, service)
        with world.client:
            world.until_expired(world.place_for(seconds=2))  # all processes know the time
            yield world
    finally:
        service.clean_up()
        postgres.stop()


def is_now(time: str) -> bool:
    return abs(datetime.fromisoformat(time) - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_host_whose_clock_steps_changes_nothing(world: World) -> None:
    others = world.place_for(hours=1)
    for hours in (3, -3, 0):
        world.host.step(hours)
        placed = world.place("mine", price=2)
        assert placed.status_code == 201
        assert is_now(placed.json()["createdAt"])
        sold = world.place("mine", type="SELL", price=2)
        assert (sold.json()["status"], is_now(sold.json()["updatedAt"])) == ("FILLED", True)
        assert world.status(world.place_for(hours=1)) == "OPEN"
    trades = world.client.get("/trades", params={"asset": "BTC-USD"}).json()["trades"]
    times = [trade["executedAt"] for trade in trades]
    assert len(set(times)) == 3
    assert all(map(is_now, times))
    assert world.status(others) == "OPEN"
    assert world.client.get("/ready").is_success
    assert world.service.terminate() == 0
    assert world.service.verify()["consistent"]


@pytest.mark.parametrize("hours", [3, -3])
def test_a_database_whose_clock_jumps_takes_cancels_only_until_it_agrees(
    world: World, hours: int
) -> None:
    stays, leaves = world.place_for(hours=1), world.place_for(hours=1)
    world.database.step(hours)
    said = world.until_ready(ready=False)
    assert "The database's clock jumped: it is 10800" in said
    refused = world.place("mine")
    assert refused.status_code == 503
    assert "Retry-After" in refused.headers
    assert "The database's clock jumped" in refused.json()["detail"]
    assert world.client.patch(stays, json={"quantity": 2}).status_code == 503
    cancelled = world.client.delete(leaves, headers=WAIT)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert is_now(cancelled.json()["updatedAt"])
    world.database.step(0)
    world.until_ready(ready=True)
    assert world.status(world.place_for(hours=1)) == "OPEN"
    assert world.status(stays) == "OPEN"


@pytest.mark.slow
def test_a_jump_of_the_database_that_the_host_confirms_is_believed(world: World) -> None:
    ends = world.place_for(hours=1)
    world.database.step(3)
    world.until_ready(ready=False)
    assert world.status(ends) == "OPEN"
    world.host.step(3)
    world.until_ready(ready=True)
    world.until_expired(ends)
    # It was wrong after all: an operator sets both right, and then the book.
    for clock in (world.database, world.host):
        clock.step(0)
    eventually(lambda: "booksAhead" in world.client.get("/ready").text, 60, world.service.output)
    reset = world.service.ome("reset-time")
    assert reset.stdout.startswith("BTC-USD: goes on from"), reset.stderr
    world.until_ready(ready=True)
    assert world.status(world.place_for(hours=1)) == "OPEN"


@pytest.mark.parametrize(("required", "outcome"), [("1", pytest.fail), ("", pytest.skip)])
def test_without_a_compiler_tests_fail_only_where_one_is_required(
    monkeypatch: pytest.MonkeyPatch, required: str, outcome: Any
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("REQUIRE_COMPILER", required)
    with pytest.raises(outcome.Exception, match="There is no C compiler"):
        check_compiler()
