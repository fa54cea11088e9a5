"""A pgbouncer of one's own before a test's PostgreSQL."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.kafka.program import free_port

_START_SECONDS = 30
_CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = {auth_type}
auth_file = {directory}/users
admin_users = postgres
pool_mode = {pool_mode}
"""


@contextmanager
def pgbouncer(directory: Path, url: str, pool_mode: str, password: str = "") -> Iterator[str]:
    """The URL of the same database behind a pgbouncer that has its defaults but for the mode.

    With a ``password`` it asks for that, which is not in the URL.

    Skips the test where there is none, and fails it where REQUIRE_PGBOUNCER is 1.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        reason = "There is no pgbouncer to test with: install the package pgbouncer."
        if os.environ.get("REQUIRE_PGBOUNCER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with psycopg.connect(url) as connection:
        info = connection.info
        host, port, name = info.host, info.port, info.dbname
    # The user whom the embedded PostgreSQL lets in, which is not root.
    owner = Path(host, f".s.PGSQL.{port}").stat()
    home = directory / "pgbouncer"
    home.mkdir()
    listen_port = free_port()
    (home / "users").write_text(f'"postgres" "{password}"\n')
    (home / "pgbouncer.ini").write_text(
        _CONFIGURATION.format(
            host=host,
            port=port,
            listen_port=listen_port,
            directory=home,
            pool_mode=pool_mode,
            auth_type="scram-sha-256" if password else "trust",
        )
    )
    directory.chmod(0o755)
    for path in (home, home / "users", home / "pgbouncer.ini"):
        os.chown(path, owner.st_uid, owner.st_gid)
    running: dict[str, Any] = {}
    if os.getuid() == 0:
        running = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(home / "pgbouncer.ini")], stdout=log, stderr=log, **running
        )
    try:
        url = f"postgresql://postgres@127.0.0.1:{listen_port}/{name}"
        _wait_until_it_answers(url, password, home / "log")
        yield url
    finally:
        process.kill()
        process.wait()


def _wait_until_it_answers(url: str, password: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url, password=password or None, connect_timeout=5).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
