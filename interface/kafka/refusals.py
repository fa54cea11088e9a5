"""Refusals by Kafka: a sentence with the reason and the remedy, and the wait for that."""

import time
from collections.abc import Sequence
from typing import Final

from application.persistence.following import CannotFollow
from interface.kafka.sender import Refused, TooLarge
from interface.kafka.topic_faults import Fault, alter_topic
from interface.kafka.topic_settings import Settings, read_settings
from interface.kafka.topics import MAX_MESSAGE_BYTES, KafkaAway

_LOOK_SECONDS: Final = 3.0  # from look to look at the settings
_TRY_SECONDS: Final = 60.0  # until it is tried again though they are the same
# In faults because of which Kafka does not confirm messages.
_UNCONFIRMING: Final = ("min.insync.replicas", "in sync", "socket.request.max.bytes")


class Standstill:
    """The reason why a publisher can't go on, and the settings of topics and brokers then."""

    def __init__(self, reason: str, servers: str, names: Sequence[str], found: Settings) -> None:
        self._reason = reason
        self._servers = servers
        self._names = names
        self._found = found
        self._looked = self._since = time.monotonic()

    def wait_for_change(self) -> None:
        """Return when another try is worth it. Raises CannotFollow until then."""
        now = time.monotonic()
        if now - self._since > _TRY_SECONDS:
            return
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            if read_settings(self._servers, self._names) != self._found:
                return
        raise CannotFollow.lasting(self._reason)


def explain(
    leader: str,
    error: Refused | KafkaAway,
    faults: Sequence[Fault],
    found: Settings,
    servers: str,
) -> str:
    """Explain a refusal, with the faults of the topics that may have to do with it."""
    if isinstance(error, TooLarge):
        return _too_large(leader, error, found, servers)
    if isinstance(error, Refused):
        is_cause = [fault.where == f"topic {error.topic}" for fault in faults]
    else:
        is_cause = [any(word in fault.what for word in _UNCONFIRMING) for fault in faults]
    causes = [str(fault) for fault, is_one in zip(faults, is_cause, strict=True) if is_one]
    return "; ".join([str(error), *causes])


def _too_large(leader: str, error: TooLarge, found: Settings, servers: str) -> str:
    what = (
        f"{leader} {error.position}, {error.name}, is a message of {error.size} bytes"
        if error.position
        else "The messages are together"
    )
    if error.size > MAX_MESSAGE_BYTES:
        return (
            f"{what}, more than the {MAX_MESSAGE_BYTES} that any topic is given: it can't be"
            " published. The log is whole in PostgreSQL: followers can read it there, without"
            " KAFKA_BOOTSTRAP_SERVERS"
        )
    state = found.topics.get(error.topic)
    if state is None:
        return f"{what}, more than the topic {error.topic} takes"
    config = state.config or {}
    is_segment = int(config.get("segment.bytes", MAX_MESSAGE_BYTES)) == state.message_bytes
    name, needed = (
        ("segment.bytes", 2**30) if is_segment else ("max.message.bytes", MAX_MESSAGE_BYTES)
    )
    return (
        f"{what} before compression, more than the {state.message_bytes} that the topic"
        f" {error.topic} takes ({name}). To mend it:"
        f" {alter_topic(servers, error.topic, name, str(needed))}. Publishing then goes on by"
        " itself"
    )
