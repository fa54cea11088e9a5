import pytest

from interface.database_url import database_env, libpq_env


def test_a_url_becomes_the_environment_of_the_library():
    assert database_env("postgresql://u%40x:p%2Fw@db.example:6000/ome") == {
        "POSTGRES_DBNAME": "ome",
        "POSTGRES_HOST": "db.example",
        "POSTGRES_PORT": "6000",
        "POSTGRES_USER": "u@x",
        "POSTGRES_PASSWORD": "p/w",
    }


def test_a_socket_directory_may_have_blanks_and_needs_no_password_or_port():
    assert database_env("postgresql://postgres@/ome?host=%2Frun%2Fa%20b") == {
        "POSTGRES_DBNAME": "ome",
        "POSTGRES_HOST": "/run/a b",
        "POSTGRES_PORT": "5432",
        "POSTGRES_USER": "postgres",
        "POSTGRES_PASSWORD": "",
    }


def test_an_ipv6_host_loses_its_brackets():
    assert database_env("postgresql://u@[::1]:5433/d")["POSTGRES_HOST"] == "::1"


def test_what_the_library_cannot_pass_on_goes_through_the_environment_of_libpq():
    url = "postgresql://u@h/d?sslmode=verify-full&sslrootcert=/etc/ca%20x.pem&connect_timeout=3"
    assert libpq_env(url) == {
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/etc/ca x.pem",
        "PGCONNECT_TIMEOUT": "3",
    }
    assert not {name for name in database_env(url) if name.startswith("PG")}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://u@h/d", "must begin with postgresql://"),
        ("postgresql://u@h/d?passfile=x&service=y", "not supported: passfile, service"),
        ("postgresql://u@h/d?colour=red", "colour"),
        ("postgresql://h", "missing: user, dbname"),
        ("postgresql://u@/d", "missing: host"),
    ],
)
def test_a_url_that_cannot_be_used_in_full_is_refused(url, reason):
    with pytest.raises(ValueError, match=reason):
        database_env(url)
