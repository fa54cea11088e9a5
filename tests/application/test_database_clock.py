"""The estimate of the database's time: carried on, and doubted when the database's clock jumps."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from application.persistence.database_clock import (
    BELIEVE_AFTER_SECONDS,
    ClocksDisagree,
    DatabaseClock,
    TimeUnknown,
    max_ahead_seconds,
)
from application.persistence.guards import StampAhead

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOURS = 3600.0


class World:
    """A host and a database, whose clocks a test steps; only ``pass_time`` moves them all."""

    def __init__(self) -> None:
        self.booted_for = 500.0
        self.host = NOON.timestamp()
        self.database = NOON.timestamp()
        self.there = self.back = 0.001  # how long a question and an answer take
        self.asked = 0
        self.clock = DatabaseClock(
            self._ask, 1, steady=lambda: self.booted_for, wall=lambda: self.host
        )

    def pass_time(self, seconds: float) -> None:
        self.booted_for += seconds
        self.host += seconds
        self.database += seconds

    def measure(self, count: int = 1) -> None:
        """Let a second pass before each measurement."""
        for _ in range(count):
            self.pass_time(1)
            self.clock.measure()

    @property
    def error(self) -> float:
        """Seconds that the estimate is ahead of the database's clock."""
        return self.clock.now().timestamp() - self.database

    def _ask(self) -> float:
        self.asked += 1
        self.pass_time(self.there)
        answer = self.database
        self.pass_time(self.back)
        return answer


@pytest.fixture
def world() -> World:
    world = World()
    world.measure()
    return world


def test_now_between_measurements_is_carried_on(world: World) -> None:
    world.pass_time(7)
    assert world.asked == 1
    assert world.error == pytest.approx(0, abs=1e-4)
    assert world.clock.now().tzinfo is UTC


@pytest.mark.parametrize("step", [3 * HOURS, -3 * HOURS, 0.9, 400 * 24 * HOURS])
def test_now_after_a_step_of_the_hosts_clock_is_the_databases(world: World, step: float) -> None:
    world.host += step
    assert world.error == pytest.approx(0, abs=1e-4)
    world.measure(30)
    assert world.error == pytest.approx(0, abs=1e-4)
    assert world.clock.fault() is None
    world.host -= step
    world.measure(30)
    assert world.clock.agreed_now() == world.clock.now()


def test_now_on_a_host_that_is_off_from_the_start_is_the_databases() -> None:
    world = World()
    world.host += 3 * HOURS
    world.measure()
    assert world.error == pytest.approx(0, abs=1e-4)
    assert world.clock.fault() is None


def test_now_before_any_measurement_asks() -> None:
    world = World()
    assert world.error == pytest.approx(0, abs=1e-4)
    assert world.asked == 1


def test_now_without_a_measurement_that_counts_raises_time_unknown() -> None:
    world = World()
    world.there = 1.1
    with pytest.raises(TimeUnknown, match="not known yet"):
        world.clock.now()
    assert (
        world.clock.fault() == "The database's time is not known yet: no measurement has succeeded"
    )


def test_now_without_a_database_raises_what_asking_raises() -> None:
    def ask() -> float:
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        DatabaseClock(ask, 1).now()


def test_measure_by_the_shortest_of_recent_round_trips(world: World) -> None:
    """A long way there looks like a clock that is ahead."""
    world.there = 0.8
    world.measure(9)
    assert world.error == pytest.approx(0, abs=1e-4)
    world.measure()  # the short one is not recent any more
    assert world.error == pytest.approx(0.4, abs=0.001)
    world.there = 0.001
    world.measure()
    assert world.error == pytest.approx(0, abs=1e-4)


def test_measure_that_took_longer_than_the_bound_is_left_out(world: World) -> None:
    """As when the process, or PostgreSQL, was stopped meanwhile."""
    world.back = 10
    world.measure(20)
    assert world.error == pytest.approx(0, abs=1e-4)
    assert world.clock.fault() is None


@pytest.mark.parametrize("step", [0.5, -0.5, 0.95, -0.95])
def test_measure_of_a_step_within_the_bound_is_believed_at_once(world: World, step: float) -> None:
    world.measure(10)
    world.database += step
    world.measure()
    assert world.error == pytest.approx(0, abs=1e-4)
    assert world.clock.fault() is None


@pytest.mark.parametrize(
    ("jump", "says"),
    [
        (3 * HOURS, "it is 10800.0 s ahead of what"),
        (1.5, "it is 1.5 s ahead of what"),
        (-3 * HOURS, "it is 10800.0 s behind what"),
    ],
)
def test_measure_of_a_jump_refuses_orders_until_the_clock_is_back(
    world: World, jump: float, says: str
) -> None:
    world.database += jump
    world.measure()
    fault = world.clock.fault()
    assert fault is not None
    assert says in fault
    world.measure(100)
    with pytest.raises(ClocksDisagree, match=says):
        world.clock.agreed_now()
    world.database -= jump
    world.measure()
    assert world.clock.fault() is None
    assert world.clock.agreed_now().timestamp() == pytest.approx(world.database, abs=1e-4)


def test_now_after_a_jump_ahead_is_the_time_carried_on(world: World) -> None:
    world.database += 3 * HOURS
    world.measure()
    assert world.error == pytest.approx(-3 * HOURS, abs=1e-4)


def test_now_after_a_jump_back_is_the_databases(world: World) -> None:
    world.database -= 3 * HOURS
    world.measure()
    assert world.error == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("jump", [3 * HOURS, -3 * HOURS])
def test_measure_of_a_jump_that_the_hosts_clock_confirms_is_believed(
    world: World, jump: float
) -> None:
    world.database += jump
    world.measure(30)
    assert world.clock.fault() is not None
    world.host += jump
    world.measure()
    assert world.clock.fault() is not None
    world.measure(int(BELIEVE_AFTER_SECONDS))
    assert world.clock.fault() is None
    assert world.error == pytest.approx(0, abs=1e-4)
    assert world.clock.jumps_believed == 1


def test_measure_of_one_step_of_both_clocks_is_believed_if_it_lasts(world: World) -> None:
    world.database += 3 * HOURS
    world.host += 3 * HOURS
    world.measure(int(BELIEVE_AFTER_SECONDS) - 1)
    assert world.clock.fault() is not None
    world.database -= 3 * HOURS
    world.host -= 3 * HOURS
    world.measure()
    assert world.clock.fault() is None
    assert world.clock.jumps_believed == 0
    assert world.error == pytest.approx(0, abs=1e-4)


def test_measure_of_a_second_jump_needs_another_confirmation(world: World) -> None:
    world.database += 3 * HOURS
    world.host += 3 * HOURS
    world.measure(int(BELIEVE_AFTER_SECONDS) - 1)
    world.database += 3 * HOURS
    world.host += 3 * HOURS
    world.measure(3)
    assert world.clock.fault() is not None


def test_now_while_the_process_is_stopped_goes_on(world: World) -> None:
    world.pass_time(10 * HOURS)
    assert world.error == pytest.approx(0, abs=1e-4)
    world.measure()
    assert world.clock.fault() is None


def recorder(world: World, stamps: list[datetime]) -> Callable[[datetime], str]:
    """Record as the database does, which refuses what is ahead of its clock."""

    def record(time: datetime) -> str:
        if time.timestamp() > world.database + 1:
            raise StampAhead("ahead")
        stamps.append(time)
        return "recorded"

    return record


def test_stamp_after_a_jump_back_that_is_not_measured_yet_is_taken_for_a_cancel(
    world: World,
) -> None:
    world.database -= 3 * HOURS
    stamps: list[datetime] = []
    assert world.clock.stamp(recorder(world, stamps)) == "recorded"
    assert [each.timestamp() for each in stamps] == [pytest.approx(world.database, abs=0.01)]


def test_stamp_after_a_jump_back_that_is_not_measured_yet_is_refused_for_an_order(
    world: World,
) -> None:
    world.database -= 3 * HOURS
    stamps: list[datetime] = []
    with pytest.raises(ClocksDisagree):
        world.clock.stamp(recorder(world, stamps), must_agree=True)
    assert stamps == []


def test_stamp_that_is_refused_twice_raises_stamp_ahead(world: World) -> None:
    tried: list[datetime] = []

    def refuse(time: datetime) -> None:
        tried.append(time)
        raise StampAhead("ahead")

    with pytest.raises(StampAhead):
        world.clock.stamp(refuse, must_agree=True)
    assert len(tried) == 2
    assert world.clock.now() - tried[1] < timedelta(seconds=1)


def test_max_ahead_seconds_of_an_environment_without_it_is_one_second() -> None:
    assert max_ahead_seconds({}) == 1
    assert max_ahead_seconds({"MAX_CLOCK_AHEAD_SECONDS": "0.25"}) == 0.25
