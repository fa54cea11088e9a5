"""The limits of one HTTP worker."""

from typing import NamedTuple, Self

from interface.settings import Settings


class Limits(NamedTuple):
    """How much one HTTP worker takes on, and for how long; see the settings of these names."""

    threads: int = 16
    commit_waits: int = 5_000
    prefer_waits: int = 500
    position_waits: int = 5_000
    body_seconds: float = 10
    request_seconds: float = 60
    read_wait_seconds: float = 3
    max_lag_seconds: float = 5

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            threads=settings.http_threads,
            commit_waits=settings.http_commit_waits,
            prefer_waits=settings.http_prefer_waits,
            position_waits=settings.http_position_waits,
            body_seconds=settings.http_body_seconds,
            request_seconds=settings.http_request_seconds,
            read_wait_seconds=settings.read_wait_seconds,
            max_lag_seconds=settings.max_lag_seconds,
        )
