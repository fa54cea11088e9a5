"""What must hold in the compose files; what they start is started elsewhere."""

import shutil
import subprocess

import pytest

from interface.cli import ROLES
from interface.settings import Settings, load_settings
from tests.compose import KRAFT, ROOT, ZOOKEEPER, services
from tests.kafka.broker import KRAFT_VERSION, ZOOKEEPER_VERSION

both = pytest.mark.parametrize("files", [KRAFT, ZOOKEEPER], ids=["KRaft", "ZooKeeper"])


def ours(files):
    return {name: each for name, each in services(files).items() if each.get("build") == "."}


def sample():
    """The settings that .env.sample gives for what compose starts."""
    header, *_ = (ROOT / ".env.sample").read_text().split("\n\n")
    lines = [line.removeprefix("#") for line in header.splitlines() if not line.startswith("# ")]
    return dict(line.split("=", 1) for line in lines if line)


@both
def test_ports_are_published_to_this_machine_only(files):
    published = [port for each in services(files).values() for port in each.get("ports", [])]
    assert sorted(published) == [
        "127.0.0.1:5432:5432",
        "127.0.0.1:8000:8000",
        "127.0.0.1:9092:9092",
    ]


def test_every_part_of_the_service_runs_once():
    commands = [each["command"] for each in ours(KRAFT).values()]
    parts = set(ROLES) - {"all", "engine", "orders-publisher", "matching-publisher"}
    assert sorted(commands) == sorted(
        [["ome", "kafka", "init"], *(["ome", "run", "--role", part] for part in parts)]
    )


def test_what_containers_are_told_are_settings_that_can_be_used(monkeypatch):
    known = {name.upper() for name in Settings.model_fields}
    for each in ours(KRAFT).values():
        assert set(each["environment"]) <= known
        for name, value in each["environment"].items():
            monkeypatch.setenv(name, value)
        assert load_settings().kafka_bootstrap_servers == "kafka:19092"


def test_settings_of_the_market_reach_every_part():
    for each in ours(KRAFT).values():
        assert {"DATABASE_SCHEMA", "KAFKA_TOPIC_PREFIX", "LOG_LEVEL"} <= set(each["environment"])


def test_only_who_serves_http_is_asked_whether_it_lives():
    asked = [name for name, each in ours(KRAFT).items() if "healthcheck" not in each]
    assert asked == ["api"]
    assert all(
        each["healthcheck"] == {"disable": True}
        for name, each in ours(KRAFT).items()
        if name != "api"
    )


@both
def test_who_waits_for_another_to_be_well_waits_for_one_that_says_so(files):
    everybody = services(files)
    for each in everybody.values():
        for name, wanted in each.get("depends_on", {}).items():
            other = everybody[name]
            if wanted["condition"] == "service_healthy":
                assert "test" in other["healthcheck"]
            else:
                assert wanted["condition"] == "service_completed_successfully"
                assert other["restart"] == "on-failure"


@both
def test_the_sample_reaches_from_the_host_what_compose_starts(files):
    postgres, kafka = (services(files)[name]["environment"] for name in ("postgres", "kafka"))
    user, password, database = (postgres[f"POSTGRES_{name}"] for name in ("USER", "PASSWORD", "DB"))
    given = sample()
    assert given["DATABASE_URL"] == f"postgresql://{user}:{password}@127.0.0.1:5432/{database}"
    advertised = dict(each.split("://") for each in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert advertised == {"INSIDE": "kafka:19092", "HOST": given["KAFKA_BOOTSTRAP_SERVERS"]}
    assert given["POSTGRES_PASSWORD"] == password


def test_kafka_is_of_the_versions_that_tests_run():
    assert services(KRAFT)["kafka"]["image"] == f"apache/kafka:{KRAFT_VERSION}"
    image, version = services(ZOOKEEPER)["kafka"]["image"].split(":")
    assert image == "confluentinc/cp-kafka"
    major, line, _ = version.split(".")
    assert major == "7"  # whose 7.9 is Kafka 3.9
    assert ZOOKEEPER_VERSION.startswith(f"3.{line}.")


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="There is no docker-compose.")
@both
def test_compose_takes_the_files(files):
    arguments = [word for file in files for word in ("-f", file)]
    subprocess.run(["docker-compose", *arguments, "config", "--quiet"], cwd=ROOT, check=True)
