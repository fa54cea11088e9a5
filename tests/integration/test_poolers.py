"""Behind pgbouncer, with its defaults."""

import pytest

from application.persistence.connection import DatabaseUnusable
from application.persistence.database import check
from interface.database_url import database_env
from interface.errors import DATABASE_UNUSABLE
from tests.http.support import order
from tests.integration.pgbouncer import pgbouncer
from tests.integration.service import Service, ask, client, place, service
from tests.integration.test_cannot_start import end_of

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
def test_a_pooler_that_shares_sessions_is_recognised(short_dir, database_url, pool_mode):
    with (
        pgbouncer(short_dir, database_url, pool_mode) as url,
        pytest.raises(DatabaseUnusable, match="pool_mode = session"),
    ):
        check(database_env(url))


def test_a_service_behind_transaction_pooling_says_why_it_ends(short_dir, database_url):
    with pgbouncer(short_dir, database_url, "transaction") as url:
        code, lines = end_of(Service(short_dir, DATABASE_URL=url))
    assert code == DATABASE_UNUSABLE
    assert len(lines) <= 3
    assert "pool_mode transaction or statement" in lines[0]


def test_a_password_comes_from_where_libpq_finds_it(short_dir, database_url, monkeypatch):
    with pgbouncer(short_dir, database_url, "session", password="se cret") as url:
        monkeypatch.setenv("PGPASSWORD", "se cret")
        assert check(database_env(url)).capacity > 0
        monkeypatch.delenv("PGPASSWORD")
        passfile = short_dir / "passfile"
        passfile.write_text("127.0.0.1:*:*:postgres:se cret\n")
        passfile.chmod(0o600)
        assert check(database_env(f"{url}?passfile={passfile}")).capacity > 0
        assert check(database_env(url.replace("@", ":se%20cret@"))).capacity > 0


def test_a_service_works_behind_session_pooling(short_dir, database_url):
    with (
        pgbouncer(short_dir, database_url, "session") as url,
        service(short_dir, DATABASE_URL=url) as running,
        client(running) as http,
    ):
        bought = place(http, order(price=100, quantity=2))
        place(http, order(type="SELL", price=100, quantity=1))
        assert place(http, order(quantity=1, timeInForce="IOC")).json()["status"] == "EXPIRED"
        shown = ask(http, "GET", bought.headers["Location"], headers={"Position": "0"})
        assert running.verify()["consistent"], shown
