"""Real order flow through the running service, undisturbed and under fire."""

import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from interface.replay import Replay, Report, read_commands
from tests.integration.service import Service, ask, client, eventually, service
from tests.real_flow import LOBSTER, needs_real_flow

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

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
    kills = [Kill(chance.randrange(start, start + 300)) for start in (50, 500)]
    with ThreadPoolExecutor(1) as pool, client(running) as http:
        replaying = pool.submit(send_all, http, kills)
        for kill in kills:
            while not kill.is_due.wait(0.1):
                assert not replaying.done(), replaying.exception()
            time.sleep(chance.uniform(0, 0.3))
            running.kill_everything()
            running.start()
            kill.is_done.set()
        report = replaying.result()

        assert report.differences == []
        assert report.trades == 94
        pending = "/orders?status=PENDING"
        eventually(lambda: ask(http, "GET", pending).json()["orders"] == [], 60)
    assert running.verify() == {"consistent": True, "difference": None}


class Kill:
    """Falls due at a command, and happens a little later, while others are sent."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_due = threading.Event()
        self.is_done = threading.Event()


def send_all(http: httpx.Client, kills: Sequence[Kill]) -> Report:
    """As `ome replay` does; of who is late with a kill it does not run away."""
    commands = read_commands(FLOW)
    sending = Replay(http, "REPLAY", "run", patience=200)
    for number, _ in enumerate(sending.send(commands)):
        for kill in kills:
            if number == kill.number:
                kill.is_due.set()
            if number == kill.number + 100:
                assert kill.is_done.wait(200)
    return sending.report(commands, seconds=1)


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
