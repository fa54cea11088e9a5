"""Data directories with a cluster in them: to copy one is much quicker than to make it."""

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from interface.postgres import EmbeddedPostgres


def put_cluster(data_dir: Path) -> None:
    """Copy a new cluster, as a first start leaves it, into a data directory, owners included."""
    data_dir.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", f"{_made()}/.", data_dir], check=True)


@cache
def _made() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="ome-test-", dir="/tmp"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    with EmbeddedPostgres(directory, durable=False):
        pass
    return directory
