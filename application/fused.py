"""Matching, Orders' follower and the views as one: a batch of all is one transaction.

Commands are read; Matching decides; its events go on in memory to the outcomes of orders and to
the rows of views. One statement writes it all, in this order: Matching's position and events, the
views' positions and rows, and last Orders' position and outcomes, because HTTP waits for the lock
of that log. Each position moves by compare-and-set, as it does where followers run apart.

Deciding a full batch overlaps with writing the one before it. Memory depends on the log alone,
nothing is told before its commit, and commits keep their order. Whoever must read the store, or
drops anything from memory, waits for the commit first; any failure drops all that was decided
after it.
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple, Self

from application.matching import Matching
from application.orders import Orders, asks
from application.persistence.connection import AWAY
from application.persistence.following import BatchFollower, Recording
from application.persistence.guards import IdsMoved, LockTimeout
from application.persistence.log import Entry
from application.persistence.migrations import SchemaOutdated
from application.persistence.position import Advance, Move
from application.persistence.unit_of_work import Call, notify, transact
from application.views.view import View

log = logging.getLogger(__name__)

# Decisions wait no longer for who has locked the table of a view. Logs have limits of their own.
_VIEWS_WAIT: Final = Call("set_config('lock_timeout', %s, true)", ["100ms"])


class Batch(NamedTuple):
    """What was decided of some commands, and what came of that for orders."""

    commands: Sequence[Entry]
    decisions: Recording
    outcomes: Recording  # its move is made when the decisions get their ids


class Fused:
    """The followers that have joined, and the batch that is being written."""

    def __init__(self, matching: Matching, orders: Orders) -> None:
        self._matching = matching
        self._orders = orders
        self.is_joined = False  # whether Orders' follower is
        self.views: list[View] = []
        self._last: int | None = None  # the id of Matching's last event that is recorded
        self._next = 0  # the id that its next one will have
        self._writer = ThreadPoolExecutor(1, "writer")
        self._writing: Future[None] | None = None
        self.may_have_more = False
        matching.settle = orders.settle = self.settle

    def close(self) -> None:
        self._writer.shutdown()

    def join(self, follower: BatchFollower) -> bool:
        """Have a follower that has caught up take part from now on; False: it is behind again."""
        self.settle()
        follower.process_batch(*follower.readers)
        if not self._is_level(follower):
            return False
        if follower is self._orders:
            self._last = self._orders.position(Matching.name)
            self._next = self._matching.recorder.next_id()
            self.is_joined = True
        elif isinstance(follower, View):
            self.views.append(follower)
        return True

    def _is_level(self, follower: BatchFollower) -> bool:
        """Test if a follower has all that Matching has decided, and all commands up to there."""
        decided = self._matching.position(Orders.name) or 0
        end = self._matching.recorder.max_notification_id()
        reached = {leader: follower.position(leader) for leader in follower.readers}
        return reached.get(Matching.name, end) == end and (
            (reached.get(Orders.name, decided) or 0) >= decided
        )

    def leave(self) -> None:
        """Drop all that was decided and not recorded; everybody goes on from what is stored."""
        if self._writing is not None:
            self._writing.exception()  # waits; it is told by whoever waited for it before
            self._writing = None
        self.is_joined = False
        self.views.clear()
        self._matching.forget()
        self._orders.forget()

    def settle(self) -> None:
        """Wait until the batch that is being written is committed. Raises what prevented that."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def process_batch(self, limit: int) -> int:
        """Decide and record the commands that wait, up to ``limit``; return their number.

        After any error ``leave`` has to be called.
        """
        begun = time.monotonic()
        limit = self._matching.at_most(limit)
        commands = self._matching.entries_after(
            Orders.name, self._matching.position(Orders.name), limit
        )
        self.may_have_more = len(commands) == limit
        if not commands:
            self.settle()
            return 0
        batch = self._decide(commands)
        self.settle()
        if self.may_have_more:
            self._writing = self._writer.submit(self._write, batch)
        else:
            self._write(batch)
            self.may_have_more = asks(batch.outcomes)
        self._matching.took(time.monotonic() - begun, limit)
        return len(commands)

    def _decide(self, commands: Sequence[Entry]) -> Batch:
        """Decide a batch in memory."""
        upto, _ = commands[-1]
        since = self._matching.position(Orders.name)
        decisions = self._matching.prepare(
            commands, Advance.of(Orders.name, [Move(Orders.name, since, upto)])
        )
        self._matching.moved_to(Orders.name, upto)
        self._orders.take_up(commands)
        entries = [(0, event) for event in decisions.events]  # ids are given when it is written
        nowhere = Advance.of(Matching.name, [Move(Matching.name, None, 0)])
        return Batch(commands, decisions, self._orders.prepare(entries, nowhere))

    def _write(self, batch: Batch) -> None:
        """Record a batch, and tell of it; without the views where it can't be done with them."""
        while True:
            try:
                self._transact(batch)
            except IdsMoved:
                self._next = self._matching.recorder.next_id()
            except Exception as error:
                if not self.views or _is_away(error):
                    raise
                # Whichever it is, and whatever it waits for: each finds out by itself.
                log.warning("the views go on alone", extra={"error": str(error).strip()})
                self.views.clear()
                self._next = self._matching.recorder.next_id()
            else:
                return

    def _transact(self, batch: Batch) -> None:
        """Record a batch in one transaction. Raises IdsMoved where an undone one has taken ids."""
        matching, orders = self._matching, self._orders
        decided = list(enumerate(batch.decisions.events, self._next))
        shares = [Share.of(view, batch.commands, decided) for view in self.views]
        calls = [*matching.calls(batch.decisions, expected=self._next), _VIEWS_WAIT]
        calls += [share.call() for share in shares if share.moves]
        if decided:
            self._last, _ = decided[-1]
            move = Move(Matching.name, orders.position(Matching.name), self._last)
            outcomes = batch.outcomes.stored_events
            calls.append(orders.recorder.call(outcomes, Advance.of(Matching.name, [move])))
        locks = f"{matching.recorder.locks}, or {orders.recorder.locks}, or that of a view"
        results = transact(matching.recorder.datastore, calls, locks)
        self._next += len(decided)
        if decided:
            orders.moved_to(Matching.name, decided[-1][0])
        for share in shares:
            share.moved()
        self._tell(batch, decided, shares, results[-1] if decided else None)

    def _tell(
        self,
        batch: Batch,
        decided: Sequence[Entry],
        shares: "Sequence[Share]",
        recorded: Sequence[int] | None,
    ) -> None:
        """Notify others of a batch: ``recorded`` are the ids of its outcomes."""
        matching, orders = self._matching.recorder, self._orders.recorder
        upto, _ = batch.commands[-1]
        last = decided[-1][0] if decided else ""
        news = [(matching.channel_name, f"{last}:{upto}")]
        if decided:
            news.append((orders.channel_name, f"{recorded[-1] if recorded else ''}:{last}"))
            news += [(share.view.recorder.channel_name, f":{last}") for share in shares]
        if recorded and asks(batch.outcomes):
            news.append((orders.channel_name, f"{recorded[-1]}:"))
        notify(matching.datastore, news)


class Share(NamedTuple):
    """A view's part of a batch: the events that it does not have yet, and its moves."""

    view: View
    entries: Sequence[Entry]
    moves: Sequence[Move]

    @classmethod
    def of(cls, view: View, commands: Sequence[Entry], decided: Sequence[Entry]) -> Self:
        """Orders are placed before they are decided. A view may be ahead with the commands."""
        entries: list[Entry] = []
        moves: list[Move] = []
        for leader, new in ((Orders.name, commands), (Matching.name, decided)):
            if leader in view.readers and new:
                since = view.position(leader)
                entries += [entry for entry in new if since is None or entry[0] > since]
                moves.append(Move(leader, since, max(new[-1][0], since or 0)))
        return cls(view, entries, moves)

    def call(self) -> Call:
        """Return the call that writes the rows; its commit waits for the disk, as events do."""
        move = Advance.of(self.moves[0].name, self.moves)
        return self.view.recorder.call(self.entries, move, is_alone=False)

    def moved(self) -> None:
        """Have the view know its positions."""
        for move in self.moves:
            self.view.moved_to(move.name, move.upto)


def _is_away(error: Exception) -> bool:
    """Test if nothing can be recorded, with the views or without."""
    return isinstance(error, (*AWAY, SchemaOutdated)) and not isinstance(error, LockTimeout)
