"""The settings of all processes, read from the environment and from `.env`."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from application.persistence.schemas import PUBLIC, check_schema
from interface.database_url import database_env
from interface.errors import CannotStartError

# Kafka takes names of 249 characters: there is room for what comes after a prefix.
_TOPIC_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{0,200}")
_TYPE_PREFIX: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")
_FOR_EVER: Final = -1
_MAX_PORT: Final = 65535


class SettingsError(CannotStartError):
    """A setting has a value that cannot be used; the message names each and says why."""


def _address(host: str) -> str:
    # The HTTP server takes addresses, not names.
    try:
        return str(ip_address("127.0.0.1" if host.lower() == "localhost" else host))
    except ValueError:
        raise ValueError("must be an IP address or localhost") from None


def _database_url(url: SecretStr) -> SecretStr:
    database_env(url.get_secret_value())
    return url


def _bootstrap_servers(servers: str) -> str:
    parts = [server.strip() for server in servers.split(",")]
    for part in parts:
        host, _, port = part.rpartition(":")
        is_port = port.isascii() and port.isdigit() and 1 <= int(port) <= _MAX_PORT
        if not host or not is_port or re.search(r"[\s/]", host):
            raise ValueError("must be host:port, or several with commas between them")
    return ",".join(parts)


def _topic_prefix(prefix: str) -> str:
    if not _TOPIC_PREFIX.fullmatch(prefix):
        raise ValueError("must be up to 200 letters, digits, dots, underscores and hyphens")
    return prefix


def _type_prefix(prefix: str) -> str:
    if not _TYPE_PREFIX.fullmatch(prefix):
        raise ValueError("must be a name like com.example: lower case, with dots in between")
    return prefix


def _retention(hours: int) -> int:
    if hours != _FOR_EVER and hours < 1:
        raise ValueError("must be at least 1, or -1 for ever")
    return hours


def _upper(level: object) -> object:
    return level.upper() if isinstance(level, str) else level


class Settings(BaseSettings):
    """Each field is the environment variable of the same name in capitals.

    An empty value counts as not given. The environment has precedence over `.env`.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
    )

    host: Annotated[str, AfterValidator(_address)] = Field(
        default="127.0.0.1",
        description="Address to listen on. There is no authentication: mind who can reach it.",
    )
    port: int = Field(
        default=8000,
        ge=1,
        le=_MAX_PORT,
        description="Port to listen on.",
    )
    data_dir: Path = Field(
        default=Path("var"),
        description="Directory of the embedded PostgreSQL and its log, made when missing.",
    )
    database_url: Annotated[SecretStr, AfterValidator(_database_url)] | None = Field(
        default=None,
        description="postgresql://user:password@host:port/name; unset: the embedded PostgreSQL.",
    )
    database_schema: Annotated[str, AfterValidator(check_schema)] = Field(
        default=PUBLIC,
        description="Schema of the market in that database; another one is another market.",
    )
    http_threads: int = Field(
        default=16,
        ge=4,
        le=256,
        description="Threads of one HTTP worker for reads of the database, batches and lists.",
    )
    http_connections: int = Field(
        default=5_000,
        ge=16,
        le=100_000,
        description="Connections of clients that one HTTP worker keeps at a time.",
    )
    http_commit_waits: int = Field(
        default=5_000,
        ge=1,
        le=100_000,
        description="Requests that wait for their commit in one HTTP worker; more get 503.",
    )
    http_prefer_waits: int = Field(
        default=500,
        ge=1,
        le=100_000,
        description="Requests with Prefer: wait that wait in it; more are answered at once.",
    )
    http_position_waits: int = Field(
        default=5_000,
        ge=1,
        le=100_000,
        description="Reads with a Position that wait in it; more get 503.",
    )
    http_body_seconds: float = Field(
        default=10,
        gt=0,
        le=3600,
        description="Time for the body of a request to arrive; else it gets 408.",
    )
    http_request_seconds: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="Time for a whole request, from its head to its answer; else it gets 503.",
    )
    http_workers: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Processes that serve HTTP.",
    )
    keep_to_one_cpu: bool = Field(
        default=True,
        description="Whether each HTTP worker, and the engine, runs on one core, which is faster.",
    )
    batch_size: int = Field(
        default=500,
        ge=1,
        le=10_000,
        description="Notifications that a follower takes at a time, at most.",
    )
    snapshot_every: int = Field(
        default=1_000,
        ge=1,
        le=100_000_000,
        description="Commands of a book between its snapshots, at least.",
    )
    max_lag_seconds: float = Field(
        default=5,
        gt=0,
        le=3600,
        description="When matching is further behind, new orders and amends get 503.",
    )
    max_clock_ahead_seconds: float = Field(
        default=1,
        ge=0.1,
        le=60,
        description="How far a command's time may be ahead of the database's clock.",
    )
    read_wait_seconds: float = Field(
        default=3,
        ge=0,
        le=30,
        description="How long a GET with a Position waits for its read model.",
    )
    kafka_bootstrap_servers: Annotated[str, AfterValidator(_bootstrap_servers)] | None = Field(
        default=None,
        description="host:port,... of Kafka, to which all events are published; unset: no Kafka.",
    )
    kafka_topic_prefix: Annotated[str, AfterValidator(_topic_prefix)] = Field(
        default="",
        description="What the names of the topics begin with.",
    )
    kafka_partitions: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="Partitions of the topics that `ome kafka init` makes.",
    )
    kafka_replication: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Brokers that keep a copy of each of their partitions.",
    )
    kafka_retention_hours: Annotated[int, AfterValidator(_retention)] = Field(
        default=_FOR_EVER,
        le=1_000_000,
        description="Hours that their messages are kept; -1: for ever.",
    )
    kafka_session_seconds: float = Field(
        default=6,
        ge=1,
        le=300,
        description="How long a worker may be silent before others get its partitions.",
    )
    kafka_type_prefix: Annotated[str, AfterValidator(_type_prefix)] = Field(
        default="com.ordermatchingengine",
        description="What the types of the messages begin with.",
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
    ] = Field(
        default="INFO",
        description="DEBUG, INFO, WARNING, ERROR or CRITICAL.",
    )

    def environment(self) -> dict[str, str]:
        """Give these settings as a child process reads them, secrets included."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for name, value in values.items()
            if value is not None
        }


def load_settings() -> Settings:
    """Read the settings; raise SettingsError that names every variable with a bad value."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The file .env cannot be read: {error}") from None


def _explain(error: ValidationError) -> str:
    lines = ["These settings cannot be used:"]
    for fault in error.errors(include_url=False):
        name = str(fault["loc"][0])
        rule = fault["msg"].removeprefix("Value error, ")
        rule = rule.replace("Input should be", "must be")
        secret = "SecretStr" in str(Settings.model_fields[name].annotation)
        shown = "" if secret else f"={fault['input']}"
        lines.append(f"  {name.upper()}{shown}: {rule}")
    return "\n".join(lines)
