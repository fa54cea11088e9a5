"""The directory of the embedded PostgreSQL's socket."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from interface.postgres.account import Account, AccountError

# The kernel takes 107 bytes and cuts nothing off: longer is an error. The name is the server's.
_LONGEST: Final = 99
_SOCKET: Final = ".s.PGSQL.5432"


class SocketDirError(AccountError):
    """The directory for the socket is there and is not ours."""


def private_directory(data_dir: Path, account: Account) -> Path:
    """Make the directory, open to this user alone, and give its path.

    It is in the data directory where that has a short path, else under the system's directory for
    temporary files with a name derived from the data directory. There, anybody could have made it
    before us: raise SocketDirError unless it is this user's alone.
    """
    directory = data_dir / "socket"
    # libpq takes a comma for the end of a host's name.
    if len(bytes(directory / _SOCKET)) <= _LONGEST and "," not in str(directory):
        directory.mkdir(mode=0o700, exist_ok=True)
        account.own(directory)
        directory.chmod(0o700)
        return directory
    name = hashlib.sha256(bytes(data_dir)).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()).resolve() / f"ome-{account.uid}-{name}"
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    private = stat.S_ISDIR(status.st_mode) and not stat.S_IMODE(status.st_mode) & 0o077
    # It is our own for a moment when root makes it for another user.
    if not private or status.st_uid not in (account.uid, os.geteuid()):
        raise SocketDirError(
            f"{directory} is needed for the database's socket, but it is not a directory of"
            f" {account.name} alone. Remove it, or set DATA_DIR to a shorter path."
        )
    account.open_way_to(directory)
    account.own(directory)
    return directory
