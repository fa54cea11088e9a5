"""A role with the rights that the documentation names serves the market, and owns nothing."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import Identifier

from application.persistence.connection import CONNINFO, connect
from application.persistence.migrations import SchemaUnusable
from application.persistence.rights import grant
from application.views.orders import OrderView
from application.views.rebuild import rebuild
from interface.database_url import database_env
from interface.postgres.cluster import _installation
from system import build, create_tables, leaders_of, parts_of
from tests.http.support import order, serving
from tests.integration.conftest import Venue, patient

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture
def trader(library_env: dict[str, str]) -> Iterator[str]:
    """A role that may connect, as anybody may."""
    name = f"trader_{uuid4().hex}"
    with connect(library_env) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN".encode())
        yield name
        connection.execute(f"DROP OWNED BY {name}".encode())
        connection.execute(f"DROP ROLE {name}".encode())


def as_role(env: dict[str, str], role: str) -> dict[str, str]:
    given = {**conninfo_to_dict(env[CONNINFO]), "user": role}
    return {**env, "POSTGRES_USER": role, CONNINFO: make_conninfo("", **given)}


def trades_as(env: dict[str, str]) -> None:
    with closing(build(patient(env))) as market:
        venue = Venue(market, env)
        venue.trade_a_little()
        assert venue.difference() is None


def refusal(env: dict[str, str]) -> str:
    with pytest.raises(SchemaUnusable) as refused:
        create_tables(env)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert 'see "Roles and schemas" in docs/operations.md' in sentence
    return sentence


@pytest.mark.parametrize("schema", ["public", 'The "first" market'])
def test_a_role_with_the_rights_that_it_is_given_trades(library_env, trader, schema):
    env = {**library_env, "DATABASE_SCHEMA": schema}
    create_tables(env)
    grant(env, parts_of(env), trader)
    service = as_role(env, trader)
    assert create_tables(service) == []
    trades_as(service)


def test_the_statements_of_the_documentation_are_enough(library_env, trader):
    create_tables(library_env)
    section = DOCS.read_text().split("## Roles and schemas")[1].split("\n## ")[0]
    statements = "".join(re.findall(r"```sql\n(.*?)```", section, re.DOTALL))
    assert "GRANT" in statements
    with connect(library_env) as owner:
        owner.execute(statements.replace("trader", trader).encode())
        rights = "SELECT has_database_privilege(%s, current_database(), 'CREATE') AS may"
        assert owner.execute(rights, [trader]).fetchone() == {"may": False}
    service = as_role(library_env, trader)
    assert create_tables(service) == []
    trades_as(service)


def test_a_role_with_connect_only_is_told_what_to_do(library_env, trader):
    sentence = refusal(as_role(library_env, trader))
    assert f'schema "public" has no tables of the market, and the role "{trader}" may not' in (
        sentence
    )
    assert 'run "ome db init" as a role that may' in sentence


@pytest.mark.parametrize("schema", ["public", "market"])
def test_a_role_with_connect_only_is_told_what_it_lacks(library_env, trader, schema):
    env = {**library_env, "DATABASE_SCHEMA": schema}
    create_tables(env)
    sentence = refusal(as_role(env, trader))
    assert f'the role "{trader}" lacks USAGE on schema ' in sentence
    assert re.search(r"and \d+ more: run", sentence)
    assert f'"ome db init --grant {trader}"' in sentence


@pytest.mark.parametrize(
    ("revoked", "named"),
    [
        ("INSERT ON orders_events", "INSERT on public.orders_events"),
        ("UPDATE, DELETE ON trade_view.parked", "UPDATE, DELETE on trade_view.parked"),
        ("USAGE ON SEQUENCE matching_events_notification_id_seq", "USAGE on sequence public.mat"),
        ("SELECT ON ome_schema_versions", "SELECT on public.ome_schema_versions"),
        ("USAGE ON SCHEMA publisher", "USAGE on schema publisher"),
    ],
)
def test_a_right_that_is_missing_is_named(library_env, trader, revoked, named):
    create_tables(library_env)
    grant(library_env, parts_of(library_env), trader)
    with connect(library_env) as owner:
        owner.execute(f"REVOKE {revoked} FROM {trader}".encode())
    assert f'the role "{trader}" lacks {named}' in refusal(as_role(library_env, trader))


def test_a_start_where_row_security_may_hide_rows_names_the_table(library_env, trader):
    create_tables(library_env)
    grant(library_env, parts_of(library_env), trader)
    with connect(library_env) as owner:
        owner.execute("ALTER TABLE orders_events ENABLE ROW LEVEL SECURITY")
    assert "row level security may hide rows of public.orders_events" in refusal(
        as_role(library_env, trader)
    )
    assert create_tables(library_env) == []  # the owner sees all rows


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ("REVOKE INSERT ON orders_events FROM {trader}", "POST /orders"),
        ("REVOKE SELECT ON order_view.orders FROM {trader}", "GET /orders"),
        ("ALTER TABLE order_view.orders ENABLE ROW LEVEL SECURITY", "GET /orders"),
        ("ALTER TABLE orders_events ENABLE ROW LEVEL SECURITY", "GET {order}/events"),
    ],
)
def test_a_request_whose_right_is_gone_gets_503_that_names_the_table(
    library_env, trader, caplog, change, asked
):
    create_tables(library_env)
    grant(library_env, parts_of(library_env), trader)
    env = patient(as_role(library_env, trader))
    with closing(build(env)) as market, serving(market, env) as service:
        location = service.client.post("/orders", json=order()).headers["Location"]
        service.follow()
        with connect(library_env) as owner:
            owner.execute(change.format(trader=trader).encode())
        method, path = asked.format(order=location).split()
        body = order() if method == "POST" else None
        refused = service.client.open(path, method=method, json=body)
    table = next(word for word in change.split() if "orders" in word)
    assert refused.status_code == 503
    detail = refused.json["detail"]
    assert detail.startswith("The service lacks a right in the database: ")
    assert table.split(".")[-1] in detail
    assert not [record for record in caplog.records if record.exc_info]


def test_tables_of_an_earlier_release_are_not_touched_by_a_role_that_may_not(library_env, trader):
    create_tables(library_env)
    grant(library_env, parts_of(library_env), trader)
    with connect(library_env) as owner:
        owner.execute("DELETE FROM ome_schema_versions")
    sentence = refusal(as_role(library_env, trader))
    assert "the database has an older schema version than" in sentence


@pytest.mark.parametrize("schema", ["public", 'The "first" market'])
def test_a_function_that_is_missing_is_named_to_a_role_that_may_not_make_it(
    library_env, trader, schema
):
    env = {**library_env, "DATABASE_SCHEMA": schema}
    create_tables(env)
    grant(env, parts_of(env), trader)
    with connect(env) as owner:
        name = Identifier(schema, "orders_tracking_positions").as_string()
        owner.execute(f"DROP FUNCTION {name}()".encode())
    sentence = refusal(as_role(env, trader))
    assert f"the database lacks function {name}(), and the role" in sentence
    assert 'run "ome db init" as a role that may' in sentence


def test_a_role_that_is_not_there_can_not_be_given_rights(library_env):
    create_tables(library_env)
    with pytest.raises(SchemaUnusable, match='the role "nobody" can\'t be given'):
        grant(library_env, parts_of(library_env), "nobody")


RIGHTS = """SELECT 'schema' AS what, nspowner::regrole::text AS owner, nspacl::text[] AS acl
    FROM pg_namespace WHERE nspname = 'order_view'
    UNION ALL SELECT relname, relowner::regrole::text, relacl::text[] FROM pg_class
    WHERE relnamespace = 'order_view'::regnamespace AND relkind IN ('r', 'S')
    UNION ALL SELECT relname || '.' || attname, '', attacl::text[] FROM pg_attribute
    JOIN pg_class c ON c.oid = attrelid
    WHERE relnamespace = 'order_view'::regnamespace AND attacl IS NOT NULL
    UNION ALL SELECT proname || pg_get_function_identity_arguments(oid),
        proowner::regrole::text, proacl::text[]
    FROM pg_proc WHERE pronamespace = 'order_view'::regnamespace
    UNION ALL SELECT 'default', defaclrole::regrole::text, defaclacl::text[] FROM pg_default_acl
    ORDER BY 1"""


def rights(connection: Any) -> list[Any]:
    rows = connection.execute(RIGHTS).fetchall()
    return [(row["what"], row["owner"], sorted(row["acl"] or ())) for row in rows]


def test_a_rebuild_leaves_owners_and_rights_as_they_were(library_env, trader):
    create_tables(library_env)
    service = as_role(library_env, trader)
    grant(library_env, parts_of(library_env), trader)
    with connect(library_env) as owner, closing(build(patient(service))) as market:
        owner.execute(
            f"GRANT SELECT ON order_view.orders TO {trader} WITH GRANT OPTION;"
            " REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA order_view FROM PUBLIC;"
            f" GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA order_view TO {trader};"
            f" GRANT SELECT (asset, status) ON order_view.orders TO {trader} WITH GRANT OPTION;"
            " GRANT SELECT (user_id) ON order_view.open_orders TO PUBLIC;"
            f" ALTER TABLE order_view.parked OWNER TO {trader};"
            " ALTER DEFAULT PRIVILEGES IN SCHEMA order_view"
            f" GRANT SELECT ON TABLES TO {trader}".encode()
        )
        # What is not said is what it is by default: the first time writes it down.
        venue = Venue(market, service)
        venue.trade_a_little()
        with closing(build(patient(library_env))) as of_owner:
            rebuild(OrderView, leaders_of(of_owner, OrderView), lambda _: None)
            before = rights(owner)
            rebuild(OrderView, leaders_of(of_owner, OrderView), lambda _: None)
        assert rights(owner) == before
        assert ("parked", trader) in [(what, whose) for what, whose, _ in before]
        [orders] = [acl for what, _, acl in before if what == "orders"]
        assert f"{trader}=ar*wd/postgres" in orders
        assert ("orders.asset", "", [f"{trader}=r*/postgres"]) in before
        assert ("open_orders.user_id", "", ["=r/postgres"]) in before
        [default] = [acl for what, _, acl in before if what == "default"]
        assert f"{trader}=r/postgres" in default
        assert create_tables(service) == []
        venue.sell(101, 1, asset="LTC-USD")
        venue.settle()
        assert venue.difference() is None


def test_a_role_that_may_not_rebuild_is_told_so_and_changes_nothing(library_env, trader):
    create_tables(library_env)
    grant(library_env, parts_of(library_env), trader)
    with closing(build(patient(as_role(library_env, trader)))) as market:
        sentence = f'the role "{trader}" may not replace the schema "order_view"'
        with pytest.raises(SchemaUnusable, match=sentence):
            rebuild(OrderView, leaders_of(market, OrderView), lambda _: None)


@pytest.fixture
def restored_url(postgres_url: str) -> Iterator[str]:
    """The URL of a database with nothing in it, not even what a template has."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield postgres_url.replace("/ome?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def run(program: str, *arguments: str) -> None:
    """Run a program of the PostgreSQL that the tests have."""
    subprocess.run([_installation() / "bin" / program, *arguments], check=True, timeout=60)


def shown(env: dict[str, str]) -> dict[str, object]:
    """Return what a user sees of the market."""
    with closing(build(patient(env))) as market:
        assert Venue(market, env).difference() is None
        return {
            "orders": market.order_view.recorder.orders(limit=1_000),
            "book": market.book_view.recorder.resting("BTC-USD", None),
            "trades": market.trade_view.recorder.trades(limit=1_000),
        }


@pytest.mark.parametrize("schema", ["public", 'The "first" market'])
def test_a_dump_restored_without_owners_serves_a_role_after_the_grants(
    library_env: dict[str, str], trader: str, restored_url: str, tmp_path: Path, schema: str
) -> None:
    env = {**library_env, "DATABASE_SCHEMA": schema}
    create_tables(env)
    grant(env, parts_of(env), trader)
    trades_as(as_role(env, trader))
    file = str(tmp_path / "market.dump")
    run("pg_dump", "--format=custom", f"--file={file}", f"--dbname={env[CONNINFO]}")
    restored = {**database_env(restored_url), "DATABASE_SCHEMA": schema}
    options = ("--no-owner", "--no-privileges", "--exit-on-error")
    run("pg_restore", *options, f"--dbname={restored[CONNINFO]}", file)
    service = as_role(restored, trader)
    assert "lacks USAGE on schema" in refusal(service)
    grant(restored, parts_of(restored), trader)
    assert create_tables(service) == []
    assert shown(service) == shown(env)
    trades_as(service)
