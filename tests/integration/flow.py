"""The orders of the benchmarks, placed in batches through HTTP, whatever becomes of the service."""

import threading
import time
from typing import Any, Final, Self

import httpx

from benchmarks.workload import NewOrder
from domain.values import format_units

_BATCH: Final = 200
_PATIENCE_SECONDS: Final = 0.1


class Flow:
    """Places them in their order, each batch until it is taken, from __enter__ on."""

    def __init__(self, url: str, orders: list[NewOrder], seconds: float) -> None:
        """``seconds`` that it takes where nothing is in its way."""
        self._url = url
        self._orders = orders
        self._pause = seconds * _BATCH / len(orders)
        self.order_ids: list[str] = []  # of those that were acknowledged
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Waits until all have been acknowledged, or it has failed."""
        self._thread.join()

    def wait_until(self, count: int) -> None:
        """Until so many have been acknowledged."""
        while len(self.order_ids) < count:
            assert self._thread.is_alive(), self.failure
            time.sleep(0.01)

    def _run(self) -> None:
        try:
            with httpx.Client(base_url=self._url, timeout=20, trust_env=False) as http:
                for start in range(0, len(self._orders), _BATCH):
                    time.sleep(self._pause)
                    batch = self._orders[start : start + _BATCH]
                    self.order_ids += _place(http, [_body(order) for order in batch])
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self.failure = error


def _place(http: httpx.Client, bodies: list[dict[str, Any]]) -> list[str]:
    while True:
        answer = http.post("/orders/batch", json={"orders": bodies})
        if answer.status_code != 503:
            results = answer.raise_for_status().json()["results"]
            assert all(result["status"] in (200, 201) for result in results), results
            return [result["order"]["orderId"] for result in results]
        time.sleep(_PATIENCE_SECONDS)


def _body(order: NewOrder) -> dict[str, Any]:
    return {
        "userId": order.user_id,
        "asset": order.asset,
        "type": order.side,
        "price": format_units(order.price),
        "quantity": format_units(order.quantity),
        "clientOrderId": str(order.order_id),
    }
