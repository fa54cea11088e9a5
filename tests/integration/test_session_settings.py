"""Whatever a database presets, the market works as it does without."""

import threading
from contextlib import closing
from uuid import UUID

import psycopg
import pytest

from application.persistence.connection import connect
from application.persistence.session import prepare
from interface.engine import Engine
from system import build
from tests.integration.conftest import Venue, at_work, has_followed_all, patient
from tests.integration.service import eventually

pytestmark = pytest.mark.timeout(300)


def test_with_another_isolation_every_acknowledged_order_is_shown(venue: Venue) -> None:
    with connect(venue.env) as connection:
        connection.execute(
            f"ALTER DATABASE {venue.env['POSTGRES_DBNAME']}"
            " SET default_transaction_isolation = 'repeatable read'"
        )
    placed: list[UUID] = []
    with closing(build({**patient(venue.env), "POSTGRES_MAX_OVERFLOW": "12"})) as market:
        own = Venue(market, venue.env)

        def trade(user: str) -> None:
            placed.extend(own.buy(100 + number % 3, 5, user_id=user) for number in range(100))

        with at_work(Engine(venue.env)):
            threads = [threading.Thread(target=trade, args=(f"user{n}",)) for n in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            eventually(lambda: has_followed_all(market), 60)
        with connect(venue.env) as connection:
            rows = connection.execute("SELECT order_id FROM order_view.orders").fetchall()
        assert len(placed) == 1_200
        assert {row["order_id"] for row in rows} == set(placed)
        assert own.difference() is None


def test_a_session_is_set_right_within_the_shortest_preset_time_of_a_transaction(
    database_url: str,
) -> None:
    def can_be_set_right() -> bool:
        with psycopg.connect(database_url, autocommit=True) as connection:
            if connection.info.server_version < 170_000:
                pytest.skip("this PostgreSQL limits no transactions")
            connection.execute("SET transaction_timeout = '1ms'")
            try:
                prepare(connection)
            except psycopg.errors.TransactionTimeout:
                return False
            [timeout] = connection.execute("SHOW transaction_timeout").fetchone() or ()
            return bool(timeout == "0")

    # Its process may have had to wait for a processor, so that one attempt proves nothing.
    assert any(can_be_set_right() for _ in range(10))
