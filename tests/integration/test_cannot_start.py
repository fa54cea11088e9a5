"""A start that can't succeed says why once, in at most three lines, and ends with its own code."""

import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from application.persistence.connection import CONNINFO
from application.persistence.refusal import refusal_code
from interface.database_url import database_env
from interface.errors import DATABASE_UNREACHABLE, DATABASE_UNUSABLE
from tests.integration.service import Service, eventually

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def role(postgres_url: str) -> Iterator[str]:
    """A role that may connect, and nothing else."""
    name = f"role_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
        yield name
        connection.execute(f"DROP ROLE {name}")


def end_of(service: Service, *arguments: str) -> tuple[int, list[str]]:
    """The exit code of `ome run`, and the lines that it prints."""
    done = subprocess.run(
        [*service.command, "run", *arguments],
        cwd=service.directory,
        env=service.env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip().splitlines()


@pytest.mark.parametrize("arguments", [(), ("--role", "engine"), ("--role", "api")])
def test_a_role_without_rights_is_named_once(short_dir, database_url, role, arguments):
    service = Service(short_dir, DATABASE_URL=database_url.replace("postgres@", f"{role}@"))
    code, lines = end_of(service, *arguments)
    assert code == DATABASE_UNUSABLE
    assert lines[0].startswith("ome: The database can't be used: ")
    assert len(lines) <= 3
    assert "Traceback" not in "".join(lines)


def test_a_wrong_password_is_said_once_and_not_tried_again(
    short_dir, postgres_url, database_url, role
):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {role} PASSWORD 'right'")
        [(path,)] = connection.execute("SHOW hba_file").fetchall()
        hba = Path(path)
        trusting = hba.read_text()
        hba.write_text(f"local all {role} scram-sha-256\n{trusting}")
        connection.execute("SELECT pg_reload_conf()")
        wrong = database_url.replace("postgres@", f"{role}:hidden@")
        # It takes a moment until the server has read the file.
        eventually(lambda: refusal_code(database_env(wrong)[CONNINFO]) == "28P01", 60)
        begun = time.monotonic()
        code, lines = end_of(Service(short_dir, DATABASE_URL=wrong))
        hba.write_text(trusting)
        connection.execute("SELECT pg_reload_conf()")
    assert code == DATABASE_UNUSABLE
    assert "SQLSTATE 28P01" in lines[0]
    assert len(lines) <= 3
    assert "hidden" not in "".join(lines)
    assert time.monotonic() - begun < 30


def test_a_database_that_is_not_there_is_not_waited_for(short_dir, database_url):
    service = Service(short_dir, DATABASE_URL=database_url.replace("/test_", "/nowhere_"))
    begun = time.monotonic()
    code, lines = end_of(service)
    assert code == DATABASE_UNUSABLE
    assert "SQLSTATE 3D000" in lines[-2]
    assert time.monotonic() - begun < 30
    assert len([line for line in lines if "nowhere_" in line]) == 1


def test_what_does_not_answer_is_tried_for_a_while_and_has_a_code_of_its_own(short_dir):
    service = Service(short_dir, DATABASE_URL=f"postgresql://u@/d?host={short_dir}")
    code, lines = end_of(service)
    assert code == DATABASE_UNREACHABLE
    assert len(lines) <= 3
    assert "no answer for 30 s" in lines[1]


def test_an_encoding_that_can_t_hold_our_text_is_refused(short_dir, postgres_url):
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for encoding in ("LATIN1", "SQL_ASCII"):
            connection.execute(
                f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0"
                " LOCALE_PROVIDER libc LOCALE 'C'"
            )
            url = postgres_url.replace("/ome?", f"/{name}?")
            code, lines = end_of(Service(short_dir, DATABASE_URL=url))
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            assert code == DATABASE_UNUSABLE
            assert f"its encoding is {encoding}" in lines[-2]


def test_a_standby_is_refused_and_what_risks_data_is_warned_of(monkeypatch, library_env):
    from application.persistence import database  # noqa: PLC0415
    from application.persistence.connection import DatabaseUnusable  # noqa: PLC0415

    assert database.check(library_env).warnings == [
        f"{setting} is off in the database: a crash of its machine may lose"
        " acknowledged orders, or all data"
        for setting in ("fsync", "full_page_writes")  # as tests have it
    ]
    facts = database._FACTS.replace("pg_is_in_recovery()", "true")
    monkeypatch.setattr(database, "_FACTS", facts)
    with pytest.raises(DatabaseUnusable, match="it is a standby"):
        database.check(library_env)
