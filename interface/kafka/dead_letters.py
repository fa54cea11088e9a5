"""Dead letters: foreign messages on our topics."""

import logging
from functools import cached_property
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from interface.kafka.topics import MAX_MESSAGE_BYTES, QUIET, TOO_LARGE

log = logging.getLogger(__name__)

_SECONDS: Final = 10  # for the broker to confirm


class DeadLetters:
    """A topic for them; ``count`` is how many this process has sent there."""

    def __init__(self, servers: str, topic: str, consumer: str) -> None:
        """``consumer``: who sends them; each who meets a message does."""
        self._servers = servers
        self._topic = topic
        self._consumer = consumer
        self.count = 0

    def send(self, message: Message, reason: str) -> None:
        """Send a message as it came, with the reason, and wait until the broker has it.

        Raises KafkaException. A message that is too large for the topic goes there without its
        value, which stays where it is.
        """
        try:
            self._send(message, reason, message.value())
        except KafkaException as error:
            if error.args[0].code() not in TOO_LARGE:
                raise
            size = len(message.value() or b"")
            self._send(message, f"{reason}; its {size} bytes are too many for this topic", None)

    def _send(self, message: Message, reason: str, value: bytes | None) -> None:
        failures: list[KafkaError] = []
        self._producer.produce(
            self._topic,
            key=message.key(),
            value=value,
            headers={
                "reason": reason,
                "consumer": self._consumer,
                "topic": message.topic(),
                "partition": str(message.partition()),
                "offset": str(message.offset()),
            },
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
        if self._producer.flush(_SECONDS):
            failures.append(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - its public name
        if failures:
            raise KafkaException(failures[0])
        self.count += 1
        log.warning(
            "a message that is not ours",
            extra={
                "topic": message.topic(),
                "partition": message.partition(),
                "offset": message.offset(),
                "reason": reason,
                "count": self.count,
            },
        )

    @cached_property
    def _producer(self) -> Producer:
        """Hardly ever needed."""
        return Producer(
            {
                "bootstrap.servers": self._servers,
                "enable.idempotence": True,
                "allow.auto.create.topics": False,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                **QUIET,
            }
        )
