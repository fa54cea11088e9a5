"""How many connections the whole service has, at rest and under load, and with how few it works."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from interface.connections import Need
from interface.errors import DATABASE_UNREACHABLE, DATABASE_UNUSABLE
from interface.postgres import EmbeddedPostgres
from interface.postgres.cluster import Cluster
from interface.settings import Settings
from tests.clusters import put_cluster
from tests.http.support import order
from tests.integration.impatient import IMPATIENT, PATIENCE_SECONDS
from tests.integration.parts import Parts
from tests.integration.service import Service, ask, client, eventually, place, service
from tests.integration.test_cannot_start import end_of
from tests.kafka.program import free_port

pytestmark = pytest.mark.timeout(300)

_AT_REST = 12
_AT_MOST = 20
_COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


def impatient(directory: Path, url: str) -> Service:
    """A service that soon gives up waiting for connections that others have."""
    service = Service(directory, DATABASE_URL=url)
    service.command = IMPATIENT
    return service


def test_the_whole_service_has_few_connections(short_dir, database_url, postgres_url):
    name = database_url.split("/")[-1].split("?")[0]
    counts: list[int] = []
    ending = threading.Event()

    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:

        def count() -> int:
            [row] = connection.execute(_COUNT, [name]).fetchall()
            counts.append(row[0])
            return counts[-1]

        def watch() -> None:
            while not ending.wait(0.01):
                count()

        def trade(running: Service) -> None:
            with client(running) as http:
                for number in range(30):
                    side = ("BUY", "SELL")[number % 2]
                    http.post("/orders", json=order(type=side, clientOrderId=uuid.uuid4().hex))
                    http.get("/orders?limit=10")
                    http.get("/books/BTC-USD")

        watching = threading.Thread(target=watch)
        watching.start()
        with service(short_dir, DATABASE_URL=database_url) as running:
            threads = [threading.Thread(target=trade, args=(running,)) for _ in range(32)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            ending.set()
            watching.join()
            assert max(counts) <= _AT_MOST
            assert Need.of("all", 1).most <= _AT_MOST
            # Those that nobody needs are closed one by one.
            eventually(lambda: count() <= _AT_REST, 120)
        assert f"up to {Need.of('all', 1).most} connections" in running.output()


@pytest.fixture
def role(postgres_url: str, database_url: str):
    """Makes a role that owns a database, with so many connections."""
    name = f"role_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:

        def make(limit: int) -> str:
            database = database_url.rsplit("/", maxsplit=1)[-1].split("?", maxsplit=1)[0]
            connection.execute(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT {limit}")
            connection.execute(f"ALTER DATABASE {database} OWNER TO {name}")
            return database_url.replace("postgres@", f"{name}@")

        yield make
        connection.execute(f"REASSIGN OWNED BY {name} TO postgres")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {name}")
        connection.execute(f"REASSIGN OWNED BY {name} TO postgres")
        connection.execute(f"DROP ROLE {name}")


def test_with_fewer_connections_than_it_may_take_it_works_and_warns(short_dir, role):
    need = Need.of("all", 1)
    with service(short_dir, DATABASE_URL=role(need.least)) as running, client(running) as http:
        for number in range(10):
            named = order(price=100 + number, clientOrderId=uuid.uuid4().hex)
            ask(http, "POST", "/orders", json=named).raise_for_status()

        def statuses() -> list[str]:
            return [each["status"] for each in ask(http, "GET", "/orders").json()["orders"]]

        # Whoever finds no connection meanwhile is answered without having waited.
        eventually(lambda: statuses() == ["OPEN"] * 10, 60)
        assert f"there are {need.least}" in running.output()


def test_too_few_connections_are_refused_with_the_formula(short_dir, role):
    need = Need.of("all", 1)
    code, lines = end_of(Service(short_dir, DATABASE_URL=role(need.least - 1)))
    assert code == DATABASE_UNUSABLE
    assert len(lines) <= 3
    assert str(need) in lines[-2]


def test_connections_that_others_have_are_waited_for_and_then_said(short_dir, role):
    url = role(6)
    others = [psycopg.connect(url) for _ in range(6)]
    begun = time.monotonic()
    code, lines = end_of(impatient(short_dir, url))
    for other in others:
        other.close()
    assert code == DATABASE_UNREACHABLE
    assert time.monotonic() - begun >= PATIENCE_SECONDS
    assert len(lines) <= 3
    assert str(Need.of("all", 1)) in lines[-2]


def test_all_parts_start_and_trade_on_a_server_with_25_connections(
    short_dir, tmp_path, monkeypatch
):
    """They may take 30 together, and 3 of the 25 are kept for superusers."""
    put_cluster(short_dir / "database")
    spawn = Cluster._spawn

    def spawn_small(cluster, command, death):
        return spawn(cluster, [*command, "-c", "max_connections=25"], death)

    monkeypatch.setattr(Cluster, "_spawn", spawn_small)
    with EmbeddedPostgres(short_dir / "database", durable=False) as postgres:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE venue LOGIN")
            connection.execute("ALTER DATABASE ome OWNER TO venue")
            assert connection.execute("SHOW max_connections").fetchall() == [("25",)]
        settings = Settings(
            port=free_port(),
            database_url=SecretStr(postgres.url.replace("postgres@", "venue@")),
        )
        roles = dict.fromkeys(("matching", "orders", "views", "snapshots", "api"), 1)
        assert sum(Need.of(role, 1).most for role in roles) == 30
        with (
            Parts(settings, tmp_path, **roles) as parts,
            httpx.Client(base_url=parts.url, timeout=60, trust_env=False) as http,
        ):
            with ThreadPoolExecutor(32) as threads:
                placing = [
                    threads.submit(place, http, order(type=side, price=100))
                    for side in ("BUY", "SELL") * 16
                ]
                placed = [each.result().json()["orderId"] for each in placing]

            def statuses() -> set[str]:
                return {ask(http, "GET", f"/orders/{each}").json()["status"] for each in placed}

            eventually(lambda: statuses() == {"FILLED"}, 60, parts.said)
            assert parts.ended() == []
