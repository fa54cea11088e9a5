"""The wheel, installed into a clean environment beside the modules of somebody else."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.service import Service, client, place

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
SOURCE = "order_matching_engine/source/"
OURS = ("domain", "application", "interface")
# A user's modules: named as ours, and as some of Python's own that all programs import.
SHADOWS = (*OURS, "system", "json", "logging", "types", "pathlib", "typing")
# What a user's program does with a service: it knows nothing but HTTP.
SELL = """
import json, sys, urllib.request
import domain, order_matching_engine

order = {"userId": domain.OWNER, "asset": "BTC-USD", "type": "SELL", "price": 1, "quantity": 1.5}
headers = {"Content-Type": "application/json", "Prefer": "wait=30"}
request = urllib.request.Request(f"{sys.argv[1]}/orders", json.dumps(order).encode(), headers)
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves files beside its sources."""
    source = tmp_path_factory.mktemp("source")
    names = ["pyproject.toml", "README.md", "LICENSE", "system.py", "order_matching_engine", *OURS]
    subprocess.run(["cp", "-R", *names, source], cwd=ROOT, check=True)
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    built = subprocess.run(
        [*command, str(target), str(source)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    [path] = target.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that has the wheel and its dependencies, and no checkout."""
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = directory / "lib" / version / "site-packages"
    # Directories named in a .pth file are searched, but their own .pth files are not read: so
    # the editable install of the checkout that is there has no effect.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    python = str(directory / "bin" / "python")
    install = [python, "-m", "pip", "install", "--no-deps", "--no-index", "--ignore-installed"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, env=clean())
    assert {path.name for path in site.iterdir() if path.is_dir()} == {
        "order_matching_engine",
        next(site.glob("*.dist-info")).name,
    }
    return directory


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's program with a package `domain` of its own, and modules that nobody may import."""
    directory = tmp_path_factory.mktemp("project")
    for name in SHADOWS:
        (directory / f"{name}.py").write_text(f"raise SystemExit('imported {name} of the user')")
    domain = directory / "program" / "domain"
    domain.mkdir(parents=True)
    (domain / "__init__.py").write_text("OWNER = 'program'")
    (directory / "program" / "sell.py").write_text(SELL)
    return directory


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_the_wheel_has_every_module_of_the_source_and_nothing_else(wheel):
    expected = {
        str(path.relative_to(ROOT))
        for package in (*OURS, "order_matching_engine")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {name.removeprefix(SOURCE) for name in names} == expected | {"system.py"}
    assert {name.split("/")[0] for name in names} == {"order_matching_engine"}


def test_each_package_of_the_source_is_listed():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in OURS
        for path in (ROOT / package).rglob("__init__.py")
    }
    listed = {name.removeprefix("order_matching_engine.source.") for name in config["packages"]}
    assert listed == found | {"order_matching_engine"}


def test_the_wheel_installed_anywhere_imports_as_a_whole(environment, tmp_path):
    [source] = environment.rglob("order_matching_engine/source")
    modules = sorted(
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for path in source.rglob("*.py")
    )
    assert {"system", "interface.cli"} <= set(modules)
    code = "import sys, order_matching_engine.__main__ as launcher\n"
    code += "sys.path.insert(0, launcher.home())\n"
    code += "\n".join(f"import {module}" for module in modules)
    code += "\nprint(*{m.__file__ for n, m in sys.modules.items() if n in sys.argv}, sep='\\n')"
    ran = subprocess.run(
        [environment / "bin" / "python", "-P", "-c", code, *modules],
        env=clean(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    files = ran.stdout.split()
    assert len(files) == len(modules)
    assert all(path.startswith(str(source)) for path in files)


@pytest.fixture
def installed(environment: Path, project: Path) -> Iterator[Service]:
    """The service from the wheel, in the user's directory and with the user's PYTHONPATH."""
    running = Service(project, PYTHONPATH=str(project / "program"))
    running.command = (str(environment / "bin" / "ome"),)
    try:
        running.start()
        yield running
    finally:
        running.clean_up()


def test_the_service_and_a_program_with_a_domain_of_its_own_trade(installed, environment, project):
    with client(installed) as http:
        order = {"asset": "BTC-USD", "price": "45000", "quantity": 1.5}
        maker = place(http, {**order, "userId": "maker", "type": "BUY"})
        sold = subprocess.run(
            [environment / "bin" / "python", project / "program" / "sell.py", installed.url],
            env=clean(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert sold.returncode == 0, sold.stderr
        taker = json.loads(sold.stdout)
        assert (taker["userId"], taker["status"]) == ("program", "FILLED")
        [trade] = http.get("/trades?asset=BTC-USD").json()["trades"]
        assert trade["makerOrderId"] == maker.json()["orderId"]
    # As a module, which puts the working directory first on the search path.
    installed.command = (str(environment / "bin" / "python"), "-m", "order_matching_engine")
    installed.directory = project / "program"
    assert installed.verify() == {"consistent": True, "difference": None}
    assert installed.terminate() == 0
