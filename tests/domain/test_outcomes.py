"""What a decision means for the orders: one outcome for the taker, one for each maker."""

from domain.errors import CancelReason, RejectReason
from domain.merging import Outcome
from domain.order import Order, OrderFill
from domain.outcomes import departures, outcomes, touched
from domain.values import Liquidity, OrderStatus, Side, Terms, TimeInForce
from tests.domain.support import NOTHING, Market, order_id, request_id, seconds


def taken(trade_id: int, price: int, quantity: int) -> OrderFill:
    return OrderFill(trade_id, price, quantity, Liquidity.TAKER)


def made(trade_id: int, price: int, quantity: int) -> OrderFill:
    return OrderFill(trade_id, price, quantity, Liquidity.MAKER)


class Decisions:
    """A market that tells the outcomes of each command, and what they must be."""

    def __init__(self) -> None:
        self.market = Market()

    def of_last(self) -> list[Outcome]:
        return outcomes(self.market.events[-1])

    def outcome(self, name: str, event: type[Order.Decided], **facts: object) -> Outcome:
        common = {"book_version": self.market.commands, "timestamp": self.market.time}
        return Outcome(order_id(name), event, {**NOTHING[event], **common, **facts})


def test_an_order_that_rests_is_open() -> None:
    decisions = Decisions()
    decisions.market.buy("a", 5, 100)
    assert decisions.of_last() == [decisions.outcome("a", Order.Opened, status=OrderStatus.OPEN)]


def test_a_taker_gets_all_its_fills_at_once_and_each_maker_its_own() -> None:
    decisions = Decisions()
    decisions.market.sell("a", 2, 100)
    decisions.market.sell("b", 3, 101)
    decisions.market.buy("taker", 4, 101)
    assert decisions.of_last() == [
        decisions.outcome(
            "taker",
            Order.Filled,
            fills=(taken(1, 100, 2), taken(2, 101, 2)),
            status=OrderStatus.FILLED,
        ),
        decisions.outcome("a", Order.Filled, fills=(made(1, 100, 2),), status=OrderStatus.FILLED),
        decisions.outcome(
            "b", Order.Filled, fills=(made(2, 101, 2),), status=OrderStatus.PARTIALLY_FILLED
        ),
    ]


def test_a_taker_whose_rest_stays_is_partially_filled_and_not_opened_as_well() -> None:
    decisions = Decisions()
    decisions.market.buy("maker", 2, 100)
    decisions.market.sell("taker", 5, 100)
    assert decisions.of_last() == [
        decisions.outcome(
            "taker",
            Order.Filled,
            fills=(taken(1, 100, 2),),
            status=OrderStatus.PARTIALLY_FILLED,
        ),
        decisions.outcome(
            "maker", Order.Filled, fills=(made(1, 100, 2),), status=OrderStatus.FILLED
        ),
    ]


def test_an_ioc_whose_rest_expired_is_expired_in_one_outcome_with_its_fills() -> None:
    decisions = Decisions()
    decisions.market.sell("maker", 2, 100)
    decisions.market.buy("taker", 5, 100, time_in_force=TimeInForce.IOC)
    assert decisions.of_last() == [
        decisions.outcome(
            "taker",
            Order.Expired,
            fills=(taken(1, 100, 2),),
            reason=CancelReason.INSUFFICIENT_LIQUIDITY,
            status=OrderStatus.EXPIRED,
        ),
        decisions.outcome(
            "maker", Order.Filled, fills=(made(1, 100, 2),), status=OrderStatus.FILLED
        ),
    ]


def test_an_ioc_that_found_nothing_is_expired_without_fills() -> None:
    decisions = Decisions()
    decisions.market.buy("taker", 5, 100, time_in_force=TimeInForce.IOC)
    assert decisions.of_last() == [
        decisions.outcome(
            "taker",
            Order.Expired,
            fills=(),
            reason=CancelReason.INSUFFICIENT_LIQUIDITY,
            status=OrderStatus.EXPIRED,
        )
    ]


def test_an_ioc_filled_whole_is_filled() -> None:
    decisions = Decisions()
    decisions.market.sell("maker", 5, 100)
    decisions.market.buy("taker", 5, 100, time_in_force=TimeInForce.IOC)
    assert decisions.of_last()[0] == decisions.outcome(
        "taker", Order.Filled, fills=(taken(1, 100, 5),), status=OrderStatus.FILLED
    )


def test_a_cancel_names_its_request() -> None:
    decisions = Decisions()
    decisions.market.buy("a", 5, 100)
    decisions.market.cancel("a")
    assert decisions.of_last() == [
        decisions.outcome(
            "a",
            Order.Cancelled,
            request_id=request_id(2),
            reason=CancelReason.USER_REQUEST,
            status=OrderStatus.CANCELLED,
        )
    ]


def test_a_refused_request_names_its_request_and_leaves_the_status_out() -> None:
    decisions = Decisions()
    decisions.market.cancel("a")
    assert decisions.of_last() == [
        decisions.outcome(
            "a",
            Order.RequestRefused,
            request_id=request_id(1),
            reason=RejectReason.ORDER_NOT_OPEN,
        )
    ]


def test_a_refused_order_is_rejected() -> None:
    decisions = Decisions()
    market = decisions.market
    order = market.new_order("a", Terms("user", market.asset, Side.BUY, 100, 5), seconds(1))
    market.refuse(order, RejectReason.INTERNAL_ERROR)
    assert decisions.of_last() == [
        decisions.outcome(
            "a",
            Order.Rejected,
            reason=RejectReason.INTERNAL_ERROR,
            status=OrderStatus.REJECTED,
        )
    ]


def test_a_reduced_order_that_never_traded_stays_open() -> None:
    decisions = Decisions()
    decisions.market.buy("a", 5, 100)
    decisions.market.amend("a", quantity=4)
    assert decisions.of_last() == [
        decisions.outcome(
            "a",
            Order.Replaced,
            request_id=request_id(2),
            price=100,
            quantity=4,
            fills=(),
            status=OrderStatus.OPEN,
        )
    ]


def test_a_reduced_order_that_traded_stays_partially_filled() -> None:
    decisions = Decisions()
    decisions.market.buy("a", 5, 100)
    decisions.market.sell("b", 1, 100)
    decisions.market.amend("a", quantity=2)
    assert decisions.of_last() == [
        decisions.outcome(
            "a",
            Order.Replaced,
            request_id=request_id(3),
            price=100,
            quantity=2,
            fills=(),
            status=OrderStatus.PARTIALLY_FILLED,
        )
    ]


def test_a_new_price_that_trades_is_one_outcome_with_its_fills() -> None:
    decisions = Decisions()
    decisions.market.buy("mover", 5, 90)
    decisions.market.sell("maker", 2, 100)
    decisions.market.amend("mover", price=101)
    assert decisions.of_last() == [
        decisions.outcome(
            "mover",
            Order.Replaced,
            request_id=request_id(3),
            price=101,
            quantity=5,
            fills=(taken(1, 100, 2),),
            status=OrderStatus.PARTIALLY_FILLED,
        ),
        decisions.outcome(
            "maker", Order.Filled, fills=(made(1, 100, 2),), status=OrderStatus.FILLED
        ),
    ]


def test_a_new_price_that_fills_the_order_ends_it() -> None:
    decisions = Decisions()
    decisions.market.buy("mover", 2, 90)
    decisions.market.sell("maker", 5, 100)
    decisions.market.amend("mover", price=100)
    mover, maker = decisions.of_last()
    assert mover.facts["status"] is OrderStatus.FILLED
    assert maker.facts["status"] is OrderStatus.PARTIALLY_FILLED


def test_a_larger_total_of_an_order_that_traded_stays_partially_filled() -> None:
    decisions = Decisions()
    decisions.market.buy("a", 5, 100)
    decisions.market.sell("b", 1, 100)
    decisions.market.amend("a", quantity=50)
    (outcome,) = decisions.of_last()
    assert outcome.facts["status"] is OrderStatus.PARTIALLY_FILLED


def test_a_larger_total_of_an_order_that_never_traded_stays_open() -> None:
    decisions = Decisions()
    decisions.market.buy("a", 5, 100)
    decisions.market.amend("a", quantity=50)
    (outcome,) = decisions.of_last()
    assert outcome.facts["status"] is OrderStatus.OPEN


def test_the_opening_of_a_book_and_anything_unknown_mean_nothing_to_orders() -> None:
    decisions = Decisions()
    for decision in (decisions.market.events[-1], object()):
        assert outcomes(decision) == []
        assert touched(decision) == []
        assert departures(decision) == ()


def test_outcomes_carry_the_time_of_the_book() -> None:
    decisions = Decisions()
    decisions.market.sell("maker", 5, 100, at=seconds(60))
    decisions.market.buy("taker", 5, 100, at=seconds(1))
    assert [outcome.facts["timestamp"] for outcome in decisions.of_last()] == [seconds(60)] * 2


def test_an_iceberg_that_is_met_again_has_all_its_fills_in_one_outcome() -> None:
    decisions = Decisions()
    decisions.market.sell("ice", 7, 100, display_quantity=2)
    decisions.market.buy("taker", 5, 100)
    assert decisions.of_last() == [
        decisions.outcome(
            "taker",
            Order.Filled,
            fills=(taken(1, 100, 2), taken(2, 100, 2), taken(3, 100, 1)),
            status=OrderStatus.FILLED,
        ),
        decisions.outcome(
            "ice",
            Order.Filled,
            fills=(made(1, 100, 2), made(2, 100, 2), made(3, 100, 1)),
            status=OrderStatus.PARTIALLY_FILLED,
        ),
    ]


def test_what_was_due_when_another_order_came_is_expired_by_no_request() -> None:
    decisions = Decisions()
    decisions.market.buy("due", 5, 100, time_in_force=TimeInForce.GTD, expires_at=seconds(60))
    decisions.market.buy("new", 5, 100, at=seconds(60))
    assert decisions.of_last() == [
        decisions.outcome(
            "due",
            Order.Expired,
            reason=CancelReason.TIME_EXPIRED,
            status=OrderStatus.EXPIRED,
        ),
        decisions.outcome("new", Order.Opened, status=OrderStatus.OPEN),
    ]
