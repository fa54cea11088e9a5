"""A place in a log."""

from typing import Any

Entry = tuple[int, Any]  # a notification id and its event
