"""The floor tells which users came to have orders there, or ceased to."""

from domain.floor import Floor
from tests.domain.support import Market


def turnover(market: Market) -> dict[str, bool]:
    floor: Floor = market.book.floor
    return dict(floor.take_turnover())


def test_turnover_first_asked_for_is_empty(market: Market) -> None:
    market.buy("a", 1, 90, user="ann")
    assert market.book.floor.turnover is None
    assert turnover(market) == {}


def test_turnover_names_users_who_came_or_left_since_the_last_time(market: Market) -> None:
    turnover(market)
    market.buy("a", 1, 90, user="ann")
    market.buy("b", 2, 91, user="bob")
    assert turnover(market) == {"ann": True, "bob": True}
    market.buy("c", 1, 89, user="ann")
    market.sell("d", 2, 91, user="cy")
    assert turnover(market) == {"bob": False}
    market.cancel("a")
    assert turnover(market) == {}
    market.cancel("c")
    assert turnover(market) == {"ann": False}


def test_turnover_of_who_left_and_came_back_is_nothing(market: Market) -> None:
    market.buy("a", 1, 90, user="ann")
    turnover(market)
    market.cancel("a")
    market.buy("b", 1, 90, user="ann")
    market.buy("c", 1, 90, user="bob")
    market.cancel("c")
    assert turnover(market) == {}
