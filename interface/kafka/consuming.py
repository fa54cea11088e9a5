"""A follower that takes its leaders' logs from topics, in the partitions that Kafka gives it.

Its positions are in PostgreSQL, by position in the log and partition; Kafka's offsets only say
where to begin looking. It drops repeated messages, and never steps over a gap. Of two that
believe they own a partition, one finds the position moved. After any error it leaves the group
of consumers, and joins it again from the stored positions.

A follower of several logs has the same partitions of each: what it is to have of one before it
can go on in another comes in the partition of the same assets.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from application.persistence.error_words import in_words
from application.persistence.following import BatchFollower, CannotFollow
from application.views.view import View
from interface.following import Following
from interface.kafka.reading import Source
from interface.kafka.taking import ELSEWHERE, Standstill, Taking, Unpublished
from interface.kafka.topics import KafkaAway

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.2  # how soon a stop is noticed
_GATHER_SECONDS: Final = 0.005  # to wait for more, see Publisher
_EARLY_SECONDS: Final = 0.02  # until a message that came too early is read again
_HANGING_MS: Final = 60_000  # after which others get the partitions of a worker that hangs
_PARKED_SECONDS: Final = 5.0
_QUIET_SECONDS: Final = 10.0


class Consuming(Following):
    """A follower by topic instead of by store, from its turn on; others may follow meanwhile."""

    shares_its_turn = True

    def __init__(
        self,
        follower: BatchFollower,
        batch_size: int,
        stopping: threading.Event,
        sources: Sequence[Source],
    ) -> None:
        """``sources``: in the order in which what has come of each is taken."""
        super().__init__(follower, [each.leader for each in sources], batch_size, stopping)
        self._takings = [Taking(follower, source) for source in sources]
        self._first, *_ = sources
        self._joined_at = 0.0

    def work(self) -> None:
        """Take part in the group until ``stopping`` is set."""
        try:
            with self._joined() as consumer:
                while self.is_our_turn and not self._stopping.is_set():
                    self._take(consumer)
        except KafkaException as error:
            raise KafkaAway.by(error.args[0]) from error
        except Unpublished:
            # Out of the group: who leaves and joins each second keeps the others from working.
            self._stopping.wait(_PARKED_SECONDS)
            raise
        except ELSEWHERE:
            raise
        except Standstill as error:
            if not isinstance(self.follower, View):
                self._stopping.wait(_PARKED_SECONDS)
                raise CannotFollow.lasting(str(error)) from error
            self._park(self.follower, str(error), error)
        except Exception as error:
            if not isinstance(self.follower, View):
                raise
            self._park(self.follower, f"{self._first.leader} {in_words(error)}", error)

    def _park(self, view: View, reason: str, error: Exception) -> None:
        """Record why the view can't go on, until it is rebuilt or comes past the message."""
        if view.recorder.park(reason):  # it is tried again and again, and told once
            log.error("view parked", extra={"view": view.name, "reason": reason}, exc_info=error)
        self._stopping.wait(_PARKED_SECONDS)

    @contextmanager
    def _joined(self) -> Iterator[Consumer]:
        for taking in self._takings:
            taking.begin()
        self._check_partitions()
        self._joined_at = time.monotonic()
        session_ms = self._first.session_ms
        ids = ".".join(taking.topic.id for taking in self._takings)
        consumer = Consumer(
            {
                **self._first.config,
                # With the topics' own ids: offsets in another of the same name are none in it.
                "group.id": f"{self._first.group}.{ids}",
                # By range, a consumer gets the same partitions of all topics.
                "partition.assignment.strategy": (
                    "range" if len(self._takings) > 1 else "cooperative-sticky"
                ),
                "session.timeout.ms": session_ms,
                "heartbeat.interval.ms": session_ms // 3,
                "max.poll.interval.ms": _HANGING_MS,
                "error_cb": _raise_if_away,
            }
        )
        try:
            consumer.subscribe(
                [taking.source.topic for taking in self._takings],
                on_assign=self._forget,
                on_revoke=self._forget,
                on_lost=self._forget,
            )
            self._forget()
            yield consumer
        finally:
            consumer.close()

    def _check_partitions(self) -> None:
        """Raise CannotFollow where an asset would be in different partitions of the topics."""
        counts = {taking.source.topic: taking.topic.partitions for taking in self._takings}
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{topic} has {count}" for topic, count in counts.items())
            raise CannotFollow.lasting(
                f"the topics need the same number of partitions, and {said}: delete them and make"
                " them anew with `ome kafka init`"
            )

    def _forget(self, *_: object) -> None:
        """Read the stored positions again: others may have moved those that are ours now."""
        self.follower.forget()
        for taking in self._takings:
            taking.forget()

    def _take(self, consumer: Consumer) -> None:
        """Take the messages that have come, or none if none come for a moment."""
        for taking in self._takings:
            taking.look_at_topic()
        first = consumer.poll(_POLL_SECONDS)
        if first is None:
            if consumer.assignment() and time.monotonic() - self._joined_at > _QUIET_SECONDS:
                self.works_again()  # whatever it could not take would have come by now
            return
        received: dict[str, dict[int, list[Message]]] = defaultdict(lambda: defaultdict(list))
        for message in (first, *consumer.consume(self._batch_size - 1, _GATHER_SECONDS)):
            if (error := message.error()) is not None:
                raise KafkaException(error)
            topic, partition = cast("str", message.topic()), cast("int", message.partition())
            received[topic][partition].append(message)
        for taking in self._takings:
            taking.know_positions()
        early = [
            taking.take(consumer, received[taking.source.topic])
            for taking in self._takings
            if taking.source.topic in received
        ]
        if any(early):
            self._stopping.wait(_EARLY_SECONDS)
        self.works_again()


def _raise_if_away(error: KafkaError) -> None:
    """Once joined, a consumer waits without a word for a broker that is gone."""
    if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - its public name
        raise KafkaException(error)
