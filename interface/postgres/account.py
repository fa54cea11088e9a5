"""The user that PostgreSQL runs as, and what that user must be able to reach.

PostgreSQL refuses to run as root. Started by root, it runs as another user, to whom some paths
have to be opened; started by anybody else, it runs as that user and nothing changes.
"""

import logging
import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypedDict

from interface.errors import CannotStartError

_log = logging.getLogger(__name__)


class PopenUser(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[str | int]


class AccountError(CannotStartError):
    """The user that PostgreSQL would run as is missing, or cannot have what it needs."""


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int

    @classmethod
    def choose(cls, cluster: Path) -> Self:
        """Choose the user for a server on the cluster, which need not exist yet.

        Raise AccountError when the cluster belongs to somebody we cannot become.
        """
        me = cls(_user_name(os.geteuid()), os.geteuid(), os.getegid())
        owner = cls._owner_of(cluster)
        if me.uid != 0:
            if owner is not None and owner.uid != me.uid:
                raise AccountError(
                    f"{cluster} belongs to {owner.name}, and only that user or root can start"
                    " the database in it. Set DATA_DIR to another directory."
                )
            return me
        if owner is not None and owner.uid != 0:
            return owner
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(name, entry.pw_uid, entry.pw_gid)
        raise AccountError(
            "PostgreSQL does not run as root, and there is neither a user postgres nor nobody."
            " Start as another user, or set DATABASE_URL."
        )

    @classmethod
    def _owner_of(cls, path: Path) -> Self | None:
        if not path.exists():
            return None
        status = path.stat()
        return cls(_user_name(status.st_uid), status.st_uid, status.st_gid)

    @property
    def is_other(self) -> bool:
        return self.uid != os.geteuid()

    @property
    def popen_arguments(self) -> PopenUser:
        """Return the arguments with which subprocess.Popen runs a program as this user."""
        if not self.is_other:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Hand a file or an empty directory over to this user."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)

    def open_way_to(self, path: Path) -> None:
        """Let this user pass through the directories above path, without listing them."""
        if not self.is_other:
            return
        for parent in path.resolve().parents:
            if not self._may(parent, stat.S_IXUSR):
                parent.chmod(stat.S_IMODE(parent.stat().st_mode) | stat.S_IXOTH)
                _log.warning(
                    "directory opened",
                    extra={"path": str(parent), "mode": "o+x", "user": self.name},
                )

    def open_tree(self, top: Path) -> None:
        """Let this user read and execute a directory of public files, such as installed ones.

        An installation under umask 077 leaves them to root alone.
        """
        if not self.is_other or not top.exists():
            return
        opened = 0
        for path in (top, *top.rglob("*")):
            if path.is_symlink():
                continue
            mode = stat.S_IMODE(path.stat().st_mode)
            # The same for others as for the owner, except for writing.
            wanted = mode | (mode >> 6) & (stat.S_IROTH | stat.S_IXOTH)
            if wanted != mode:
                path.chmod(wanted)
                opened += 1
        if opened:
            _log.warning(
                "files opened",
                extra={"path": str(top), "count": opened, "mode": "o+rX", "user": self.name},
            )

    def _may(self, path: Path, right: int) -> bool:
        """Tell whether the mode gives a right, named as for the owner, to this user."""
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & right)
        if status.st_gid == self.gid:
            return bool(status.st_mode & right >> 3)
        return bool(status.st_mode & right >> 6)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        # Containers run with user ids that no passwd file knows.
        return str(uid)
