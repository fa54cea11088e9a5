"""Users of the service have no rich, which import-linter brings along.

Where it is there, httpx and structlog import it: 0.1 s of CPU time in each process.
"""

raise ImportError("rich")
