"""What import-linter, which looks at packages, does not see."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def imported_by(path: Path) -> set[str]:
    """Names of the top-level packages and of the packages of the library, such as a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or ".")
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


def test_the_domain_imports_itself_and_the_domain_part_of_the_library_only():
    for path in (ROOT / "domain").rglob("*.py"):
        foreign = {name for name in imported_by(path) if name.split(".")[0] != "domain"}
        assert foreign <= {"eventsourcing.domain"}, path


def test_the_system_knows_the_application_and_nothing_above_or_beside_it():
    tops = {name.split(".")[0] for name in imported_by(ROOT / "system.py")}
    assert tops <= {"application", "eventsourcing"}
