"""What is asked goes to Orders, is decided by Matching, and comes back to Orders."""

from uuid import uuid4

import pytest

from application.orders import Reply
from domain.errors import CancelReason, OrderClosed, RejectReason
from domain.instrument import Refusal
from domain.values import OrderStatus, Side
from tests.application.conftest import Core


def test_a_lonely_order_is_placed_decided_and_opened(core: Core) -> None:
    order_id = core.buy(100, 5)

    assert core.log_of_orders() == ["order.placed", "order.opened"]
    assert core.log_of_matching() == ["book.opened", "book.matched"]
    assert core.order(order_id).status is OrderStatus.OPEN


def test_two_orders_that_meet_are_both_filled_by_one_decision(core: Core) -> None:
    maker = core.buy(100, 5)
    taker = core.sell(99, 5)

    assert core.log_of_matching() == ["book.opened", "book.matched", "book.matched"]
    assert core.log_of_orders()[2:] == ["order.placed", "order.filled", "order.filled"]
    for order_id in (maker, taker):
        order = core.order(order_id)
        assert (order.status, order.filled_quantity, order.notional) == ("FILLED", 5, 500)


def test_a_taker_that_sweeps_gets_one_event_and_each_maker_one(core: Core) -> None:
    makers = [core.buy(price, 1) for price in (103, 102, 101)]
    before = len(core.log_of_orders())
    taker = core.sell(101, 4)

    assert core.log_of_orders()[before:] == ["order.placed"] + ["order.filled"] * 4
    assert core.order(taker).status is OrderStatus.PARTIALLY_FILLED
    assert core.order(taker).notional == 103 + 102 + 101
    assert {core.order(maker).version for maker in makers} == {3}


def test_the_rest_of_an_ioc_order_expires_in_the_same_event_as_its_fills(core: Core) -> None:
    core.buy(100, 2)
    taker = core.sell_at_once(100, 5)

    order = core.order(taker)
    assert (order.version, order.status, order.filled_quantity) == (2, "EXPIRED", 2)
    assert order.reason is CancelReason.INSUFFICIENT_LIQUIDITY


def test_each_asset_has_a_book_of_its_own(core: Core) -> None:
    core.buy(100, 5, asset="BTC-USD")
    other = core.sell(100, 5, asset="ETH-USD")

    assert core.order(other).status is OrderStatus.OPEN
    assert core.matching.book_at("BTC-USD", 1).last_trade_id == 0


def test_a_cancel_is_a_request_and_then_an_outcome_that_names_it(core: Core) -> None:
    order_id = core.buy(100, 5)
    request_id = uuid4()
    receipt = core.orders.cancel(order_id, request_id, core.tick())

    assert core.log_of_orders()[2:] == ["request.cancel", "order.cancelled"]
    reply = core.reply(receipt, request_id)
    assert reply == Reply(core.order(order_id), None)
    assert core.order(order_id).status is OrderStatus.CANCELLED


def test_nothing_is_asked_of_an_order_that_is_closed(core: Core) -> None:
    order_id = core.sell_at_once(100, 1)
    before = core.log_of_orders()

    with pytest.raises(OrderClosed):
        core.orders.cancel(order_id, uuid4(), core.tick())
    with pytest.raises(OrderClosed):
        core.orders.replace(order_id, uuid4(), core.tick(), price=101)
    assert core.log_of_orders() == before


def test_an_amend_that_crosses_fills_the_order_as_taker(core: Core) -> None:
    maker = core.sell(105, 2)
    order_id = core.buy(100, 5)
    core.orders.replace(order_id, uuid4(), core.tick(), price=105)

    order = core.order(order_id)
    assert (order.price, order.filled_quantity, order.status) == (105, 2, "PARTIALLY_FILLED")
    assert core.order(maker).status is OrderStatus.FILLED


def test_a_refused_amend_is_in_the_order_and_changes_nothing(core: Core) -> None:
    order_id = core.buy(100, 5)
    core.sell(100, 3)
    updated = core.order(order_id).updated_on
    request_id = uuid4()
    receipt = core.orders.replace(order_id, request_id, core.tick(), quantity=3)

    order = core.order(order_id)
    assert (order.quantity, order.filled_quantity, order.status) == (5, 3, "PARTIALLY_FILLED")
    assert order.updated_on == updated
    reply = core.reply(receipt, request_id)
    assert reply is not None
    assert reply.refusal == Refusal(RejectReason.QUANTITY_NOT_ABOVE_FILLED)


def test_the_reply_to_a_placing_is_the_order_as_it_was_then(core: Core) -> None:
    receipt = core.receive(Side.BUY, 100, 5)
    core.sell(100, 5)

    assert core.reply(receipt, None).order.status is OrderStatus.OPEN
    assert core.order(receipt.order.id).status is OrderStatus.FILLED


def test_any_past_book_can_be_had(core: Core) -> None:
    first = core.buy(100, 5)
    second = core.buy(101, 5)
    core.sell(101, 5)

    books = [core.matching.book_at("BTC-USD", version) for version in range(4)]
    assert [list(book.book.orders) for book in books] == [[], [first], [first, second], [first]]
