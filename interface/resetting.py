"""Resetting the time of books that are ahead of the database's clock, through the service."""

import time
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

import httpx

_PATIENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.5


def reset_times(client: httpx.Client, assets: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Reset these books, or all that are ahead; yield each asset with its book's new time.

    Raise httpx.HTTPStatusError where the service refuses.
    """
    done: set[str] = set()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        for asset in assets or _ahead(client):
            if asset not in done:
                done.add(asset)
                yield asset, _reset(client, asset)
                deadline = time.monotonic() + _PATIENCE_SECONDS
        # The service shows a part of them, and needs a moment to see what has become of those.
        if assets or not _ahead(client) or time.monotonic() > deadline:
            return
        time.sleep(_PAUSE_SECONDS)


def _ahead(client: httpx.Client) -> Sequence[str]:
    return list(client.get("/ready").json().get("booksAhead", ()))


def _reset(client: httpx.Client, asset: str) -> str:
    path = f"/books/{quote(asset, safe='')}/reset-time"
    answered = client.post(path, headers={"Prefer": "wait=10"})
    answered.raise_for_status()
    shown: str = answered.json()["time"]
    return shown
