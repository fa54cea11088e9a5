"""The reasons why the service does not start, or does not stay up."""

from typing import ClassVar, Final

# Exit codes; 1 is any other reason, 2 a setting or an option that can't be used.
DATABASE_UNUSABLE: Final = 3
DATABASE_UNREACHABLE: Final = 4


class CannotStartError(Exception):
    """The base of all reasons; the message is for the user, and says what to do.

    CannotStartError
    ├── SettingsError       a setting has a value that cannot be used
    ├── DataDirInUse        another process has DATA_DIR
    ├── DataDirUnusable     DATA_DIR cannot be made or written
    ├── PortInUse           PORT cannot be had
    ├── AccountError        no user to run PostgreSQL as, or it cannot have what it needs
    ├── PostgresError       PostgreSQL does not start; the message ends with what its log says
    ├── DatabaseError       the database can't be used as it is: trying again does not help
    │   └── NoDatabase      the database does not answer: it may later
    └── ServiceFailedError  a process ends as often as it is started
    """

    exit_code: ClassVar[int] = 1


class DatabaseError(CannotStartError):
    """The database can't be used as it is, and starting again would not change that."""

    exit_code = DATABASE_UNUSABLE

    def __init__(self, reason: str) -> None:
        super().__init__(
            f'The database can\'t be used: {reason}.\nSee "When it does not start" in'
            " docs/operations.md."
        )


class NoDatabase(DatabaseError):
    """The database does not answer, or has no connection left for us."""

    exit_code = DATABASE_UNREACHABLE


class ServiceFailedError(CannotStartError):
    """A process ends as often as it is started."""
