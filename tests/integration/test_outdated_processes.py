"""A process that runs when a newer release upgrades the database ends, and says so once."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from application.persistence.migrations import SCHEMA_VERSION
from interface.errors import DATABASE_UNUSABLE
from tests.http.support import order
from tests.integration.service import START_SECONDS, Service, client, eventually

pytestmark = pytest.mark.timeout(300)

NEWER = SCHEMA_VERSION + 1


def mark_upgraded(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO ome_schema_versions (version) VALUES (%s)", [NEWER])


def replace_function(url: str) -> None:
    """Have the log of Orders take only what a newer release records."""
    with psycopg.connect(url, autocommit=True) as connection:
        [(function,)] = connection.execute(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'orders_events_record'"
            " AND 'expected' = ANY(proargnames)"
        ).fetchall()
        connection.execute(
            function.replace(f"FROM {SCHEMA_VERSION} ", f"FROM {NEWER} ")
            .replace(f"> {SCHEMA_VERSION} ", f"> {NEWER} ")
            .replace(f"version {SCHEMA_VERSION}", f"version {NEWER}")
        )


@contextmanager
def api(service: Service) -> Iterator["subprocess.Popen[bytes]"]:
    """The HTTP server alone, whose output is in the service's."""
    with (service.directory / "output.log").open("ab") as output:
        process = subprocess.Popen(
            [*service.command, "run", "--role", "api"],
            cwd=service.directory,
            env=service.env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: is_alive(service), START_SECONDS, service.output)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def is_alive(service: Service) -> bool:
    try:
        return httpx.get(f"{service.url}/health", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_an_idle_service_ends_with_one_sentence_once_the_database_is_upgraded(
    short_dir: Path, database_url: str
) -> None:
    service = Service(short_dir, DATABASE_URL=database_url)
    try:
        service.start()
        mark_upgraded(database_url)
        eventually(lambda: not service.is_running(), 60, service.output)
        assert service.code() == DATABASE_UNUSABLE
        sentence = f"the database has schema version {NEWER}, this release knows up to"
        assert service.output().count(sentence) == 1
        assert "Traceback" not in service.output()
    finally:
        service.clean_up()


def test_an_api_process_whose_command_a_newer_database_refuses_answers_and_ends(
    short_dir: Path, database_url: str
) -> None:
    service = Service(short_dir, DATABASE_URL=database_url, HTTP_WORKERS="2")
    with api(service) as process, client(service) as http:
        assert http.post("/orders", json=order()).status_code == 201
        replace_function(database_url)
        sentence = f"this database was upgraded to schema version {NEWER}; this process is of an"
        answered = http.post("/orders", json=order())
        assert answered.status_code == 503
        assert sentence in answered.json()["detail"]
        assert process.wait(60) == DATABASE_UNUSABLE
    assert service.output().count(sentence) == 1
    assert "Traceback" not in service.output()
