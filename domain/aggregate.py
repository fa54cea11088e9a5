"""The base of our aggregates: the library's, with events that are built in one step.

The library's own way checks topics, runs each event's dataclass ``__init__``, which sets one
field after the other, and reads the aggregate through properties; for orders that was half of
the time of a command. Events, their classes, and what ``mutate`` makes of them stay the
library's.
"""

# ruff: noqa: SLF001 - what these attributes are is the library's, and this its subclass

from typing import Any, Self, TypeVar

from eventsourcing.domain import Aggregate as LibraryAggregate
from eventsourcing.domain import OriginatorIDError, OriginatorVersionError

T = TypeVar("T")


def build(cls: type[T], state: dict[str, Any]) -> T:
    """An instance of a frozen dataclass, with all its fields from ``state``, which it keeps.

    As the library's mapper builds the events that it reads.
    """
    instance = object.__new__(cls)
    object.__setattr__(instance, "__dict__", state)
    return instance


class Aggregate(LibraryAggregate):
    """The library's aggregate, with other methods that make and collect events."""

    class Event(LibraryAggregate.Event):
        def mutate(self, aggregate: Any) -> Any:
            """Check the place in the sequence, apply, and count, as the library does.

            Ids that are one object are not compared: that takes a UUID 0.2 us.
            """
            if self.originator_id is not aggregate._id and self.originator_id != aggregate._id:
                raise OriginatorIDError(self.originator_id, aggregate._id)
            if self.originator_version != aggregate._version + 1:
                raise OriginatorVersionError(self.originator_version, aggregate._version + 1)
            self.apply(aggregate)
            aggregate._version = self.originator_version
            aggregate._modified_on = self.timestamp
            return aggregate

    class Created(Event, LibraryAggregate.Created):
        mutate = LibraryAggregate.Created.mutate

    @classmethod
    def _create(cls, event_class: type[Any], **kwargs: Any) -> Self:
        """An aggregate and its first event; needs to be told the ``id`` and ``timestamp``."""
        kwargs["originator_topic"] = cls.TOPIC  # type: ignore[attr-defined]
        kwargs["originator_id"] = kwargs.pop("id")
        kwargs["originator_version"] = cls.INITIAL_VERSION
        event = build(event_class, kwargs)
        aggregate: Self = event.mutate(None)
        aggregate._pending_events.append(event)
        return aggregate

    def trigger_event(self, event_class: type[Any], **kwargs: Any) -> None:
        """Record an event; the ``timestamp`` must be given."""
        kwargs["originator_id"] = self._id
        kwargs["originator_version"] = self._version + 1
        event = build(event_class, kwargs)
        event.mutate(self)
        self._pending_events.append(event)

    def collect_events(self) -> list[Any]:
        events, self._pending_events = self._pending_events, []
        return events
