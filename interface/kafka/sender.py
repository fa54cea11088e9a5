"""A sender of publications to the partitions of a feed's topics, each with its place in the log.

A message is a CloudEvent in Kafka's binary mode. From the headers alone a consumer
recognises repeated messages, and gaps:

    ce_position     where the log stands with this message
    ce_predecessor  where it stood with the event before it in the same partition; 0: none
    ce_partitions   the number of partitions of the log: with another, the other two differ

A partition that gets no event for a while gets a message of its own with the position of the log,
which is the predecessor of none.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event
from typing import Any, Final, NoReturn

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from application.persistence.following import CannotFollow
from application.persistence.partitions import partition_of
from application.publishing import Publication
from interface.kafka.topics import MAX_MESSAGE_BYTES, QUIET, TOO_LARGE, KafkaAway

PROGRESS: Final = "log.progress.v1"

Header = tuple[str, str | bytes | None]  # as the client has them; none of ours is None

_CONFIG: Final = {
    "enable.idempotence": True,
    "acks": "all",
    # A message that fails takes all after it along: what is in a partition has no gap, also
    # where the messages of a sender that was given up arrive among those of the next one.
    "enable.gapless.guarantee": True,
    "allow.auto.create.topics": False,
    "delivery.report.only.error": True,
    "message.timeout.ms": 10_000,
    "message.max.bytes": MAX_MESSAGE_BYTES,
    # Large requests, well compressed. The end of a batch does not wait for it: it is flushed.
    "linger.ms": 50,
    "compression.type": "lz4",
    **QUIET,
}
# The first wait for the broker, and the factor of each next one. The client gets no event of a
# success: it looks for one only every 10 ms, and at the end of the wait.
_CONFIRMED_SECONDS: Final = 0.001
_LONGER: Final = 1.25
_LOOK_SECONDS: Final = 0.1
_encode = msgspec.json.Encoder().encode
_NOT_TAKEN: Final = "Kafka does not take what is sent"
# Beside the value: headers, the key, and what a compressor adds to what can't be compressed.
_ENVELOPE_BYTES: Final = 4_096
_BATCH_BYTES: Final = 1_000_000  # the client's own, uncompressed
# These are no accidents: the topic, or our access to it, is not as it must be.
_REFUSALS: Final = (
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_MSG,
    KafkaError.POLICY_VIOLATION,
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)


class Refused(CannotFollow):
    """Kafka answers, and refuses messages for a topic: the same again has no better chance."""

    def __init__(self, topic: str, error: KafkaError | None) -> None:
        said = f" ({error.str()})" if error else ""
        super().__init__(f"Kafka refuses messages for the topic {topic}{said}")
        self.topic = topic


class TooLarge(Refused):
    """A message that its topic does not take; ``position`` 0: nobody knows which."""

    is_preceded = False  # by others of its batch, which the topic takes

    def __init__(self, topic: str, position: int, name: str, size: int) -> None:
        super().__init__(topic, None)
        self.position = position
        self.name = name
        self.size = size  # of the value, uncompressed


class Sender:
    """A sender of batches until the first failure; then it is discarded, and another is made.

    The first message in each partition, and one that may be too large for its topic, is in flight
    alone. Sent among others, its refusal leaves a gap: a broker that knows nothing of a producer
    yet takes its second request in a partition though it refused the first.
    """

    def __init__(  # noqa: PLR0913 - all of it is the publisher's to know
        self,
        servers: str,
        source: str,
        ends: dict[str, list[int]],
        prefixes: tuple[str, str],
        interrupted: Event,
        *,
        limits: Mapping[str, int],
    ) -> None:
        """``ends``: of each topic, the position of the last event in each of its partitions.

        ``prefixes`` of the names of topics and of types; ``limits``: how large a message each
        topic takes, as the broker stores it.
        """
        self._source = source
        topic_prefix, self._type_prefix = prefixes
        self._topics = {topic: topic_prefix + topic for topic in ends}
        self._interrupted = interrupted
        self._failures: list[tuple[KafkaError, Message]] = []
        self._throttled_until = float("-inf")
        self._small = {topic: limit - _ENVELOPE_BYTES for topic, limit in limits.items()}
        # The partitions in which a broker knows nothing of this sender yet.
        self._unknown = {(topic, number) for topic in ends for number in range(len(ends[topic]))}
        self.ends = ends
        self._fixed_headers: dict[tuple[str, str], list[Header]] = {}
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "on_delivery": self._note_failure,
                "throttle_cb": self._note_throttle,
                # The broker's limit is one of requests, not of messages.
                "batch.size": max(min(_BATCH_BYTES, *self._small.values()), 1),
                **_CONFIG,
            }
        )
        self._produce = self._producer.produce

    def send(self, position: int, publication: Publication) -> None:
        """Hand over a message; ``finish`` waits for its arrival. Raises CannotFollow."""
        ends = self.ends[publication.topic]
        key = publication.key
        partitions = range(len(ends)) if key is None else (partition_of(key, len(ends)),)
        for partition in partitions:
            if ends[partition] >= position:
                raise ValueError(f"two messages of {position} in partition {partition}")
            self._send(position, publication, partition)
            ends[partition] = position

    def tell(self, position: int) -> None:
        """Send the position of the log to all partitions that have nothing of it."""
        now = datetime.now(UTC)
        for topic, ends in self.ends.items():
            for partition, end in enumerate(ends):
                if end < position:
                    identifier = f"{position}-{topic}-{partition}"
                    progress = Publication(identifier, topic, None, PROGRESS, now, b"{}")
                    self._send(position, progress, partition)

    def throttled_seconds(self) -> float:
        """For how long a broker wants to hear nothing, as by a quota of ours."""
        self._producer.poll(0)
        return self._throttled_until - time.monotonic()

    def finish(self) -> None:
        """Wait for the broker. Raises CannotFollow unless everything has arrived.

        Refused if the broker has refused a message, KafkaAway if it didn't answer.
        """
        seconds = _CONFIRMED_SECONDS
        try:
            while self._producer.flush(seconds) and not self._failures:
                if self._interrupted.is_set():
                    raise CannotFollow("told to stop")
                seconds = min(seconds * _LONGER, _LOOK_SECONDS)
        except KafkaException as error:  # it can't go on at all
            self._raise(error)
        if self._failures:
            self._raise(KafkaException(self._failures[0][0]))

    def _raise(self, error: KafkaException) -> NoReturn:
        """Raise the cause of the failures: most are only the consequence of one."""
        with suppress(KafkaException):  # it may say again that it can't go on
            self._producer.flush(_LOOK_SECONDS)
        for cause, message in self._failures:
            topic = message.topic() or ""
            if cause.code() in TOO_LARGE:
                raise TooLarge(topic, 0, "", len(message.value() or b"")) from error
            if cause.code() in _REFUSALS:
                raise Refused(topic, cause) from error
        away = KafkaAway(_NOT_TAKEN)
        away.is_unconfirmed = True
        raise away from error

    def discard(self) -> None:
        """Drop the messages that have not been sent, at once."""
        self._producer.purge()
        with suppress(KafkaException):  # it may say again that it can't go on
            self._producer.flush(0)

    def _send(self, position: int, publication: Publication, partition: int) -> None:
        identifier, topic, key, name, moment, value = publication
        headers: list[Header] = [
            *(self._fixed_headers.get((topic, name)) or self._fix_headers(topic, name)),
            ("ce_id", identifier),
            ("ce_time", _encode(moment)[1:-1]),  # ISO 8601 with Z, in a tenth of isoformat's time
            ("ce_position", str(position)),
            ("ce_predecessor", str(self.ends[topic][partition])),
        ]
        if (topic, partition) in self._unknown or len(value) > self._small[topic]:
            self._send_alone(position, publication, partition, headers)
            self._unknown.discard((topic, partition))
            return
        message = (self._topics[topic], value, key, partition)
        try:
            self._produce(*message, headers=headers)
        except BufferError:  # as much as it takes at a time
            self.finish()
            self._produce(*message, headers=headers)
        except KafkaException as error:
            self._raise(error)

    def _send_alone(
        self, position: int, publication: Publication, partition: int, headers: list[Header]
    ) -> None:
        """Send a message that may be refused, with nothing before or after it in flight."""
        self.finish()
        topic = self._topics[publication.topic]
        size = len(publication.value)
        try:
            self._produce(topic, publication.value, publication.key, partition, headers=headers)
            self.finish()
        except TooLarge as error:
            raise TooLarge(topic, position, publication.type, size) from error
        except KafkaException as error:
            if error.args[0].code() not in TOO_LARGE:
                self._raise(error)
            # More than any topic of ours takes: the client does not even try.
            raise TooLarge(topic, position, publication.type, size) from error

    def _fix_headers(self, topic: str, name: str) -> list[Header]:
        """Those that all messages of a type have."""
        self._fixed_headers[topic, name] = [
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_source", f"/{self._source}".encode()),
            ("ce_type", f"{self._type_prefix}.{name}".encode()),
            ("ce_partitions", str(len(self.ends[topic])).encode()),
        ]
        return self._fixed_headers[topic, name]

    def _note_throttle(self, event: Any) -> None:
        if event.throttle_time:  # seconds; what is sent meanwhile waits, and may wait too long
            self._throttled_until = time.monotonic() + event.throttle_time

    def _note_failure(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:  # their methods can't be called here: an exception may be pending
            self._failures.append((error, message))
