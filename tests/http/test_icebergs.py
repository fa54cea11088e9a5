"""Icebergs: what of them is seen, and whose turn it is."""

from tests.http.support import Service, Trading, outcome


def test_of_an_iceberg_only_its_slice_is_seen(service: Service) -> None:
    trading = Trading(service)
    placed = trading.sell(100, 10, displayQuantity=3)
    assert placed["displayQuantity"] == 3
    assert (placed["quantity"], placed["remainingQuantity"]) == (10, 10)
    assert trading.book()["asks"] == [{"price": 100, "quantity": 3, "orders": 1}]
    assert trading.queue("asks") == [(placed["orderId"], 100, 3)]
    # The past is seen as the present was.
    past = trading.read(f"/books/{trading.asset}?version=1&level=3")
    assert [each["quantity"] for each in past["asks"]] == [3]


def test_slices_are_whole_lots_and_so_an_order_by_amount_gets_whole_lots(service: Service) -> None:
    trading = Trading(service)
    trading.rule(lotSize="1")
    refused = trading.sell(100, 10, displayQuantity="0.3")
    assert outcome(refused) == ("REJECTED", 0, "LOT_SIZE")
    trading.sell(100, 10, displayQuantity=1)
    taker = trading.buy(None, None, orderType="MARKET", quoteQuantity=240)
    assert outcome(taker) == ("EXPIRED", 2, "NO_WHOLE_LOT")


def test_the_next_slice_goes_to_the_back_of_the_queue(service: Service) -> None:
    trading = Trading(service)
    iceberg = trading.sell(100, 10, displayQuantity=3)
    plain = trading.sell(100, 5)
    trading.buy(100, 2)
    assert [quantity for _, _, quantity in trading.queue("asks")] == [1, 5]
    trading.buy(100, 1)
    assert trading.queue("asks") == [(plain["orderId"], 100, 5), (iceberg["orderId"], 100, 3)]
    assert outcome(trading.now(iceberg)) == ("PARTIALLY_FILLED", 3, None)
    assert trading.book()["asks"] == [{"price": 100, "quantity": 8, "orders": 2}]


def test_where_icebergs_alone_are_left_a_taker_goes_on_slice_after_slice(
    service: Service,
) -> None:
    trading = Trading(service)
    first = trading.sell(100, 5, displayQuantity=2)
    second = trading.sell(100, 4, displayQuantity=3)
    taker = trading.buy(100, 8)
    assert outcome(taker) == ("FILLED", 8, None)
    assert trading.trades() == [(100, 2), (100, 3), (100, 2), (100, 1)]
    assert outcome(trading.now(second)) == ("FILLED", 4, None)
    assert trading.queue("asks") == [(first["orderId"], 100, 1)]
    [filled] = [each for each in trading.trail(first) if each["type"] == "order.filled"]
    assert [fill["quantity"] for fill in filled["fills"]] == [2, 2]


def test_an_iceberg_that_arrives_trades_with_all_of_its_quantity(service: Service) -> None:
    trading = Trading(service)
    trading.sell(100, 5)
    placed = trading.buy(100, 8, displayQuantity=2)
    assert outcome(placed) == ("PARTIALLY_FILLED", 5, None)
    assert placed["remainingQuantity"] == 3
    assert trading.queue("bids") == [(placed["orderId"], 100, 2)]
