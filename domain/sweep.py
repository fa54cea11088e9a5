"""The trades that an arriving order would make, first to last. Changes nothing in the book."""

import sys
from dataclasses import dataclass
from uuid import UUID

from domain.book import Book, RestingOrder
from domain.errors import CancelReason
from domain.facts import Fill, Prevented
from domain.values import SelfTradePrevention, Side

_NO_PREVENTION = SelfTradePrevention.NONE


@dataclass(slots=True)
class Taker:
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
        "_budget",
        "_parts",
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
        self._taker = taker
        self._budget = taker.budget
        self._parts = sys.maxsize if taker.parts is None else taker.parts
        self._trade_id = last_trade_id
        # Icebergs of a level whose slice is gone, with what is left of each.
        self._again: list[tuple[RestingOrder, int]] = []
        self.left = taker.quantity
        self.lowered = 0
        self.end: CancelReason | None = None
        self.is_more_beyond = False
        self.is_cut = False
        self.fills: list[Fill] = []
        self.prevented: list[Prevented] = []
        self._run(book)

    @property
    def is_done(self) -> bool:
        """Test if nothing is left to be traded, or to be spent."""
        return self._budget == 0 if self._budget is not None else self.left == 0

    def _run(self, book: Book) -> None:
        """Meet the orders of each level in turn, then those that show another slice."""
        ladder = book.opposite(self._taker.side)
        worst = ladder.turn(self._taker.limit)
        level = ladder.best
        while level is not None and level.rank >= worst:
            maker = level.front
            while maker is not None:
                remaining = maker.remaining
                if not self._meets(maker, remaining, remaining - maker.hidden):
                    return
                maker = maker.behind
            for again, remaining in self._again:  # which grows meanwhile
                if not self._meets(again, remaining, again.slice_of(remaining)):
                    return
            self._again.clear()
            level = level.worse
        self.is_more_beyond = level is not None

    def _meets(self, maker: RestingOrder, remaining: int, shown: int) -> bool:
        """Trade with an order, unless that is prevented; return True to go on."""
        taker, budget, left = self._taker, self._budget, self.left
        price: int = maker.price  # type: ignore[assignment]  # it rests
        quantity = left if left < shown else shown  # noqa: FURB136 - min() takes 0.1 us
        if budget is not None:
            quantity = min(quantity, self._affordable(budget, price))
            if quantity == 0:
                return False
        if taker.mode is not _NO_PREVENTION and maker.user_id == taker.user_id:
            self._prevent(maker, remaining)
            left = self.left
        else:
            self.left = left = left - quantity
            remaining -= quantity
            refill = 0
            if remaining and quantity == shown:
                refill = maker.slice_of(remaining)
                self._again.append((maker, remaining))
            self._trade_id = number = self._trade_id + 1
            self.fills.append(
                Fill(number, maker.order_id, maker.user_id, price, quantity, remaining, refill)
            )
            if budget is not None:
                self._budget = budget = budget - quantity * price
                if budget and quantity < shown:
                    self._affordable(budget, price)  # says why it ends
        if self.end is not None or (left == 0 if budget is None else budget == 0):
            return False
        self._parts -= 1
        self.is_cut = self._parts <= 0
        return not self.is_cut

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
