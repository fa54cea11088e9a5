"""One PostgreSQL for each test process, a database of its own for each test, and one Kafka."""

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.databases import EMPTY, PATIENT, fresh_database
from tests.kafka.runtime import or_skip
from tests.kafka.sharing import Kafka, SharedKafka, ask

if TYPE_CHECKING:
    from tests.kafka.broker import Broker

_SHARED = pytest.StashKey[SharedKafka]()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    # Tests start hundreds of processes: what is compiled for one is kept for the next.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # Their child processes import only what an installation has.
    paths = (str(Path(__file__).with_name("as_installed")), os.environ.get("PYTHONPATH"))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    # Out of the environment: what tests start uses no Kafka unless they tell it to.
    config.stash[_SHARED] = SharedKafka(os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two more than there are processors: tests of whole processes wait more than they work."""
    del config
    return len(os.sched_getaffinity(0)) + 2


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist, before it starts, whom it asks for Kafka."""
    node.workerinput["kafka"] = node.config.stash[_SHARED].address()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SHARED in config.stash:
        config.stash[_SHARED].close()


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory that other users can be let into, unlike tmp_path, with a short path."""
    directory = Path(tempfile.mkdtemp(prefix="ome-test-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server that this test process has for itself, quick and not durable."""
    # Imported here: tests of the domain need nothing that is above it.
    from interface.postgres import EmbeddedPostgres  # noqa: PLC0415
    from tests.clusters import put_cluster  # noqa: PLC0415

    directory = Path(tempfile.mkdtemp(prefix="ome-test-", dir="/tmp"))
    put_cluster(directory)
    with EmbeddedPostgres(directory, durable=False) as postgres:
        yield postgres.url
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def market_template(postgres_url: str) -> str:
    """The name of a database with a market's tables; to copy it is quicker than to make them.

    The time that is waited for a lock is in its functions: a long one.
    """
    from interface.database_url import database_env  # noqa: PLC0415
    from system import create_tables  # noqa: PLC0415

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE market")
    create_tables({**database_env(postgres_url.replace("/ome?", "/market?")), **PATIENT})
    return "market"


@pytest.fixture
def database_url(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh database, with a market's tables where a fixture needs market_template."""
    needed = "market_template" in request.fixturenames
    template = request.getfixturevalue("market_template") if needed else EMPTY
    with fresh_database(postgres_url, template) as url:
        yield url


@pytest.fixture
def library_env(database_url: str) -> dict[str, str]:
    """The library's environment for a fresh database."""
    from interface.database_url import database_env  # noqa: PLC0415

    return database_env(database_url)


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Kafka:
    """The Kafka that the whole test run shares; topics belong under topic_prefix."""
    workerinput = getattr(request.config, "workerinput", None)
    if workerinput:
        return or_skip(lambda: ask(workerinput["kafka"]))
    return or_skip(request.config.stash[_SHARED].get)


@pytest.fixture
def topic_prefix(kafka: Kafka) -> Iterator[str]:
    """What the names of a test's topics on the shared Kafka begin with; they go with it."""
    from tests.kafka.topics import delete_topics  # noqa: PLC0415

    prefix = f"test-{uuid.uuid4().hex}."
    yield prefix
    delete_topics(kafka.bootstrap_servers, prefix)


@pytest.fixture
def own_broker(short_dir: Path) -> "Iterator[Broker]":
    """A broker that runs for one test, which may kill it."""
    from tests.kafka.broker import Broker  # noqa: PLC0415

    with or_skip(lambda: Broker(short_dir)) as broker:
        yield broker
