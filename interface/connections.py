"""The number of connections to the database that each process, and all together, may have."""

from typing import Final, NamedTuple, Self

from application.persistence.datastore import ENGINE_POOL

# Those of a pool, and those that a process has beside it: to commit, to listen, to hold its locks.
API_POOL: Final = 7
_ENGINE: Final = ENGINE_POOL + 1
SNAPSHOTS_POOL: Final = 2
_SNAPSHOTS: Final = SNAPSHOTS_POOL + 1
_WORKER: Final = API_POOL + 2
_LEAST: Final = 2  # one in the pool and one beside it: with these a process still works
_LEAST_OF_WORKER: Final = 3  # one in the pool and two beside it
# Pools grow as they like: whoever comes last finds no more than what all others leave.
_LEFT_OUT: Final = _WORKER - _LEAST_OF_WORKER


class Need(NamedTuple):
    """The connections that a role needs at least, and takes at most; in words as well."""

    least: int
    most: int
    formula: str

    @classmethod
    def of(cls, role: str, workers: int) -> Self:
        if role == "all":
            most = _ENGINE + _SNAPSHOTS + _WORKER * workers
            return cls(
                most - _LEFT_OUT,
                most,
                f"{_ENGINE} for the engine + {_SNAPSHOTS} for snapshots"
                f" + {_WORKER} for each HTTP worker (HTTP_WORKERS={workers})",
            )
        if role == "api":
            most = _WORKER * workers
            return cls(
                most - _LEFT_OUT,
                most,
                f"{_WORKER} for each HTTP worker (HTTP_WORKERS={workers})",
            )
        most = _SNAPSHOTS if role == "snapshots" else _ENGINE
        return cls(_LEAST, most, f"{most} for the role {role}")

    def __str__(self) -> str:
        return f"up to {self.most} connections: {self.formula}"
