"""The whole service with something missing: room on the disk, a working engine, work to do."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from interface.postgres import EmbeddedPostgres
from tests.integration.service import WAIT, Service, ask, client, eventually, service

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

MEGABYTE = 1024 * 1024
IDLE_SECONDS = 20


def order(**changes: Any) -> dict[str, Any]:
    fields = {"userId": "user", "asset": "BTC-USD", "type": "BUY", "price": 100, "quantity": 1}
    return {**fields, **changes}


@pytest.fixture
def small_disk(short_dir: Path) -> Iterator[Path]:
    """A file system of its own; what is started on it has ended before it goes."""
    disk = short_dir / "var"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("making a small file system takes root, and a system that lets it")
    yield short_dir
    subprocess.run(["umount", str(disk)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Nothing more can be written until it ends."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            for size in (MEGABYTE, 4096):
                while shutil.disk_usage(disk).free >= size:
                    file.write(bytes(size))
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


def test_a_full_disk_is_told_and_the_market_goes_on_when_there_is_room(small_disk: Path) -> None:
    placed: list[httpx.Response] = []
    refused: list[httpx.Response] = []
    with service(small_disk) as running, client(running) as http:
        placed.append(http.post("/orders/batch", json={"orders": [order(userId="before")]}))
        with full(small_disk / "var"):
            deadline = time.monotonic() + 60
            while len(refused) < 10:
                assert time.monotonic() < deadline
                batch = [order(userId=f"during-{len(placed)}-{n}") for n in range(50)]
                answer = http.post("/orders/batch", json={"orders": batch})
                (refused if answer.status_code == 503 else placed).append(answer)
            assert {each.headers["Retry-After"] for each in refused} == {"1"}
            assert http.get("/health").status_code == 200
        eventually(running.is_ready, 60, running.output)
        after = {"orders": [order(userId="after", clientOrderId="after")]}
        placed.append(ask(http, "POST", "/orders/batch", json=after))
        assert {each.status_code for each in placed} == {200}
        told = {result["order"]["userId"] for each in placed for result in each.json()["results"]}
        eventually(lambda: shown(http) == dict.fromkeys(told, "OPEN"), 60)
        assert running.verify() == {"consistent": True, "difference": None}
        assert running.terminate() == 0


@pytest.mark.slow
def test_without_room_for_the_log_of_postgresql_all_stops_and_goes_on_from_there(
    small_disk: Path,
) -> None:
    """It ends then, and can't start again: that is said, and nothing is lost."""
    with service(small_disk) as running, client(running) as http:
        placed = http.post("/orders", json=order(), headers=WAIT)
        with full(small_disk / "var"):
            execute(running, "SELECT pg_switch_wal()")
            deadline = time.monotonic() + 60
            while running.is_running():
                assert time.monotonic() < deadline, running.output()
                with suppress(httpx.TransportError):
                    batch = [order(userId="during") for _ in range(500)]
                    answer = http.post("/orders/batch", json={"orders": batch})
                    assert answer.status_code in (200, 503)
        assert "No space left on device" in running.output()
        assert running.left_over() == []
        running.start()
        assert http.get(placed.headers["Location"]).json() == placed.json()
        assert running.verify() == {"consistent": True, "difference": None}


def shown(http: httpx.Client) -> dict[str, str]:
    """The status of each user's order."""
    statuses: dict[str, str] = {}
    cursor: dict[str, str] = {}
    while True:
        page = http.get("/orders", params={"limit": "1000", **cursor}).json()
        statuses |= {each["userId"]: each["status"] for each in page["orders"]}
        if page["nextCursor"] is None:
            return statuses
        cursor = {"cursor": page["nextCursor"]}


def test_while_the_engine_stands_still_cancels_are_taken_and_nothing_new(short_dir: Path) -> None:
    with service(short_dir, MAX_LAG_SECONDS="1") as running, client(running) as http:
        path = http.post("/orders", json=order(), headers=WAIT).headers["Location"]
        [engine] = running.named("--role engine")
        engine.suspend()
        taken = [http.post("/orders", json=order()).headers["Location"]]
        eventually(lambda: http.post("/orders", json=order()).status_code == 503, 60)
        late = http.post("/orders", json=order())
        assert late.status_code == 503
        assert late.headers["Retry-After"] == "1"
        assert "Matching is more than 1 s behind" in late.json()["detail"]
        assert http.patch(path, json={"price": 99}).status_code == 503
        assert http.delete(path).status_code == 202
        assert http.get(taken[0]).json()["status"] == "PENDING"
        assert http.get("/ready").status_code == 503

        engine.resume()
        eventually(lambda: http.get(path).json()["status"] == "CANCELLED", 60)
        eventually(lambda: http.get(taken[0]).json()["status"] == "OPEN", 60)
        eventually(lambda: http.post("/orders", json=order()).status_code == 201, 60)
        assert running.verify() == {"consistent": True, "difference": None}


@pytest.mark.slow
def test_a_service_without_work_leaves_the_processor_alone(short_dir: Path) -> None:
    with service(short_dir) as running, client(running) as http:
        http.post("/orders", json=order(), headers=WAIT)
        time.sleep(5)
        before = cpu_seconds(running)
        time.sleep(IDLE_SECONDS)
        after = cpu_seconds(running)
        used = {name: after[name] - before.get(name, 0) for name in after}
    share = sum(used.values()) / IDLE_SECONDS
    for name, seconds in used.items():
        if seconds:
            print(f"{100 * seconds / IDLE_SECONDS:6.2f} %  {name}")
    print(f"{100 * share:6.2f} % of a core in all")
    assert share < 0.1  # the goal is 0.02; this is about loops that never rest


def cpu_seconds(running: Service) -> dict[str, float]:
    used: dict[str, float] = {}
    for process in running.processes():
        try:
            times = process.cpu_times()
            name = f"{process.pid} {' '.join(process.cmdline())[-60:]}"
        except psutil.NoSuchProcess:
            continue
        used[name] = times.user + times.system
    return used


@pytest.mark.slow
def test_a_log_that_can_t_be_read_stops_the_service_with_its_last_words(short_dir: Path) -> None:
    """Started again and again it would only fail again and again."""
    with service(short_dir) as running, client(running) as http:
        http.post("/orders", json=order(), headers=WAIT)
        [engine] = running.named("--role engine")
        engine.suspend()
        http.post("/orders", json=order())
        damage = "UPDATE orders_events SET state = 'no' WHERE topic = 'order.placed'"
        execute(running, damage)
        engine.kill()
        eventually(lambda: not running.is_running(), 90, running.output)
        assert "The process engine ended 5 times in a row" in running.output()
        assert "order.placed" in running.output()
        assert "can't be read" in running.output()
        eventually(lambda: running.left_over() == [], 60)


def execute(running: Service, statement: str) -> None:
    postgres = EmbeddedPostgres(running.directory / "var")
    assert postgres.adopt()
    with psycopg.connect(postgres.url) as connection:
        connection.execute(statement)
