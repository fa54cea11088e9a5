"""A follower that takes its leader's log from a topic, in the partitions that Kafka gives it.

Its positions are in PostgreSQL, by position in the log and partition; Kafka's offsets only say
where to begin looking. It drops repeated messages, and never steps over a gap. Of two that
believe they own a partition, one finds the position moved. After any error it leaves the group
of consumers, and joins it again from the stored positions.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from application.persistence.connection import AWAY
from application.persistence.error_words import in_words
from application.persistence.following import BatchFollower, CannotFollow
from application.persistence.partitions import part
from application.persistence.position import PositionMoved
from application.views.view import View
from interface.following import Following
from interface.kafka.dead_letters import DeadLetters
from interface.kafka.reading import Extent, Fault, Gap, Source, Taken, take
from interface.kafka.topics import Found, KafkaAway
from system import VIEWS

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.2  # how soon a stop is noticed
_GATHER_SECONDS: Final = 0.005  # to wait for more, see Publisher
_ASK_SECONDS: Final = 2
_LOOK_SECONDS: Final = 5.0  # from look to look whether the topic is still the same
_HANGING_MS: Final = 60_000  # after which others get the partitions of a worker that hangs
_PARKED_SECONDS: Final = 5.0
_QUIET_SECONDS: Final = 10.0
_BACK: Final = 10_000  # messages, at first
_ON: Final = 100_000  # messages: more than a publisher sends until it looks at its topics

# These errors have nothing to do with the message at hand.
_ELSEWHERE: Final = (*AWAY, PositionMoved, CannotFollow, KafkaException)


class Unpublished(CannotFollow):
    """The publisher will send messages again that are on the topic, with those before them."""


class Standstill(Exception):
    """A partition can't be followed any further; the text says why, and begins with its name."""


class Consuming(Following):
    """A follower by topic instead of by store, from its turn on; others may follow meanwhile."""

    shares_its_turn = True

    def __init__(
        self, follower: BatchFollower, batch_size: int, stopping: threading.Event, source: Source
    ) -> None:
        super().__init__(follower, source.leader, batch_size, stopping)
        self._source = source
        self._dead_letters = DeadLetters(source.servers, source.dead_letters, source.group)
        self._topic = Found("", 0)
        self._looked = self._joined_at = 0.0
        self._mine: dict[int, int] = {}  # partition -> position
        self._begun: dict[int, tuple[int, int]] = {}  # -> offsets: gone back from, and to
        self._gaps: dict[int, int] = {}  # partition -> offset from which on it reads past a gap

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
        except _ELSEWHERE:
            raise
        except Standstill as error:
            if not isinstance(self.follower, View):
                self._stopping.wait(_PARKED_SECONDS)
                raise CannotFollow.lasting(str(error)) from error
            self._park(self.follower, str(error), error)
        except Exception as error:
            if not isinstance(self.follower, View):
                raise
            self._park(self.follower, f"{self.leader} {in_words(error)}", error)

    def _park(self, view: View, reason: str, error: Exception) -> None:
        """Record why the view can't go on, until it is rebuilt or comes past the message."""
        if view.recorder.park(reason):  # it is tried again and again, and told once
            log.error("view parked", extra={"view": view.name, "reason": reason}, exc_info=error)
        self._stopping.wait(_PARKED_SECONDS)

    @contextmanager
    def _joined(self) -> Iterator[Consumer]:
        self._topic = self._source.find()
        self._source.check(self.follower, self._topic)
        self._looked = self._joined_at = time.monotonic()
        session_ms = self._source.session_ms
        consumer = Consumer(
            {
                **self._source.config,
                # With the topic's own id: offsets in another of the same name are none in it.
                "group.id": f"{self._source.group}.{self._topic.id}",
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": session_ms,
                "heartbeat.interval.ms": session_ms // 3,
                "max.poll.interval.ms": _HANGING_MS,
                "error_cb": _raise_if_away,
            }
        )
        try:
            consumer.subscribe(
                [self._source.topic],
                on_assign=self._forget,
                on_revoke=self._forget,
                on_lost=self._forget,
            )
            self._forget()
            yield consumer
        finally:
            consumer.close()

    def _forget(self, *_: object) -> None:
        """Read the stored positions again: others may have moved those that are ours now."""
        self.follower.forget()
        self._mine.clear()
        self._begun.clear()
        self._gaps.clear()

    def _take(self, consumer: Consumer) -> None:
        """Return the messages that have come, or none if none come for a moment."""
        self._look_at_topic()
        first = consumer.poll(_POLL_SECONDS)
        if first is None:
            if consumer.assignment() and time.monotonic() - self._joined_at > _QUIET_SECONDS:
                self.works_again()  # whatever it could not take would have come by now
            return
        received: dict[int, list[Message]] = defaultdict(list)
        for message in (first, *consumer.consume(self._batch_size - 1, _GATHER_SECONDS)):
            if (error := message.error()) is not None:
                raise KafkaException(error)
            received[cast("int", message.partition())].append(message)
        if not self._mine:
            self._mine = dict(
                enumerate(self.follower.take_parts(self.leader, self._topic.partitions))
            )
        # Some may have been taken from us since the first message came.
        ours = {each.partition for each in consumer.assignment()} & received.keys()
        if not ours <= self._mine.keys():
            raise CannotFollow(f"the topic {self._source.topic} is another than it was")
        # All messages that have come were recorded before.
        extent = Extent(self._topic.partitions, self.follower.end_of_log(self.leader))
        taken = {number: self._read(number, received[number], extent) for number in ours}
        self._apply({number: each for number, each in taken.items() if self._is_new(number, each)})
        faults = {
            number: each
            for number, each in taken.items()
            if each.fault is not None
            and not self._go_back(consumer, each)
            and not self._read_on(consumer, each, received[number][-1])
        }
        # A follower that goes on from here reads the last message again, and so sees at once if
        # PostgreSQL lacks it, as after a crash, even if no more messages come.
        lasts = [
            (number, cast("int", received[number][-1].offset()))
            for number, each in taken.items()
            if each.fault is None
        ]
        consumer.store_offsets(
            offsets=[TopicPartition(self._source.topic, number, last) for number, last in lasts]
        )
        for number, each in faults.items():
            raise self._standstill(number, cast("Fault", each.fault)) from each.fault
        self.works_again()

    def _standstill(self, partition: int, fault: Fault) -> Exception:
        """Return the sentence about a message that can't be taken, with what mends it."""
        where = self._part(partition)
        if not isinstance(fault, Gap) or fault.upto is None:
            return Standstill(f"{where} {fault}")
        published = self._source.published_upto(self.follower)
        if published < fault.upto:
            # It was sent and not confirmed, as where a message is too large: it will come.
            return Unpublished(
                f"{where}: {self.leader} is published up to {published} only, and what is on the"
                " topic beyond that is passed over. It goes on by itself when the publisher does"
            )
        return Standstill(f"{where} {fault} on the topic any more: {self._advice}")

    @property
    def _advice(self) -> str:
        for name, view in VIEWS.items():
            if isinstance(self.follower, view):
                return f"`ome rebuild {name}` makes the view anew from the event store"
        return (
            "run this role without KAFKA_BOOTSTRAP_SERVERS until it has caught up from the event"
            " store"
        )

    def _look_at_topic(self) -> None:
        """Of a topic that is made anew a consumer notices nothing, or reads some partitions only.

        Raises CannotFollow: who joins anew has no part in what the old one was.
        """
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        with suppress(KafkaAway):  # which the consumer finds out as well
            if self._source.find() == self._topic:
                return
            raise CannotFollow(f"the topic {self._source.topic} is another than it was")

    def _read(self, partition: int, messages: Sequence[Message], extent: Extent) -> Taken:
        position, not_ours = self._mine[partition], self._dead_letters.send
        return take(self._source, messages, position, extent, not_ours)

    def _is_new(self, partition: int, taken: Taken) -> bool:
        return taken.upto > self._mine[partition]

    def _go_back(self, consumer: Consumer, taken: Taken) -> bool:
        """Go back to look for missing messages before where Kafka began; False: they are not there.

        After a crash Kafka may be a little ahead of PostgreSQL: each step back is larger.
        """
        if not isinstance(taken.fault, Gap):
            return False
        message = cast("Message", taken.message)
        partition, offset = cast("int", message.partition()), cast("int", message.offset())
        place = TopicPartition(self._source.topic, partition)
        first, _ = consumer.get_watermark_offsets(place, timeout=_ASK_SECONDS)
        since, begun = self._begun.get(partition, (offset, offset))
        if begun <= first:
            return False
        place.offset = max(first, since - max(_BACK, 10 * (since - begun)))
        consumer.seek(place)
        self._begun[partition] = since, place.offset
        return True

    def _read_on(self, consumer: Consumer, taken: Taken, last: Message) -> bool:
        """Read on, as missing messages may come yet; False: they won't.

        A publisher may not notice at once that its topic was deleted and made again. Then its next
        messages come first, and those that it sends again follow.
        """
        if not isinstance(taken.fault, Gap):
            return False
        partition, offset = cast("int", last.partition()), cast("int", last.offset())
        place = TopicPartition(self._source.topic, partition)
        _, end = consumer.get_watermark_offsets(place, timeout=_ASK_SECONDS)
        first = self._gaps.setdefault(partition, offset)
        return offset + 1 < min(end, first + _ON)

    def _apply(self, taken: Mapping[int, Taken]) -> None:
        """Apply the new events of all partitions, in one transaction. Raises Standstill."""
        if not taken:
            return
        for number in taken:
            self._begun.pop(number, None)
            self._gaps.pop(number, None)
        try:
            parts = {number: (each.entries, each.upto) for number, each in taken.items()}
            self.follower.process_parts(self.leader, parts)
        except _ELSEWHERE:
            raise
        except Exception:
            if not isinstance(self.follower, View):
                raise
            self._apply_up_to_the_fault(taken)
        self._mine.update((number, each.upto) for number, each in taken.items())

    def _apply_up_to_the_fault(self, taken: Mapping[int, Taken]) -> None:
        """Event by event, of each partition up to the one that can't be applied.

        Raises Standstill there.
        """
        stored = self.follower.take_parts(self.leader, self._topic.partitions)
        for number in taken:
            if stored[number] != self._mine[number]:
                raise PositionMoved(f"{self._part(number)} is at {stored[number]} already")
        faults = [
            fault for number, each in taken.items() if (fault := self._apply_singly(number, each))
        ]
        if faults:
            raise faults[0] from faults[0].__cause__

    def _apply_singly(self, partition: int, taken: Taken) -> Standstill | None:
        for position, event in taken.entries:
            try:
                one = {partition: ([(position, event)], position)}
                self.follower.process_parts(self.leader, one)
            except _ELSEWHERE:
                raise
            except Exception as error:  # noqa: BLE001 - it is told
                # The follower has dropped what it knew.
                self.follower.take_parts(self.leader, self._topic.partitions)
                reason = f"{position}, {event.TOPIC}: {in_words(error)}"
                fault = Standstill(f"{self._part(partition)} {reason}")
                fault.__cause__ = error
                return fault
        self.follower.process_parts(self.leader, {partition: ([], taken.upto)})
        return None

    def _part(self, partition: int) -> str:
        return part(self.leader, partition)


def _raise_if_away(error: KafkaError) -> None:
    """Once joined, a consumer waits without a word for a broker that is gone."""
    if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - its public name
        raise KafkaException(error)
