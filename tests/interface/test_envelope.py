"""What the headers of a message have to say, and what becomes of one that doesn't."""

from typing import Any

import pytest

from interface.kafka.envelope import Envelope, NotOurs, Opener

OPENER = Opener("/Orders", "com.example")
HEADERS: dict[str, bytes | None] = {
    "ce_specversion": b"1.0",
    "ce_source": b"/Orders",
    "ce_type": b"com.example.order.placed.v1",
    "ce_position": b"17",
    "ce_predecessor": b"12",
    "ce_partitions": b"8",
}


class Message:
    def __init__(self, headers: dict[str, bytes | None] | None) -> None:
        self._headers = headers

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return None if self._headers is None else list(self._headers.items())


class Garbled:
    """As the client has it whose headers' names are no UTF-8."""

    def headers(self) -> None:
        raise SystemError("returned a result with an exception set")


def read(message: Any) -> Envelope:
    return OPENER.open(message)


def test_headers_say_what_it_is_and_where_it_belongs() -> None:
    for _ in range(2):  # what messages of a type have in common is known from then on
        assert read(Message(HEADERS)) == Envelope("order.placed.v1", 17, 12, 8)


@pytest.mark.parametrize("name", HEADERS)
def test_what_lacks_a_header_is_not_ours(name: str) -> None:
    rest = {each: value for each, value in HEADERS.items() if each != name}
    with pytest.raises(NotOurs, match=f"it has no header {name}"):
        read(Message(rest))


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("value", [None, b"", b"\xff", b"x"])
def test_what_has_something_else_in_a_header_is_not_ours(name: str, value: bytes | None) -> None:
    with pytest.raises(NotOurs):
        read(Message({**HEADERS, name: value}))


@pytest.mark.parametrize("places", [("0", "0"), ("17", "17"), ("17", "18"), ("17", "-1")])
def test_what_has_no_place_in_a_log_is_not_ours(places: tuple[str, str]) -> None:
    position, predecessor = (place.encode() for place in places)
    with pytest.raises(NotOurs, match="is none in a log"):
        read(Message({**HEADERS, "ce_position": position, "ce_predecessor": predecessor}))


@pytest.mark.parametrize("count", [b"0", b"-8"])
def test_what_is_of_no_partitions_is_not_ours(count: bytes) -> None:
    with pytest.raises(NotOurs, match="is not divided among"):
        read(Message({**HEADERS, "ce_partitions": count}))


@pytest.mark.parametrize("message", [Message(None), Message({}), Garbled()])
def test_what_has_no_headers_that_can_be_read_is_not_ours(message: Any) -> None:
    with pytest.raises(NotOurs):
        read(message)
