"""The trades that an arriving order would make, first to last. Changes nothing in the book."""

from collections import deque
from typing import NamedTuple
from uuid import UUID

from domain.book import Book, RestingOrder
from domain.errors import CancelReason
from domain.facts import Fill, Prevented
from domain.ladder import Level
from domain.values import SelfTradePrevention, Side

_NO_PREVENTION = SelfTradePrevention.NONE


class Taker(NamedTuple):
    """An order that trades; amounts in units.

    ``limit`` is the worst price that it takes, ``quantity`` how much at most. ``budget`` is
    the most that it spends (price units x quantity units), in whole lots of ``lot_size``.
    ``parts`` is how many trades, prevented ones included, it may have.
    """

    user_id: str
    side: Side
    limit: int
    quantity: int
    mode: SelfTradePrevention = _NO_PREVENTION
    budget: int | None = None
    lot_size: int = 1
    parts: int | None = None


class Sweep:
    """The result of a taker's sweep.

    ``left`` is what is yet to trade, ``lowered`` what prevention took off its quantity.
    ``end`` says why it must not go on; None: there was no more at its price, or nothing left, or
    it ``is_cut``: it had as many trades as it may have, and is to go on later.
    """

    __slots__ = (
        "_again",
        "_book",
        "_budget",
        "_taker",
        "_trade_id",
        "end",
        "fills",
        "is_cut",
        "is_more_beyond",
        "left",
        "lowered",
        "prevented",
    )

    def __init__(self, book: Book, taker: Taker, last_trade_id: int) -> None:
        self._book = book
        self._taker = taker
        self._budget = taker.budget
        self._trade_id = last_trade_id
        # Icebergs of a level whose slice is gone, with what is left of each.
        self._again: deque[tuple[RestingOrder, int]] = deque()
        self.left = taker.quantity
        self.lowered = 0
        self.end: CancelReason | None = None
        self.is_more_beyond = False
        self.is_cut = False
        self.fills: list[Fill] = []
        self.prevented: list[Prevented] = []
        self._run()

    @property
    def is_done(self) -> bool:
        """Test if nothing is left to be traded, or to be spent."""
        return self._budget == 0 if self._budget is not None else self.left == 0

    def _run(self) -> None:
        taker = self._taker
        ladder = self._book.opposite(taker.side)
        worst = ladder.turn(taker.limit)
        level = ladder.best
        while level is not None and level.rank >= worst:
            if not self._goes_through(level):
                return
            level = level.worse
        self.is_more_beyond = level is not None

    def _goes_through(self, level: Level[RestingOrder]) -> bool:
        """Meet the orders of a level in turn; return True to go on to the next level."""
        maker = level.front
        while maker is not None:
            remaining = maker.remaining
            if not self._meets(maker, remaining, remaining - maker.hidden):
                return False
            maker = maker.behind
        while self._again:
            maker, remaining = self._again.popleft()
            if not self._meets(maker, remaining, maker.slice_of(remaining)):
                return False
        return True

    def _meets(self, maker: RestingOrder, remaining: int, shown: int) -> bool:
        """Trade with an order, unless that is prevented; return True to go on."""
        taker = self._taker
        price: int = maker.price  # type: ignore[assignment]  # it rests
        if self._budget is not None and not self._affordable(self._budget, price):
            return False
        if taker.mode is _NO_PREVENTION or maker.user_id != taker.user_id:
            self._trade(maker, remaining, shown)
        else:
            self._prevent(maker, remaining)
        if self.end is not None or self.is_done:
            return False
        if taker.parts is not None and len(self.fills) + len(self.prevented) >= taker.parts:
            self.is_cut = True
            return False
        return True

    def _trade(self, maker: RestingOrder, remaining: int, shown: int) -> None:
        price: int = maker.price  # type: ignore[assignment]  # it rests
        quantity = min(shown, self.left)
        if self._budget is not None:
            quantity = min(quantity, self._affordable(self._budget, price))
            self._budget -= quantity * price
        self.left -= quantity
        remaining -= quantity
        refill = 0
        if remaining and quantity == shown:
            refill = maker.slice_of(remaining)
            self._again.append((maker, remaining))
        self._trade_id += 1
        self.fills.append(
            Fill(self._trade_id, maker.order_id, maker.user_id, price, quantity, remaining, refill)
        )
        if quantity < shown and self._budget:
            self._affordable(self._budget, price)  # says why it ends

    def _affordable(self, budget: int, price: int) -> int:
        """Return the most that the budget buys at a price; end the sweep where that is nothing.

        Never more than was to be spent (Binance, quoteOrderQty).
        """
        lot = self._taker.lot_size
        allowed = self.left - self.left % lot
        if allowed == 0:
            self.end = CancelReason.QUANTITY_LIMIT
            return 0
        quantity = budget // price
        quantity -= quantity % lot
        if quantity == 0:
            self.end = CancelReason.NO_WHOLE_LOT
        return min(quantity, allowed)

    def _prevent(self, maker: RestingOrder, remaining: int) -> None:
        """Apply the taker's mode to an order of the same user.

        Coinbase, "Self-trade prevention": decrement and cancel takes the smaller order's
        quantity off the larger one, and cancels the smaller; both where they are equal.
        """
        mode = self._taker.mode
        if mode is SelfTradePrevention.DECREMENT and self._budget is None:
            cancels_maker, cancels_taker = remaining <= self.left, remaining >= self.left
            if not cancels_taker:
                self.left -= remaining
                self.lowered += remaining
        else:
            cancels_maker = mode in {
                SelfTradePrevention.CANCEL_MAKER,
                SelfTradePrevention.CANCEL_BOTH,
            }
            cancels_taker = mode is not SelfTradePrevention.CANCEL_MAKER
        if cancels_taker:
            self.end = CancelReason.SELF_TRADE_PREVENTION
        if cancels_maker:
            self._note(maker, maker.quantity, remaining, 0, is_cancelled=True)
        elif mode is SelfTradePrevention.DECREMENT and self._budget is None:
            remaining -= self.left
            shown = min(maker.shown, maker.slice_of(remaining))
            self._note(maker, maker.quantity - self.left, remaining, shown, is_cancelled=False)

    def _note(
        self, maker: RestingOrder, quantity: int, remaining: int, shown: int, *, is_cancelled: bool
    ) -> None:
        order_id: UUID = maker.order_id
        price: int = maker.price  # type: ignore[assignment]  # it rests
        self.prevented.append(
            Prevented(order_id, price, quantity, remaining, shown, maker.shown, is_cancelled)
        )
