import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from interface.data_dir import DataDirInUse, DataDirLock, DataDirUnusable

ROOT = Path(__file__).parents[2]


def test_the_directory_is_made_when_missing(tmp_path):
    with DataDirLock(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()


def test_two_locks_on_one_directory_exclude_each_other(tmp_path):
    with DataDirLock(tmp_path), pytest.raises(DataDirInUse) as error, DataDirLock(tmp_path):
        pass
    assert str(tmp_path) in str(error.value)
    assert f"(pid {os.getpid()})" in str(error.value)


def test_a_released_lock_can_be_taken_again(tmp_path):
    for _ in range(2):
        with DataDirLock(tmp_path):
            pass


def test_a_killed_holder_leaves_the_directory_free(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from interface.data_dir import DataDirLock\n"
        "with DataDirLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(DataDirInUse, match=re.escape(f"(pid {holder.pid})")):
            DataDirLock(tmp_path).__enter__()
        holder.kill()
        holder.wait()
        with DataDirLock(tmp_path):
            pass


@pytest.mark.parametrize("name", ["file", "file/below", "/dev/null", "/proc/below"])
def test_a_directory_that_cannot_be_used_is_refused_with_its_name(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirUnusable, match="cannot be used"), DataDirLock(tmp_path / name):
        pass
