"""Filling a view that is built anew with all that a topic has of its leader's log."""

from collections import defaultdict
from collections.abc import Callable
from typing import Final, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from application.views.view import View
from interface.kafka.reading import Early, Extent, Gap, Source, take
from interface.kafka.topics import KafkaAway

_BATCH: Final = 4_000  # messages, as a rebuild from the store
_SECONDS: Final = 0.2  # to wait for as many
_PATIENCE: Final = 50  # times, without a word


def fill(source: Source, view: View, progress: Callable[[int], None]) -> None:
    """Take the topic from its beginning to its present end, in no group of consumers.

    Raises CannotFollow where Kafka is away or the topic is not there, Gap where its beginning
    is gone, Unreadable.
    """
    consumer = Consumer(
        {**source.config, "enable.auto.commit": False, "enable.partition.eof": True}
    )
    try:
        _Filling(source, view, consumer).work(progress)
    except KafkaException as error:
        raise KafkaAway.by(error.args[0]) from error
    finally:
        consumer.close()


class _Filling:
    def __init__(self, source: Source, view: View, consumer: Consumer) -> None:
        self._source = source
        self._view = view
        self._consumer = consumer
        topic = source.find()
        source.check(view, topic)
        self._partitions = topic.partitions
        self._gaps: dict[int, Gap] = {}
        self._early: set[int] = set()  # partitions that go on with what has not come yet
        self._positions = list(view.take_parts(source.leader, self._partitions))

    def work(self, progress: Callable[[int], None]) -> None:
        places = [
            TopicPartition(self._source.topic, number, OFFSET_BEGINNING)
            for number in range(self._partitions)
        ]
        self._consumer.assign(places)
        unfinished = set(range(self._partitions))
        while unfinished:
            received, ended = self._receive()
            for partition in received.keys() & unfinished:
                progress(self._take(partition, received[partition]))
            unfinished -= self._early
            for partition in ended & unfinished & self._gaps.keys():
                raise self._gaps[partition]
            unfinished -= ended
        for place in places:
            _, end = self._consumer.get_watermark_offsets(place)
            is_gone = end > 0 and self._positions[place.partition] == 0
            if is_gone and place.partition not in self._early:
                raise Gap(f"{self._source.topic}, partition {place.partition}: all of it is gone")

    def _receive(self) -> tuple[dict[int, list[Message]], set[int]]:
        """Messages by partition, and the partitions that end with them."""
        received: dict[int, list[Message]] = defaultdict(list)
        ended: set[int] = set()
        for _ in range(_PATIENCE):
            for message in self._consumer.consume(_BATCH, _SECONDS):
                partition = cast("int", message.partition())
                error = message.error()
                if error is None:
                    received[partition].append(message)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    ended.add(partition)
                else:
                    raise KafkaException(error)
            if received or ended:
                return received, ended
        raise KafkaAway("Kafka is away")

    def _take(self, partition: int, messages: list[Message]) -> int:
        """Apply messages; return the number of events among them."""
        source, position = self._source, self._positions[partition]
        is_due = self._view.due_in_partition(source.leader, partition)
        extent = Extent(self._partitions, self._view.end_of_log(source.leader), is_due)
        taken = take(source, messages, position, extent, _pass_over)
        if isinstance(taken.fault, Early):
            self._early.add(partition)  # the rest comes from the store
        elif isinstance(taken.fault, Gap):
            self._gaps.setdefault(partition, taken.fault)  # what is missing may come yet
        elif taken.fault is not None:
            raise taken.fault
        else:
            self._gaps.pop(partition, None)
        if taken.upto > position:
            self._view.process_parts(source.leader, {partition: (taken.entries, taken.upto)})
            self._positions[partition] = taken.upto
        return len(taken.entries)


def _pass_over(_message: Message, _reason: str) -> None:
    """Pass over a foreign message: followers of the topic put it aside."""
