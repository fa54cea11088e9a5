"""The assets in which each user has orders that rest or wait: an index of Matching's own.

Its rows are written in the transaction of the events that they follow from, so they are a
function of Matching's log at that position, and a request about all orders of a user costs
what the user's own orders cost. A row may outlive its orders for a while: the book is asked
anyway, and a user who trades all day would otherwise leave thousands of dead row versions,
which every later look-up steps over for as long as any transaction needs them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from eventsourcing.application import LocalNotificationLog

from application.persistence.mapper import JSONMapper
from application.persistence.user_assets import Changes, MatchingRecorder, Pair, of_book
from domain.order_book import OrderBook

# Rows that are kept without orders: in all, and of one user. After a crash nobody knows which
# they are, and each costs the next mass cancel of its user a look at a book (0.1 ms).
MAX_IDLE: Final = 20_000
MAX_IDLE_OF_USER: Final = 1_000

Fence = Callable[[str], bool]


class UserAssets:
    """The books that concern a user, and the changes of that by a batch of decisions.

    A deletion needs a fence: a follower that no longer decides for an asset must not delete a
    row that another has meanwhile found there. An insertion needs none.
    """

    def __init__(self, recorder: Any, log: LocalNotificationLog, mapper: JSONMapper) -> None:
        # A recorder in memory keeps no rows: then all books are asked.
        self._recorder = recorder if isinstance(recorder, MatchingRecorder) else None
        self._opened = OpenedBooks(log, mapper)
        self.is_complete = False  # as far as we know
        self._found: Mapping[str, Collection[str]] = {}
        self._stale: set[Pair] = set()  # found in this batch
        # Rows without orders, those that have been so for longest first.
        self._idle: dict[Pair, None] = {}
        self._idle_of: Counter[str] = Counter()

    def begin(self, users: Collection[str]) -> None:
        """Read what a batch is going to ask about, in one query; usually nothing."""
        self._found = {}
        self._stale.clear()
        if self._recorder is None or (self.is_complete and not users):
            return
        found = self._recorder.select_user_assets(list(users))
        if not found.is_complete:
            self.forget()
            if self._recorder.max_notification_id() is None:  # there is nothing to be missed
                self._recorder.complete_user_assets()
                self.is_complete = True
            return
        self.is_complete = True
        self._found = found.assets

    def forget(self) -> None:
        """Drop what is known of the rows: another process may have changed them."""
        self.is_complete = False
        self._found = {}
        self._idle.clear()
        self._idle_of.clear()

    def of(self, user: str, changed: Mapping[str, OrderBook]) -> set[str] | None:
        """The assets that may have orders of a user; None: nobody knows.

        ``changed``: the books that have decided something in this batch.
        """
        if not self.is_complete:
            return None
        recorded = {asset for asset in self._found.get(user, ()) if (user, asset) not in self._idle}
        return recorded | {
            asset for asset, book in changed.items() if user in (book.floor.turnover or ())
        }

    def all(self) -> set[str]:
        """The assets that have books, recorded ones."""
        if self._recorder is None or not self.is_complete:
            return self._opened.assets()
        return set(self._recorder.select_assets())

    def note(self, user: str, book: OrderBook) -> None:
        """A book was asked about a user; where there was nothing, there is a row too many."""
        is_unchanged = user not in (book.floor.turnover or ())
        if self.is_complete and is_unchanged and not book.floor.has_orders(user):
            self._stale.add((user, book.asset))

    def changes(
        self, events: Iterable[Any], changed: Mapping[str, OrderBook], fence: Fence
    ) -> Changes:
        """Return the changes to write with a batch's events."""
        if self._recorder is None:
            return Changes((), ())
        opened: list[Pair] = []
        closed = self._stale
        for asset, book in changed.items():
            for user, is_open in book.floor.take_turnover():
                (opened.append if is_open else closed.add)((user, asset))
        created = [of_book(event.asset) for event in events if type(event) is OrderBook.Created]
        if not self.is_complete:
            return Changes(created + opened, ())
        new = [pair for pair in opened if not self._is_used_again(pair)]
        closed.difference_update(opened)
        return Changes(created + new, self._retire(closed, fence))

    def _is_used_again(self, pair: Pair) -> bool:
        """Test if there is a row already, which was kept."""
        if pair not in self._idle:
            return False
        self._drop_idle(pair)
        return True

    def _retire(self, closed: Collection[Pair], fence: Fence) -> list[Pair]:
        """Keep the rows of orders that are gone, and give those that are to be deleted."""
        due: list[Pair] = []
        for pair in closed:
            if pair in self._idle:
                continue
            if self._idle_of[pair[0]] < MAX_IDLE_OF_USER:
                self._keep_idle(pair)
            else:
                due.append(pair)
        excess = len(self._idle) - MAX_IDLE
        if excess > 0:
            for pair in list(islice(self._idle, 2 * excess)):
                self._drop_idle(pair)
                if fence(pair[1]):
                    due.append(pair)
                else:
                    self._keep_idle(pair)  # at the end, until its partition is decided again
        return due

    def _keep_idle(self, pair: Pair) -> None:
        self._idle[pair] = None
        self._idle_of[pair[0]] += 1

    def _drop_idle(self, pair: Pair) -> None:
        del self._idle[pair]
        user = pair[0]
        self._idle_of[user] -= 1
        if not self._idle_of[user]:
            del self._idle_of[user]


class OpenedBooks:
    """The assets that have books, read from Matching's log: all of it, the first time."""

    def __init__(self, log: LocalNotificationLog, mapper: JSONMapper) -> None:
        self._log = log
        self._mapper = mapper
        self._assets: set[str] = set()
        self._upto = 0

    def assets(self) -> set[str]:
        """Those whose books are recorded; it reads on from where it was last time."""
        end = self._log.recorder.max_notification_id() or 0
        while self._upto < end:
            opened = self._log.select(
                self._upto,
                self._log.section_size,
                topics=(OrderBook.Created.TOPIC,),
                inclusive_of_start=False,
            )
            for notification in opened:
                event: Any = self._mapper.to_domain_event(notification)
                self._assets.add(event.asset)
                self._upto = notification.id
            if len(opened) < self._log.section_size:
                self._upto = end
        return self._assets
