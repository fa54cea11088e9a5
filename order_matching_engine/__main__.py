"""Start `ome` with our packages, whatever else is named domain or system.

The wheel installs this package alone, with the four names of the source below it. They are
importable in the processes of `ome` only: elsewhere `import domain` is the user's own.
"""

import os
import sys


def main() -> None:
    """Run the command line with our packages first on the module search path."""
    sys.path.insert(0, home())
    from interface.cli import main as ome  # noqa: PLC0415 - importable from here on

    ome(prog_name="ome")


def home() -> str:
    """Return the directory that holds our packages: a part of this one, or the checkout."""
    # No pathlib: until main() has run, a module of that name may come from the working directory.
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    installed = os.path.join(here, "source")  # noqa: PTH118
    return installed if os.path.isdir(installed) else os.path.dirname(here)  # noqa: PTH112, PTH120


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # `python -m` puts the working directory there
    main()
