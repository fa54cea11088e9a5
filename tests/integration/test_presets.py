"""Whatever a database or a role presets, the market works, and shows the same, as without."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from application.persistence.position import Advance, Move
from application.publishing import FEEDS
from application.views.rebuild import rebuild
from interface.clock import Clock
from interface.database import usable_database
from interface.engine import Engine
from interface.kafka.publisher import Kafka, Publisher
from interface.kafka.topics import Found
from interface.settings import Settings
from system import ENV, VIEWS, build, leaders_of
from tests.http.support import Service, Trading, serving, wait_for
from tests.integration.conftest import Venue, at_work, patient

pytestmark = pytest.mark.timeout(300)

# No session lives with these, or only PostgreSQL's own developers do.
_LEFT_OUT = {
    "local_preload_libraries",
    "session_preload_libraries",
    "session_authorization",
    "max_stack_depth",
    "temp_buffers",
    "temp_file_limit",  # may forbid what a session needs, and is a superuser's to say
    "log_statement_stats",
    "log_parser_stats",
    "log_planner_stats",
    "log_executor_stats",
    "default_table_access_method",
    "default_tablespace",
    "temp_tablespaces",
    "event_source",
}
# What has no range, and what is nastier than the ends of its range.
_VALUES: dict[str, tuple[str, str]] = {
    "statement_timeout": ("20ms", "1ms"),
    "lock_timeout": ("1ms", "1ms"),
    "idle_in_transaction_session_timeout": ("1ms", "1ms"),
    "idle_session_timeout": ("300ms", "300ms"),
    "transaction_timeout": ("300ms", "300ms"),
    "DateStyle": ("German", "SQL, DMY"),
    "TimeZone": ("Asia/Kathmandu", "America/St_Johns"),
    "timezone_abbreviations": ("India", "Australia"),
    "search_path": ("nowhere", "nowhere, pg_catalog"),
    "client_encoding": ("LATIN1", "WIN1252"),
    "role": ("{other}", "{other}"),
    "plpgsql.extra_errors": ("all", "all"),
    "restrict_nonsystem_relation_kind": ("view", "view, foreign-table"),
    "deadlock_timeout": ("1ms", "1h"),
    "log_min_messages": ("debug1", "panic"),
    "commit_delay": ("0", "1000"),
}


def presets(connection: psycopg.Connection[Any], end: int, other: str) -> Iterator[tuple[str, str]]:
    """A value for each setting that a session may have, other than PostgreSQL's own."""
    rows = connection.execute(
        "SELECT name, vartype, boot_val, min_val, max_val, enumvals FROM pg_settings"
        " WHERE context IN ('user', 'superuser')"
    ).fetchall()
    ranges = {
        name: _ends(vartype, *values)
        for name, vartype, *values in rows
        if vartype != "string" and name not in _LEFT_OUT
    }
    for name, values in {**ranges, **_VALUES}.items():
        yield name, values[end].format(other=other)


def _ends(vartype: str, own: str, low: str, high: str, names: list[str] | None) -> tuple[str, str]:
    if vartype == "bool":
        return ("off", "off") if own == "on" else ("on", "on")
    if vartype == "enum":
        others = [name for name in names or () if name != own] or [own]
        return others[0], others[-1]
    return low, high


@pytest.mark.parametrize(("end", "of"), [(0, "DATABASE"), (1, "ROLE")])
def test_whatever_is_preset_the_market_works(postgres_url, database_url, end, of):
    owner, other = (f"{name}_{uuid.uuid4().hex}" for name in ("owner", "other"))
    database = database_url.split("/")[-1].split("?")[0]
    named = Identifier(database if of == "DATABASE" else owner)
    refused = []
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {owner} LOGIN; CREATE ROLE {other}")
        connection.execute(f"GRANT {other} TO {owner}; ALTER DATABASE {database} OWNER TO {owner}")
        given = dict(presets(connection, end, other))
        for name, value in given.items():
            preset = SQL("ALTER {} {} SET {} = {}").format(
                SQL(of), named, SQL(name), SQL(value) if name == "search_path" else Literal(value)
            )
            try:
                connection.execute(preset)
            except psycopg.Error as error:
                refused.append((name, str(error)))
    print(f"{len(given) - len(refused)} settings preset; refused: {refused}")
    try:
        trade(database_url.replace("postgres@", f"{owner}@"))
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {database} RESET ALL")
            connection.execute(f"ALTER DATABASE {database} OWNER TO postgres")
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {owner} CASCADE; DROP ROLE {owner}, {other}")
    assert len(given) - len(refused) > 150


def trade(url: str) -> None:
    """Places, matches, lets time pass, reads all there is, publishes, rebuilds and verifies."""
    env = patient(usable_database(url, Settings()))
    stopping = threading.Event()
    with closing(build({**env, "POSTGRES_MAX_OVERFLOW": "15"})) as market:
        clock = Clock(env, stopping, lambda: True)
        with serving(market, env) as service, at_work(Engine(env)):
            clock.start()
            read_all(service, Trading(service))
            stopping.set()
            clock.join()
        with closing(publisher(env)) as publishing:
            publish(publishing.recorder)
        for view in VIEWS.values():
            rebuild(view, leaders_of(market, view), lambda _: None)
        assert Venue(market, env).difference() is None


def read_all(service: Service, trading: Trading) -> None:
    """Orders of several fates, and all that can be read of them."""
    user = "user:a_b@c"
    end = datetime.now(UTC) + timedelta(seconds=2)
    first = trading.buy(100.5, 2, userId=user)
    timed = trading.buy(99, 1, timeInForce="GTD", expiresAt=end.isoformat())
    taker = trading.sell("100.5", "0.50000001", userId=user, clientOrderId="NULL")
    changed = trading.amend(first, quantity=3)
    cancelled = trading.cancel(trading.buy(98))
    assert (taker["status"], taker["filledQuantity"]) == ("FILLED", 0.50000001)
    assert (changed["quantity"], cancelled["status"]) == (3, "CANCELLED")
    assert timed["status"] == "OPEN"
    wait_for(lambda: trading.now(timed)["status"] == "EXPIRED")
    placed = trading.now(first)
    assert placed["userId"] == user
    assert abs(datetime.fromisoformat(placed["createdAt"]) - end) < timedelta(minutes=1)
    assert trading.trades() == [(100.5, 0.50000001)]
    assert len(trading.trail(first)) >= 4
    assert [level["price"] for level in trading.book()["bids"]] == [100.5]
    for path in (
        f"/orders?asset={trading.asset}&limit=2",
        f"/orders?asset={trading.asset}&status=OPEN",
        f"/orders?asset={trading.asset}&since={quoted(end - timedelta(days=1))}",
        f"/books/{trading.asset}?level=3",
        f"/books/{trading.asset}?version=2",
        f"/trades?asset={trading.asset}",
        f"/trades?orderId={first['orderId']}",
        "/instruments",
        f"/instruments/{trading.asset}",
        "/ready",
    ):
        answer = service.client.get(path)
        assert answer.status_code == 200, (path, answer.text)
    page = service.client.get(f"/orders?asset={trading.asset}&limit=2").json
    assert len(page["orders"]) == 2
    rest = service.client.get(f"/orders?asset={trading.asset}&cursor={page['nextCursor']}").json
    assert len(rest["orders"]) == 2
    trading.rule(tickSize=0.5)
    assert service.client.delete("/orders?userId=nobody").status_code == 202


def quoted(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def publisher(env: dict[str, str]) -> Publisher:
    kafka = Kafka("127.0.0.1:1", "", "com.example")
    return Publisher({**ENV, **env, "CREATE_TABLE": "y"}, "Orders", FEEDS["Orders"], kafka)


def publish(recorder: Any) -> None:
    topics = {"orders.events": Found("an id", 2)}
    assert recorder.adopt("Orders", topics).position is None
    move = Advance.of("Orders", [Move("Orders", None, 7)])
    recorder.advance(move, topics, {"orders.events": [5, 7]}, "orders.events")
    assert recorder.published("Orders", "orders.events") == (7, [5, 7])
    assert recorder.max_tracking_id("Orders") == 7
