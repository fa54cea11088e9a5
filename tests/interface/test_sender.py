"""What a sender hands to its producer, and when it waits for the broker in between."""

from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest

from application.publishing import Publication
from interface.kafka import sender
from interface.kafka.sender import Sender

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEYS = {0: "BTC-USD", 1: "SOL-USD"}  # an asset of each partition


class Producer:
    """A producer whose broker confirms everything as soon as it is flushed."""

    def __init__(self, config: dict[str, Any]) -> None:
        del config
        self.flights: list[list[int]] = [[]]  # the partitions of what was in flight together

    def produce(self, _topic: str, _value: bytes, _key: str, partition: int, **_: Any) -> None:
        self.flights[-1].append(partition)

    def flush(self, _seconds: float) -> int:
        if self.flights[-1]:
            self.flights.append([])
        return 0


def placed(partition: int) -> Publication:
    return Publication("1", "orders", KEYS[partition], "order.placed.v1", NOON, b"{}")


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> list[Producer]:
    made: list[Producer] = []

    def make(config: dict[str, Any]) -> Producer:
        made.append(Producer(config))
        return made[-1]

    monkeypatch.setattr(sender, "Producer", make)
    return made


def test_first_message_in_each_partition_is_confirmed_before_another_is_in_flight(
    producers: list[Producer],
) -> None:
    limits = {"orders": 1_000_000}
    sends = Sender("", "Orders", {"orders": [0, 0]}, ("", ""), Event(), limits=limits)
    for position, partition in enumerate([0, 0, 1, 0, 1, 1], start=1):
        sends.send(position, placed(partition))
    sends.finish()
    [producer] = producers
    assert producer.flights == [[0], [0], [1], [0, 1, 1], []]
    assert sends.ends == {"orders": [4, 6]}
