"""DATA_DIR belongs to one process at a time."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from interface.errors import CannotStartError


class DataDirInUse(CannotStartError):
    """Another process has locked the data directory."""


class DataDirUnusable(CannotStartError):
    """The data directory cannot be made or written."""


class DataDirLock:
    """Hold DATA_DIR, made when missing, from __enter__ to __exit__ or to the end of the process.

    The kernel drops the lock with the process, so kill -9 leaves nothing to clean up; the file
    stays, for removing it would let two processes lock two files of the same name.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Take the lock; raise DataDirInUse, or DataDirUnusable when it cannot be written."""
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            file = os.open(self._data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise DataDirUnusable(
                f"The data directory {self._data_dir} cannot be used: {error.strerror}."
                " Set DATA_DIR to a directory that you may write to."
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode(errors="replace").strip()
            os.close(file)
            raise DataDirInUse(
                f"The data directory {self._data_dir.resolve()} is in use by another process"
                f" (pid {holder or 'unknown'}). Stop that one, or set DATA_DIR to another one."
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
