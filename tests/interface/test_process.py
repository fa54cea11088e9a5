import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from interface.child import Endings
from interface.process import die_with_supervisor

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a service of the Linux kernel")

CHILD = """
import os, time
from interface.process import die_with_parent
die_with_parent(int(os.environ["EXPECTED"]))
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = f"""
import os, subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", {CHILD!r}], env=os.environ | {{"EXPECTED": str(os.getpid())}}
)
child.wait()
"""


def test_a_process_ends_when_its_parent_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        _, alive = psutil.wait_procs([child], timeout=5)
        assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_a_process_whose_parent_is_gone_already_ends_at_once():
    env = os.environ | {"EXPECTED": "999999999"}
    started = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", CHILD], cwd=ROOT, env=env, check=False)
    assert ended.returncode == -signal.SIGTERM
    assert time.monotonic() - started < 10


def test_a_process_that_no_supervisor_started_lives_on(monkeypatch):
    monkeypatch.delenv("OME_SUPERVISOR_PID", raising=False)
    die_with_supervisor()


def test_five_endings_in_a_row_soon_after_the_start_are_too_many(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    endings = Endings()
    told = []
    for lived in (1, 1, 1, 6, 1, 1, 1, 1, 1):
        endings.start()
        clock[0] += lived
        told.append(endings.add())
    assert told == [False] * 8 + [True]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="there are no cores to choose")
@pytest.mark.parametrize("place", [0, -1, 5])
def test_a_process_keeps_to_one_of_the_cores_that_it_may_use(place: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    code = f"""
import os
from interface.process import keep_to_one_cpu
keep_to_one_cpu({place})
print(*os.sched_getaffinity(0))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ended.stdout.split() == [str(cores[place % len(cores)])]
