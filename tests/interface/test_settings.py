from pathlib import Path

import pytest
from pydantic import SecretStr

from interface.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No variables and no .env of the machine that runs the tests; gives the directory."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_any_variable_the_defaults_hold():
    settings = load_settings()
    assert settings.host == "127.0.0.1"
    assert settings.port == 8000
    assert settings.data_dir == Path("var")
    assert settings.database_url is None
    assert settings.batch_size == 500
    assert settings.max_lag_seconds == 5


def test_an_empty_variable_counts_as_not_given(monkeypatch):
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("DATABASE_URL", "")
    assert load_settings().port == 8000
    assert load_settings().database_url is None


def test_the_env_file_is_read_and_the_environment_goes_before_it(monkeypatch, clean_environment):
    (clean_environment / ".env").write_text("PORT=9000\nBATCH_SIZE=7\nPOSTGRES_PASSWORD=other\n")
    monkeypatch.setenv("PORT", "9001")
    settings = load_settings()
    assert settings.port == 9001
    assert settings.batch_size == 7


def test_every_bad_variable_is_named_with_its_value_and_the_rule(monkeypatch):
    monkeypatch.setenv("PORT", "70000")
    monkeypatch.setenv("HTTP_THREADS", "many")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    monkeypatch.setenv("HOST", "example")
    with pytest.raises(SettingsError) as error:
        load_settings()
    message = str(error.value)
    assert "PORT=70000: must be less than or equal to 65535" in message
    assert "HTTP_THREADS=many: must be a valid integer" in message
    assert "LOG_LEVEL=LOUD: must be 'DEBUG', 'INFO'" in message
    assert "HOST=example: must be an IP address or localhost" in message


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ome:hidden@db/ome",
        "postgresql://ome:hidden@db/ome?colour=red",
        "host=db password=hidden colour=red",
        "postgresql://ome:hidden@db/ome%zz",
        "postgresql://ome:%zzhidden@db/ome",
        "postgresql://ome:hidden@db/ome?x&y=hidden",
        "postgresql://ome:hidden@db:port/ome",
    ],
)
def test_a_bad_database_url_is_named_without_its_password(monkeypatch, url):
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert "DATABASE_URL: " in str(error.value)
    assert "hidden" not in str(error.value)


def test_a_secret_does_not_show_in_what_is_printed(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://ome:hidden@db/ome")
    assert "hidden" not in repr(load_settings())


def test_localhost_is_an_address_and_log_levels_have_no_case(monkeypatch):
    monkeypatch.setenv("HOST", "localhost")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert load_settings().host == "127.0.0.1"
    assert load_settings().log_level == "DEBUG"


def test_an_env_file_that_cannot_be_read_is_a_settings_error(clean_environment):
    (clean_environment / ".env").write_bytes(b"PORT=\xff\xfe")
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka", "must be host:port, or several"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092,", "must be host:port, or several"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:0", "must be host:port, or several"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka://a:9092", "must be host:port, or several"),
        ("KAFKA_TOPIC_PREFIX", "a/b", "must be up to 200 letters, digits, dots"),
        ("KAFKA_TYPE_PREFIX", "com..example", "must be a name like com.example"),
        ("KAFKA_PARTITIONS", "0", "must be greater than or equal to 1"),
        ("KAFKA_PARTITIONS", "1001", "must be less than or equal to 1000"),
        ("KAFKA_REPLICATION", "0", "must be greater than or equal to 1"),
        ("KAFKA_RETENTION_HOURS", "0", "must be at least 1, or -1 for ever"),
    ],
)
def test_what_kafka_can_t_take_is_named_before_anything_starts(monkeypatch, name, value, rule):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert f"{name}={value}: {rule}" in str(error.value)


def test_several_brokers_may_have_spaces_between_them(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:9092, [::1]:9093")
    assert load_settings().kafka_bootstrap_servers == "a:9092,[::1]:9093"


def test_a_child_process_reads_the_same_settings(monkeypatch):
    url = SecretStr("postgresql://a:b@c/d")
    settings = Settings(port=9000, database_url=url, data_dir=Path("x y"))
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_the_sample_lists_every_setting_with_its_default_and_meaning():
    expected = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else field.default
        shown = f"{default:g}" if isinstance(default, float) else default
        expected.append(f"# {field.description}\n#{name.upper()}={shown}")
    sections = (ROOT / ".env.sample").read_text().strip().split("\n\n")
    assert sections[1:] == expected
