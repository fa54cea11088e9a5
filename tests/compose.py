"""What the compose files say."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
KRAFT: Final = ("docker-compose.yml",)
ZOOKEEPER: Final = (*KRAFT, "docker-compose.zookeeper.yml")

_VARIABLE: Final = re.compile(r"\$\{\w+:-([^}]*)\}")


def services(files: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """The services by name: of each variable its default, of a setting what the last file says."""
    merged: dict[str, dict[str, Any]] = {}
    for file in files:
        read = _with_defaults(yaml.safe_load((ROOT / file).read_text()))
        for name, service in read["services"].items():
            before = merged.get(name, {})
            environment = before.get("environment", {}) | service.get("environment", {})
            merged[name] = before | service | {"environment": environment}
    return merged


def _with_defaults(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_defaults(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_defaults(each) for each in value]
    return _VARIABLE.sub(r"\1", value) if isinstance(value, str) else value
