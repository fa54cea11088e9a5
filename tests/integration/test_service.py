"""`ome run`, whole: it serves, it stops, it comes back after anything."""

import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from interface.postgres import EmbeddedPostgres
from tests.integration import service as services
from tests.integration.service import WAIT, Service, ask, client, eventually, service

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

ORDER = {"userId": "user123", "type": "BUY", "price": "45000", "quantity": 1.5}


@pytest.fixture(scope="module")
def shared() -> Iterator[Service]:
    directory = Path(tempfile.mkdtemp(prefix="ome-test-", dir="/tmp"))
    with service(directory) as started:
        yield started
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def running(shared: Service) -> Service:
    """The service that the tests of this file share, whatever the last one did to it."""
    if not shared.is_running():
        shared.start()
    return shared


@pytest.fixture
def asset() -> str:
    """A book that no other test uses."""
    return f"TEST-{uuid4().hex[:8]}"


def place(http: httpx.Client, asset: str, **changes: Any) -> dict[str, Any]:
    placed: dict[str, Any] = services.place(http, {**ORDER, "asset": asset, **changes}).json()
    return placed


def test_an_order_goes_the_whole_way(running: Service, asset: str) -> None:
    with client(running) as http:
        maker = place(http, asset)
        assert maker["status"] == "OPEN"
        sale = {**ORDER, "asset": asset, "type": "SELL", "price": 44000}
        taker = services.place(http, sale)
        assert taker.json()["status"] == "FILLED"
        seen = {"Position": taker.headers["Position"]}
        [trade] = ask(http, "GET", f"/trades?asset={asset}", headers=seen).json()["trades"]
        assert (trade["price"], trade["makerOrderId"]) == (45000, maker["orderId"])
        shown = ask(http, "GET", f"/orders/{maker['orderId']}", headers=seen)
        assert shown.json()["status"] == "FILLED"
        book = ask(http, "GET", f"/books/{asset}", headers=seen).json()
        assert book == {"asset": asset, "version": 2, "bids": [], "asks": []}
    assert running.verify() == {"consistent": True, "difference": None}


def test_it_tells_what_to_try_next(running: Service) -> None:
    eventually(lambda: f"curl -s {running.url}/orders" in running.output(), 60)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_no_process_and_loses_nothing(
    running: Service, asset: str, sign: signal.Signals
) -> None:
    with client(running) as http:
        order = place(http, asset)
    assert running.terminate(sign) == 0
    assert running.left_over() == []
    assert running.verify()["consistent"]  # it starts a database for itself

    running.start()
    with client(running) as http:
        # What was decided before the stop, the order itself may have heard of since.
        eventually(lambda: http.get(f"/orders/{order['orderId']}").json() == order, 60)


def test_kill_9_of_the_parent_leaves_no_child_that_serves(running: Service) -> None:
    running.kill_parent()
    with pytest.raises(httpx.TransportError):
        httpx.get(running.url, trust_env=False)
    running.start()


def test_what_was_pending_when_everything_was_killed_is_matched_at_the_next_start(
    running: Service, asset: str
) -> None:
    with client(running) as http:
        for engine in running.named("--role engine"):
            engine.suspend()
        pending = {**ORDER, "asset": asset, "clientOrderId": asset}
        response = ask(http, "POST", "/orders", json=pending)
        assert response.json()["status"] == "PENDING"
    running.kill_everything()
    running.start()
    with client(running) as http:
        path = f"/orders/{response.json()['orderId']}"
        eventually(lambda: http.get(path).json().get("status") == "OPEN", 60)
    assert running.verify()["consistent"]


@pytest.mark.parametrize("part", ["--role engine", "--role api", "--role snapshots", "-D"])
def test_a_part_that_is_killed_comes_back(running: Service, asset: str, part: str) -> None:
    """-D is how PostgreSQL is started."""
    with client(running) as http:
        place(http, asset, quantity=1)
        before = {process.pid for process in running.named(part)}
        assert before
        for process in running.named(part):
            process.kill()
        eventually(
            lambda: bool({p.pid for p in running.named(part)} - before) and running.is_ready(),
            60,
            running.output,
        )
    with client(running) as http:
        assert place(http, asset, type="SELL", price="45000", quantity=1)["status"] == "FILLED"
    assert running.verify()["consistent"]


def test_a_port_in_use_is_refused_with_a_clear_message(running: Service, short_dir: Path) -> None:
    (short_dir / "second").mkdir()
    second = Service(short_dir / "second", port=running.port)
    done = second.ome("run")
    assert done.returncode == 1
    assert f"{running.port}" in done.stderr
    assert "in use" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as other:
        second = Service(short_dir / "second", port=other.getsockname()[1])
        assert "in use" in second.ome("run").stderr


def test_a_data_dir_in_use_is_refused_with_a_clear_message(running: Service) -> None:
    second = Service(running.directory)
    done = second.ome("run")
    assert done.returncode == 1
    assert "DATA_DIR" in done.stderr
    assert running.is_ready()


def test_two_copies_run_side_by_side(running: Service, short_dir: Path, asset: str) -> None:
    (short_dir / "second").mkdir()
    with service(short_dir / "second") as second, client(running) as one, client(second) as two:
        order = place(one, asset)
        assert ask(two, "GET", f"/orders/{order['orderId']}").status_code == 404
        assert second.terminate() == 0
        assert ask(one, "GET", f"/orders/{order['orderId']}").status_code == 200


def test_the_command_line_reads_what_the_service_shows(running: Service, asset: str) -> None:
    with client(running) as http:
        order = place(http, asset)
        path = f"/orders/{place(http, asset)['orderId']}"
        gone = ask(http, "DELETE", path, headers=WAIT)
        for shows_it in ("/orders", f"/books/{asset}"):
            ask(http, "GET", shows_it, headers={"Position": gone.headers["Position"]})
    assert '"version":3' in running.ome("book", asset, "--json").stdout
    assert "45000" in running.ome("book", asset).stdout
    assert "order.opened" in running.ome("events", order["orderId"]).stdout
    assert "book.cancelled" in running.ome("events", asset).stdout
    for view in ("orders", "books", "trades"):
        assert running.ome("rebuild", view).returncode == 0
    unknown = running.ome("events", str(uuid4()))
    assert (unknown.returncode, "no order" in unknown.stderr) == (1, True)
    assert running.verify()["consistent"]
    assert running.ome("verify", "--recent").stdout == "consistent\n"


def test_a_read_that_is_locked_out_is_answered_all_the_same(running: Service, asset: str) -> None:
    postgres = EmbeddedPostgres(running.directory / "var")
    assert postgres.adopt()
    with client(running) as http, psycopg.connect(postgres.url) as connection:
        place(http, asset)
        connection.execute("LOCK TABLE trade_view.trades IN ACCESS EXCLUSIVE MODE")
        locked_out = http.get("/trades")
        assert locked_out.status_code == 503
        assert locked_out.headers["Retry-After"] == "1"
        connection.rollback()
        assert ask(http, "GET", "/trades").status_code == 200


def test_a_bad_setting_stops_the_start_with_its_name(short_dir: Path) -> None:
    done = Service(short_dir, PORT="eighty").ome("run")
    assert done.returncode == 2
    assert "PORT=eighty" in done.stderr
