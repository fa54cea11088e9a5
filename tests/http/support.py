"""Words for tests of the HTTP API."""

import json
import uuid
from typing import Any

from application.orders import Orders
from interface.http import create_app
from interface.listening import Bell
from system import Market, followings

# Flask's test client and its response. What their JSON is, each test says.
Client = Any
Response = Any

WAIT = {"Prefer": "wait=5"}


class Service:
    """A market and its HTTP API."""

    def __init__(self, market: Market, bell: Bell, env: dict[str, str], **limits: float) -> None:
        self.market = market
        self.env = env
        self._bell = bell
        self.client = self.client_with(**limits)

    def client_with(self, **limits: Any) -> Client:
        """A client of an application with limits of its own."""
        limits = {"http_threads": 16, "max_lag_seconds": 5, "read_wait_seconds": 3, **limits}
        return create_app(self.market, self._bell, **limits).test_client()

    def another_client(self) -> Client:
        """A client for another thread."""
        return self.client.application.test_client()

    def match(self) -> None:
        """Has matching decide what waits; nobody else has heard of it then."""
        while self.market.matching.process_batch(Orders.name):
            pass

    def follow(self) -> None:
        """Has every follower take what waits, until nothing does."""
        while any(follower.process_batch(leader) for follower, leader in followings(self.market)):
            pass

    def count_events(self) -> int:
        return self.market.orders.recorder.max_notification_id() or 0


def new_asset() -> str:
    return f"T-{uuid.uuid4().hex[:12]}"


def order(**fields: Any) -> dict[str, Any]:
    """A good order; a field that is None is left out."""
    fields = {
        "userId": "user123",
        "asset": "BTC-USD",
        "type": "BUY",
        "price": 100,
        "quantity": 1,
        **fields,
    }
    return {name: value for name, value in fields.items() if value is not None}


def shown(response: Response) -> dict[str, str]:
    """The headers of a read that shows all that a write caused."""
    return {"Position": response.headers["Position"]}


def exact(response: Response) -> Any:
    """The JSON of a response; its numbers as the texts they are written as."""
    return json.loads(response.data, parse_int=str, parse_float=str)
