from typing import Any
from urllib.parse import unquote

import pytest
from psycopg.conninfo import conninfo_to_dict

from application.persistence.connection import CONNINFO
from interface.database_url import database_env


@pytest.fixture(autouse=True)
def no_libpq_environment(monkeypatch):
    for name in ("PGSERVICE", "PGCONNECT_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)


def conninfo(url: str) -> dict[str, Any]:
    return conninfo_to_dict(database_env(url)[CONNINFO])


def given(url: str) -> dict[str, Any]:
    """What a URL says itself, without our defaults."""
    defaults = conninfo("")
    return {key: value for key, value in conninfo(url).items() if defaults.get(key) != value}


def test_a_url_names_the_database_to_the_library_and_to_libpq():
    env = database_env("postgresql://u%40x:p%2Fw@db.example:6000/ome")
    assert {name: value for name, value in env.items() if name != CONNINFO} == {
        "POSTGRES_DBNAME": "ome",
        "POSTGRES_HOST": "db.example",
        "POSTGRES_PORT": "6000",
        "POSTGRES_USER": "u@x",
        "POSTGRES_PASSWORD": "p/w",
    }
    assert given("postgresql://u%40x:p%2Fw@db.example:6000/ome") == {
        "dbname": "ome",
        "host": "db.example",
        "port": "6000",
        "user": "u@x",
        "password": "p/w",
    }


def test_what_is_not_given_is_left_to_libpq_an_empty_password_overrules_none():
    assert given("postgresql:///ome") == {"dbname": "ome"}
    assert given("postgresql://postgres@/ome?host=%2Frun%2Fa%20b") == {
        "user": "postgres",
        "dbname": "ome",
        "host": "/run/a b",
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u@h/d", {"user": "u", "host": "h", "dbname": "d"}),
        ("host=h dbname=d password='a b'", {"host": "h", "dbname": "d", "password": "a b"}),
        ("service=market", {"service": "market"}),
        (
            "postgresql://u@[::1]:5433/d",
            {"user": "u", "host": "::1", "port": "5433", "dbname": "d"},
        ),
        (
            "postgresql://u@a:1,b:2/d?target_session_attrs=read-write&load_balance_hosts=random",
            {
                "user": "u",
                "host": "a,b",
                "port": "1,2",
                "dbname": "d",
                "target_session_attrs": "read-write",
                "load_balance_hosts": "random",
            },
        ),
        *(
            (
                f"postgresql://u@h/d?{name}={value}",
                {"user": "u", "host": "h", "dbname": "d", name: unquote(value)},
            )
            for name, value in (
                ("keepalives", "0"),
                ("keepalives_idle", "60"),
                ("tcp_user_timeout", "0"),
                ("connect_timeout", "30"),
                ("passfile", "/etc/pass"),
                ("sslmode", "verify-full"),
                ("sslpassword", "secret"),
                ("options", "-cgeqo%3Doff"),
                ("application_name", "market"),
                ("gssencmode", "disable"),
                ("require_auth", "scram-sha-256"),
            )
        ),
    ],
)
def test_whatever_libpq_takes_is_taken_and_goes_before_our_defaults(url, expected):
    assert given(url) == expected


def test_what_a_service_file_may_say_is_not_overruled(monkeypatch):
    assert "keepalives_idle" in conninfo("host=h")
    assert conninfo("host=h")["connect_timeout"] == "5"
    assert "keepalives_idle" not in conninfo("service=market")
    monkeypatch.setenv("PGSERVICE", "market")
    assert "connect_timeout" not in conninfo("postgresql:///")
    monkeypatch.delenv("PGSERVICE")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "7")
    assert "connect_timeout" not in conninfo("postgresql:///")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://u@h/d", "must be postgresql://user:password@host:port/name"),
        ("postgresql://u@h/d?colour=red", "colour"),
        ("host=h colour=red", "colour"),
        ("postgresql://u@h:port/d", "must have a port from 1 to 65535"),
        ("postgresql://u@h:0/d", "must have a port from 1 to 65535"),
    ],
)
def test_what_libpq_does_not_take_is_refused(url, reason):
    with pytest.raises(ValueError, match=reason):
        database_env(url)
