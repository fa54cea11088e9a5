"""Why the service does not start, or does not stay up."""


class CannotStartError(Exception):
    """The base of all reasons; the message is for the user, and says what to do.

    CannotStartError
    ├── SettingsError       a setting has a value that cannot be used
    ├── DataDirInUse        another process has DATA_DIR
    ├── DataDirUnusable     DATA_DIR cannot be made or written
    ├── PortInUse           PORT cannot be had
    ├── AccountError        no user to run PostgreSQL as, or it cannot have what it needs
    ├── PostgresError       PostgreSQL does not start; the message ends with what its log says
    └── ServiceFailedError  a process ends as often as it is started
    """


class ServiceFailedError(CannotStartError):
    """A process ends as often as it is started."""
