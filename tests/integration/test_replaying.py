"""Real order flow through the running service, undisturbed and under fire."""

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.service import Service, eventually, service
from tests.real_flow import LOBSTER, needs_real_flow

FLOW = LOBSTER / "commands.jsonl.gz"


@pytest.fixture
def running(short_dir: Path) -> Iterator[Service]:
    with service(short_dir) as started:
        yield started


def replay(running: Service, *options: str) -> dict[str, Any]:
    done = running.ome("replay", str(FLOW), "--json", *options)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@needs_real_flow
def test_the_service_gives_the_fills_that_nasdaq_gave(running: Service) -> None:
    report = replay(running)

    assert report["differences"] == []
    assert (report["commands"], report["trades"], report["expected_fills"]) == (945, 94, 94)
    assert running.verify()["consistent"]


@needs_real_flow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_replay_survives_kill_9_of_everything(running: Service, seed: int) -> None:
    """The replay asks again what was not answered; each order has its clientOrderId."""
    chance = random.Random(seed)
    reports: list[dict[str, Any]] = []
    replaying = threading.Thread(target=lambda: reports.append(replay(running)))
    replaying.start()
    for _ in range(2):
        replaying.join(chance.uniform(0.3, 1))
        assert replaying.is_alive()
        running.kill_everything()
        running.start()
    replaying.join()

    assert reports[0]["differences"] == []
    assert reports[0]["trades"] == 94
    with httpx.Client(base_url=running.url, trust_env=False) as http:
        pending = "/orders?status=PENDING"
        eventually(lambda: http.get(pending).json()["orders"] == [], 10)
    assert running.verify() == {"consistent": True, "difference": None}


def test_a_file_that_is_no_flow_is_refused_with_its_line(short_dir: Path) -> None:
    placed = '{"op":"new","id":"1","side":"BUY","price":1,"qty":1,"tif":"GTC"}'
    for bad, reason in (
        ("nonsense", "Expecting value"),
        ('{"op":"new","id":"2"}', "'side' is missing"),
        ('{"op":"new","id":"2","side":"BUY","tif":"GTC","price":"x","qty":1}', "price is no int"),
        ('{"op":"cancel","id":"9"}', "9 was not placed before"),
        ('{"op":"weird"}', "op is weird"),
    ):
        (short_dir / "flow.jsonl").write_text(f"{placed}\n{bad}\n")
        done = Service(short_dir).ome("replay", "flow.jsonl")
        assert done.returncode == 1
        assert "flow.jsonl, line 2: not a command" in done.stderr
        assert reason in done.stderr
    (short_dir / "flow.gz").write_text("plain")
    assert "replay failed" in Service(short_dir).ome("replay", "flow.gz").stderr
