import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest
from pydantic import SecretStr

from interface.data_dir import DataDirInUse, DataDirLock
from interface.database_url import database_env
from interface.postgres import AccountError, EmbeddedPostgres, PostgresError, database, server
from interface.postgres.account import Account
from interface.postgres.postmaster import PID_FILE, Postmaster
from interface.postgres.socket_dir import private_directory
from interface.settings import Settings
from tests.clusters import put_cluster

ROOT = Path(__file__).parents[2]
as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs several users")


def query(url: str, sql: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(sql.encode()).fetchone()
        assert row is not None
        return row[0]


def start(data_dir: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(data_dir, durable=False)


def kill(postgres: EmbeddedPostgres) -> int:
    """Ends the server without a chance to clean up, and gives its pid."""
    pid = postgres.pid
    os.kill(pid, signal.SIGKILL)
    postgres.stop()
    return pid


def ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A data directory with a cluster: for tests that leave it usable."""
    directory = Path(tempfile.mkdtemp(prefix="ome-test-", dir="/tmp")).resolve()
    put_cluster(directory)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def test_data_outlives_a_stop_and_a_start(shared):
    with start(shared) as postgres, psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        connection.execute("INSERT INTO kept VALUES (42)")
    with start(shared) as postgres:
        assert query(postgres.url, "SELECT number FROM kept") == 42


def test_it_sorts_alike_on_every_machine_and_listens_on_no_network(shared):
    with start(shared) as postgres:
        sql = "SELECT concat(datlocprovider, datlocale) FROM pg_database WHERE datname = 'ome'"
        assert query(postgres.url, sql) == "bC.UTF-8"
        assert query(postgres.url, "SHOW server_encoding") == "UTF8"
        assert query(postgres.url, "SHOW listen_addresses") == ""
        assert query(postgres.url, "SHOW max_connections") == "200"


def test_durable_means_that_every_commit_reaches_the_disk(shared):
    with EmbeddedPostgres(shared) as postgres:
        assert query(postgres.url, "SHOW fsync") == "on"
        assert query(postgres.url, "SHOW full_page_writes") == "on"


@pytest.mark.parametrize(
    "name", ["with blanks", "x" * 120, "a,comma", 'a"quote', "per%cent", "ünïcode"]
)
def test_any_path_serves(short_dir, name):
    with start(short_dir / name) as postgres:
        assert query(postgres.url, "SELECT 1") == 1
        socket_dir = database_env(postgres.url)["POSTGRES_HOST"]
    # For some paths it is not in the directory that goes with the test.
    shutil.rmtree(socket_dir)


def test_a_language_that_is_not_installed_does_not_matter(short_dir, monkeypatch):
    monkeypatch.setenv("LANG", "xx_YY.UTF-8")
    monkeypatch.setenv("LC_ALL", "xx_YY.UTF-8")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    with start(short_dir):
        pass


def test_a_killed_server_is_started_again_on_the_same_data(shared):
    postgres = start(shared)
    postgres.start()
    killed = kill(postgres)
    with start(shared) as again:
        assert again.pid != killed
        assert query(again.url, "SELECT 1") == 1


def test_a_busy_backend_of_a_killed_server_is_waited_for(shared):
    postgres = start(shared)
    postgres.start()
    with closing(psycopg.connect(postgres.url)) as busy:
        backend = busy.info.backend_pid
        busy.pgconn.send_query(b"DO $$ BEGIN FOR i IN 1..40000000 LOOP NULL; END LOOP; END $$")
        kill(postgres)
        with start(shared) as again:
            assert ended(backend)
            assert query(again.url, "SELECT 1") == 1


def test_a_pid_that_another_process_has_by_now_is_no_server(shared):
    with start(shared) as postgres:
        pid_file = (shared / "postgresql-18" / PID_FILE).read_text()
        socket_lock = shared / "socket" / ".s.PGSQL.5432.lock"
        lock = socket_lock.read_text()
        pid = str(postgres.pid)
    # We live, and are no PostgreSQL.
    (shared / "postgresql-18" / PID_FILE).write_text(pid_file.replace(pid, str(os.getpid()), 1))
    socket_lock.write_text(lock.replace(pid, str(os.getpid()), 1))
    with start(shared) as postgres:
        assert query(postgres.url, "SELECT 1") == 1


def test_a_pid_of_another_postgresql_is_not_this_one(shared, postgres_url):
    with psycopg.connect(postgres_url) as connection:
        stranger = psutil.Process(connection.info.backend_pid).ppid()
    lines = [stranger, shared / "postgresql-18", 1, 5432, shared / "socket", "", "", "ready"]
    (shared / "postgresql-18" / PID_FILE).write_text("\n".join(map(str, lines)))
    with start(shared) as postgres:
        assert postgres.pid != stranger


def test_an_empty_pid_file_is_no_obstacle(shared):
    (shared / "postgresql-18" / PID_FILE).touch()
    with start(shared) as postgres:
        assert query(postgres.url, "SELECT 1") == 1


def test_a_living_server_is_adopted_and_left_running(shared):
    with start(shared) as first:
        with start(shared) as second:
            assert second.pid == first.pid
            assert second.url == first.url
        assert first.alive()
    assert not second.alive()


def test_a_server_that_shuts_down_is_waited_for(shared):
    first = start(shared)
    first.start()
    pid = first.pid
    os.kill(pid, signal.SIGINT)
    with start(shared) as second:
        assert second.pid != pid
        assert query(second.url, "SELECT 1") == 1
    first.stop()


def test_initdb_killed_half_way_leaves_nothing_half_made(short_dir):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from interface.postgres import EmbeddedPostgres\n"
        "Path.rename = lambda *_: time.sleep(600)\n"  # however late it is killed, it is not done
        "EmbeddedPostgres(Path(sys.argv[1])).start()"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(short_dir)], cwd=ROOT)
    while not list(short_dir.glob("postgresql-18.*/base")):
        assert starter.poll() is None
    starter.kill()
    starter.wait()
    assert not (short_dir / "postgresql-18").exists()
    with start(short_dir) as postgres:
        assert query(postgres.url, "SELECT 1") == 1
    assert not list(short_dir.glob("postgresql-18.*"))


def test_a_start_that_fails_says_what_the_log_says(short_dir):
    put_cluster(short_dir)
    configuration = short_dir / "postgresql-18" / "postgresql.auto.conf"
    configuration.write_text("shared_buffers = 'nonsense'\n")
    with pytest.raises(PostgresError, match="invalid value for parameter"):
        start(short_dir).start()


def test_a_start_can_be_cancelled_also_in_the_background_of_a_shell(shared, monkeypatch):
    monkeypatch.setattr(server, "_STOP_TIMEOUT", 600)  # it stops at once, and not by force
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pytest.raises(PostgresError, match="cancelled"):
        EmbeddedPostgres(shared, durable=False, cancelled=lambda: True).start()
    signal.signal(signal.SIGINT, before)
    cluster = shared.resolve() / "postgresql-18"
    left = Postmaster.read(cluster)
    assert left is None or not left.alive()


@as_root_only
def test_as_root_it_runs_as_another_user_and_opens_the_way_for_passing_only(short_dir):
    closed = short_dir / "closed"
    closed.mkdir(mode=0o700)
    with start(closed / "var") as postgres:
        assert psutil.Process(postgres.pid).uids().real != 0
    assert closed.stat().st_mode & 0o777 == 0o701


@as_root_only
def test_as_root_it_runs_as_the_owner_of_the_data(short_dir):
    put_cluster(short_dir)
    nobody = pwd.getpwnam("nobody")
    for path in [short_dir / "postgresql-18", *(short_dir / "postgresql-18").rglob("*")]:
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    with start(short_dir) as postgres:
        assert psutil.Process(postgres.pid).uids().real == nobody.pw_uid


@as_root_only
def test_a_socket_directory_that_somebody_else_has_made_is_refused(short_dir):
    long = short_dir / ("x" * 120)
    account = Account.choose(long)
    directory = private_directory(long, account)
    try:
        os.chown(directory, 12345, 12345)
        with pytest.raises(AccountError, match=str(directory)):
            private_directory(long, account)
        os.chown(directory, account.uid, account.gid)
        directory.chmod(0o770)
        with pytest.raises(AccountError, match=str(directory)):
            private_directory(long, account)
    finally:
        directory.rmdir()


def test_a_command_uses_the_server_of_a_running_service(shared):
    settings = Settings(data_dir=shared, database_url=None)
    with DataDirLock(shared), start(shared) as running:
        with database(settings) as url:
            assert url == running.url
        assert running.alive()


def test_a_command_starts_the_server_for_itself_when_none_runs(shared):
    with database(Settings(data_dir=shared, database_url=None)) as url:
        assert query(url, "SELECT 1") == 1
        with pytest.raises(DataDirInUse), DataDirLock(shared):
            pass
    server = Postmaster.read(shared / "postgresql-18")
    assert server is None


def test_a_command_uses_the_given_database():
    url = "postgresql://u:p@h/d"
    with database(Settings(database_url=SecretStr(url))) as given:
        assert given == url
