"""The settings of all processes, read from the environment and from `.env`."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from interface.database_url import database_env
from interface.errors import CannotStartError


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
        le=65535,
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
    http_threads: int = Field(
        default=128,
        ge=4,
        le=256,
        description="Requests that one HTTP worker serves at a time.",
    )
    http_workers: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Processes that serve HTTP.",
    )
    keep_to_one_cpu: bool = Field(
        default=True,
        description="Whether each process of ours runs on one core only, which is faster.",
    )
    batch_size: int = Field(
        default=500,
        ge=1,
        le=10_000,
        description="Notifications that a follower takes at a time, at most.",
    )
    snapshot_every: int = Field(
        default=10_000,
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
    read_wait_seconds: float = Field(
        default=3,
        ge=0,
        le=30,
        description="How long a GET with a Position waits for its read model.",
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
