"""The command line, `ome`."""

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import click
import httpx
import psycopg

from application.persistence.migrations import SCHEMA_VERSION
from interface.errors import CannotStartError
from interface.logs import configure_logs
from interface.port import base_url
from interface.settings import Settings, SettingsError, load_settings

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
service_url = click.option("--url", help="The running service; unset: HOST and PORT.")


# Named here, and not with what they do: the other commands start without it.
ROLES: Final = (
    "all",
    "api",
    "engine",
    "matching",
    "orders",
    "views",
    "publisher",
    "orders-publisher",
    "matching-publisher",
    "snapshots",
)


class UserError(click.ClickException):
    """A fault that the person at the terminal has to mend."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


@click.group()
@click.version_option(package_name="order-matching-engine")
@click.pass_context
def main(context: click.Context) -> None:
    """An order matching engine whose every order, trade and cancel is an event."""
    try:
        context.obj = load_settings()
    except SettingsError as error:
        click.echo(f"ome: {error}", err=True)
        sys.exit(2)
    configure_logs(context.obj.log_level)


@main.command()
@click.option("--role", type=click.Choice(ROLES), default="all")
@click.option("--demo", is_flag=True, help="With simulated traders.")
@click.pass_obj
def run(settings: Settings, role: str, *, demo: bool) -> None:
    """Serve the market, until Ctrl-C.

    The parts are processes of their own: `engine` matches and keeps the read models, `api`
    serves HTTP, `snapshots` takes snapshots of the books. `all` starts and watches them, and
    PostgreSQL where DATABASE_URL is unset. The engine's own parts, `matching`, `orders`,
    `views` and, where there is Kafka, `publisher`, may run apart as well.
    """
    from interface import roles  # noqa: PLC0415 - the other commands start without it

    sys.exit(roles.run(settings, role, demo=demo))


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--asset", help="Whose book to use; unset: a new one.")
@click.option("--patience", default=60.0, help="Seconds to go on trying without an answer.")
@service_url
@as_json
@click.pass_obj
def replay(  # noqa: PLR0913 - one parameter an option
    settings: Settings,
    file: Path,
    asset: str | None,
    patience: float,
    url: str | None,
    *,
    as_json: bool,
) -> None:
    """Send a file of commands to the service and check the fills it expects."""
    from interface.replay import Replay, read_commands  # noqa: PLC0415

    run_id = uuid.uuid4().hex[:8]
    try:
        commands = read_commands(file)
        with _service(settings, url) as client:
            sending = Replay(client, asset or f"REPLAY-{run_id}", run_id, patience)
            started = time.monotonic()
            with _progress("Replaying", len(commands)) as bar:
                for _ in sending.send(commands):
                    bar.update(1)
            report = sending.report(commands, time.monotonic() - started)
    except (ValueError, OSError, EOFError, httpx.HTTPError) as error:
        raise UserError(f"replay failed: {error}") from error
    if as_json:
        click.echo(json.dumps(report._asdict()))
    else:
        click.echo(
            f"{report.commands} commands in {report.seconds:.1f} s, {report.rate:.0f}/s;"
            f" {report.trades} trades; {report.expected_fills} fills expected,"
            f" {len(report.differences)} differences"
        )
        for difference in report.differences:
            click.echo(f"  {difference}")
    sys.exit(1 if report.differences else 0)


@main.command()
@click.argument("asset")
@click.option("--depth", default=10, help="Levels of each side.")
@service_url
@as_json
@click.pass_obj
def book(settings: Settings, asset: str, depth: int, url: str | None, *, as_json: bool) -> None:
    """Print the book of an asset, as the service shows it."""
    with _service(settings, url) as client:
        response = client.get(f"/books/{quote(asset, safe='')}", params={"depth": depth})
    if response.is_error:
        raise UserError(response.text)
    if as_json:
        click.echo(response.text)
        return
    shown = json.loads(response.text, parse_float=str, parse_int=str)
    click.echo(f"{shown['asset']}, version {shown['version']}")
    click.echo(f"{'':4} {'price':>22} {'quantity':>22} {'orders':>8}")
    rows = [("ask", level) for level in reversed(shown["asks"])]
    rows += [("bid", level) for level in shown["bids"]]
    for name, level in rows:
        click.echo(f"{name:4} {level['price']:>22} {level['quantity']:>22} {level['orders']:>8}")


@main.command("reset-time")
@click.argument("assets", nargs=-1)
@service_url
@click.pass_obj
def reset_time(settings: Settings, assets: tuple[str, ...], url: str | None) -> None:
    """Have books go on from the present time; without ASSETS, those that are ahead of it.

    A wrong clock may have set a book's time ahead, so that orders with an end expire early.
    """
    from interface.resetting import reset_times  # noqa: PLC0415

    with _service(settings, url) as client:
        try:
            for asset, time_ in reset_times(client, assets):
                click.echo(f"{asset}: goes on from {time_}")
        except httpx.HTTPStatusError as error:
            raise UserError(error.response.text) from None


@main.command()
@click.argument("order_or_asset")
@as_json
@click.pass_obj
def events(settings: Settings, order_or_asset: str, *, as_json: bool) -> None:
    """Print the events of an order, with the requests about it, or those of a book."""
    from interface import maintenance  # noqa: PLC0415

    with _database(settings) as env:
        try:
            trail = maintenance.order_events(env, UUID(order_or_asset))
        except ValueError:
            trail = maintenance.book_events(env, click.format_filename(order_or_asset))
    if not trail:
        raise UserError(f"no order and no book {order_or_asset}")
    for event in trail:
        click.echo(event if as_json else _in_words(event))


@main.command()
@click.argument("view", type=click.Choice(["orders", "books", "trades"]))
@click.option(
    "--from",
    "source",
    type=click.Choice(["store", "kafka"]),
    default="store",
    help="Where the events are read; what Kafka does not have yet comes from the store.",
)
@click.pass_obj
def rebuild(settings: Settings, view: str, source: str) -> None:
    """Build a read model anew from the events, beside the one that serves, and swap."""
    from application.persistence.locks import Busy  # noqa: PLC0415
    from interface import maintenance  # noqa: PLC0415

    with _database(settings) as env:
        try:
            if source == "store":
                maintenance.rebuild_view(env, view, _progress)
            else:
                _rebuild_from_kafka(settings, env, view)
        except Busy as error:
            raise UserError(str(error)) from None
    click.echo(f"{view}: rebuilt")


def _rebuild_from_kafka(settings: Settings, env: dict[str, str], view: str) -> None:
    from application.persistence.following import CannotFollow  # noqa: PLC0415
    from interface import maintenance  # noqa: PLC0415
    from interface.kafka import filling  # noqa: PLC0415 - only where there is Kafka
    from interface.kafka.reading import Fault  # noqa: PLC0415

    if settings.kafka_bootstrap_servers is None:
        raise UserError("KAFKA_BOOTSTRAP_SERVERS is not set")
    try:
        maintenance.rebuild_view(env, view, _progress, filling(settings))
    except (CannotFollow, Fault) as error:
        raise UserError(f"{view} can't be rebuilt from Kafka: {error}") from None


@main.command()
@click.option(
    "--recent",
    is_flag=True,
    help="Trust the newest snapshots of the books, and prove the decisions after them alone.",
)
@as_json
@click.pass_obj
def verify(settings: Settings, *, recent: bool, as_json: bool) -> None:
    """Decide every command again, and compare with all that is stored.

    Says as well what can't go on: a parked view, a publisher that Kafka refuses. Exits with 0
    where everything is consistent and goes on, else with 1.
    """
    from application.publishing import FEEDS  # noqa: PLC0415
    from interface import maintenance  # noqa: PLC0415

    publishers = (
        [f"{leader}Publisher" for leader in FEEDS] if settings.kafka_bootstrap_servers else []
    )
    with _database(settings) as env:
        prove = maintenance.verify_recent if recent else maintenance.verify_all
        difference = prove(env, _progress)
        standing = maintenance.standing_still(env, publishers)
    if as_json:
        found: dict[str, Any] = {"consistent": difference is None, "difference": difference}
        click.echo(json.dumps(found | ({"standingStill": standing} if standing else {})))
    else:
        click.echo("\n".join([difference or "consistent", *standing]))
    sys.exit(1 if difference is not None or standing else 0)


@main.group()
def db() -> None:
    """The tables in PostgreSQL."""


@db.command("init")
@click.option(
    "--grant", "roles", multiple=True, help="A role that is given the rights to serve the market."
)
@click.pass_obj
def db_init(settings: Settings, roles: tuple[str, ...]) -> None:
    """Make the tables, or upgrade those of an earlier release. It may be done again.

    A start does the same where its role may; with this, it need not.
    """
    from interface import maintenance  # noqa: PLC0415

    with _database(settings) as env:
        maintenance.grant_all(env, roles)
    click.echo(f'schema "{settings.database_schema}": version {SCHEMA_VERSION}')
    for role in roles:
        click.echo(f"{role}: has the rights to serve the market")


@main.group()
def kafka() -> None:
    """Publishing to Kafka."""


@kafka.command()
@click.pass_obj
def init(settings: Settings) -> None:
    """Make the topics that are missing, and check those that exist.

    Nothing else makes topics; it may be done again. Topics that exist are never changed: what is
    wrong with them is printed with what mends it. Exits with 1 where a topic or a broker loses,
    holds back or reorders messages, with 0 and a warning where it might.
    """
    from application.persistence.following import CannotFollow  # noqa: PLC0415
    from interface.kafka.topic_faults import Severity, check  # noqa: PLC0415
    from interface.kafka.topics import create, topics_of  # noqa: PLC0415

    if settings.kafka_bootstrap_servers is None:
        raise UserError("KAFKA_BOOTSTRAP_SERVERS is not set")
    servers, topics = settings.kafka_bootstrap_servers, topics_of(settings)
    try:
        found = check(servers, topics)
        made = create(servers, topics) if not any(fault.forbids_making for fault in found) else None
        if made:
            found = check(servers, topics)  # the brokers' settings, where no topic was there
    except CannotFollow as error:
        raise UserError(f"{servers}: {error}") from None
    for topic in topics if made is not None else ():
        state = "made" if topic.name in (made or ()) else "was there"
        click.echo(f"{topic.name}: {state}, partitions: {topic.partitions}")
    for fault in found:
        kind = "Warning" if fault.severity is Severity.RISK else "Error"
        click.echo(f"{kind}: {fault}", err=True)
    if any(fault.severity > Severity.RISK for fault in found):
        sys.exit(1)


@main.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.pass_context
def bench(context: click.Context) -> None:
    """Measure how fast it is: `ome bench --help`. In a checkout only."""
    checkout = Path(__file__).parents[1]
    if not (checkout / "benchmarks").is_dir():
        raise UserError("the benchmarks are not part of what is installed: run it in a checkout")
    os.environ["PYTHONPATH"] = str(checkout)
    command = [sys.executable, "-P", "-m", "benchmarks", *context.args]
    os.execv(sys.executable, command)  # noqa: S606 - no shell is meant


@main.command(hidden=True)
@service_url
@click.pass_obj
def traders(settings: Settings, url: str | None) -> None:
    """Trade at random with the running service; `ome run --demo` starts this."""
    from interface.process import die_with_supervisor  # noqa: PLC0415
    from interface.traders import trade_forever  # noqa: PLC0415

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    die_with_supervisor()
    trade_forever(url or base_url(settings.host, settings.port))


@contextmanager
def _service(settings: Settings, url: str | None) -> Iterator[httpx.Client]:
    base = url or base_url(settings.host, settings.port)
    try:
        with httpx.Client(base_url=base, timeout=35, trust_env=False) as client:
            yield client
    except httpx.TransportError as error:
        raise UserError(f"no service answers at {base}: {error}") from None


@contextmanager
def _database(settings: Settings) -> Iterator[dict[str, str]]:
    """The library's environment, of the service's database whether it runs or not."""
    from interface import maintenance  # noqa: PLC0415

    try:
        with maintenance.database_of(settings) as env:
            yield env
    except CannotStartError as error:
        raise UserError(str(error), error.exit_code) from None
    except psycopg.OperationalError as error:
        raise UserError(str(error)) from None


def _in_words(event: str) -> str:
    """The same as a line to read: what is not given is left out."""
    values = json.loads(event, parse_float=str, parse_int=str)
    time_and_type = f"{values.pop('occurredAt')}  {values.pop('type'):22}"
    given = {name: value for name, value in values.items() if value not in (None, [])}
    return f"{time_and_type} " + " ".join(f"{name}={_plain(given[name])}" for name in given)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "[" + "; ".join(_plain(entry) for entry in value) + "]"
    if isinstance(value, dict):
        return " ".join(f"{name}={entry}" for name, entry in value.items())
    return str(value)


def _progress(label: str, length: int) -> Any:
    """A progress bar on the terminal; nothing where standard error is not one."""
    return click.progressbar(length=length, label=label, file=sys.stderr)


if __name__ == "__main__":
    main()
