import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves files beside its sources."""
    source = tmp_path_factory.mktemp("source")
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    names = ["pyproject.toml", "README.md", "LICENSE"]
    names += [f"{module}.py" for module in config["py-modules"]]
    names += [package for package in config["packages"] if "." not in package]
    subprocess.run(["cp", "-R", *names, source], cwd=ROOT, check=True)
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    built = subprocess.run(
        [*command, str(target), str(source)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    [path] = target.glob("*.whl")
    return path


def test_the_wheel_has_every_module_of_the_source_and_nothing_else(wheel):
    packages = {"domain", "application", "interface"}
    expected = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected | {"system.py"}


def test_the_wheel_installed_anywhere_imports_as_a_whole(wheel, tmp_path):
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", site, wheel], check=True, capture_output=True)
    modules = sorted(
        ".".join(path.relative_to(site).with_suffix("").parts).removesuffix(".__init__")
        for path in site.rglob("*.py")
        if "bin" not in path.parts
    )
    assert "system" in modules
    assert "interface.cli" in modules
    code = "\n".join(["import sys", *(f"import {module}" for module in modules)])
    code += "\nprint({m.__file__ for n, m in sys.modules.items() if n in sys.argv})"
    ran = subprocess.run(
        # -P: the working directory, which may be the source, is no place to import from.
        [sys.executable, "-P", "-c", code, *modules],
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert str(site) in ran.stdout
    assert str(ROOT) not in ran.stdout.replace(str(site), "")


def test_the_command_is_installed_under_its_name(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "ome = interface.cli:main" in archive.read(name).decode()
    assert importlib.util.find_spec("interface.cli")
