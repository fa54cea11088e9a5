"""Dispatch on the loop: it answers as Flask does, and nothing that it skips is used."""

import asyncio
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import flask
import pytest
from werkzeug.test import EnvironBuilder

import interface.http
from interface.http.api import Answer, Api
from interface.http.dispatch import FLASK_VERSION, Dispatcher
from tests.http.support import Service, order
from tests.loops import call

SKIPPED = ("session", "g", "flash", "after_this_request", "stream_with_context", "before_request")


@pytest.fixture(scope="module")
def app(unfollowed: Service) -> Api:
    api = unfollowed.client.application
    assert isinstance(api, Api)
    return api


def answered(service: Service, app: Api, builder: EnvironBuilder) -> Answer:
    environ = builder.get_environ()
    environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read())
    return call(service.loop, Dispatcher(app).answer(environ))


def test_the_dispatch_is_for_the_installed_version_of_flask() -> None:
    """With another one, read its app.py and ctx.py against dispatch.py before changing this."""
    assert version("flask") == FLASK_VERSION == "3.1.3"


def test_the_application_has_nothing_registered_that_is_skipped(app: Api) -> None:
    assert not any(
        (
            app.before_request_funcs,
            app.after_request_funcs,
            app.teardown_request_funcs,
            app.teardown_appcontext_funcs,
            app.url_value_preprocessors,
            app.url_default_functions,
            app.blueprints,
        )
    )
    assert app.secret_key is None
    for name in dir(flask.signals):
        signal = getattr(flask.signals, name)
        assert not getattr(signal, "receivers", None), name


@pytest.mark.parametrize("name", SKIPPED)
def test_no_module_of_the_api_takes_from_flask_what_is_skipped(name: str) -> None:
    for source in Path(interface.http.__file__).parent.glob("*.py"):
        imported = [
            line for line in source.read_text().splitlines() if line.startswith("from flask import")
        ]
        assert not any(name in line.replace(",", " ").split() for line in imported), source


def test_every_view_is_a_coroutine(app: Api) -> None:
    assert all(asyncio.iscoroutinefunction(view) for view in app.view_functions.values())


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/health", None),
        ("HEAD", "/health", None),
        ("GET", "/ready", None),
        ("GET", "/books/BTC-USD", None),
        ("GET", "/books/%F0%9F%92%B0", None),
        ("GET", "/books/BTC-USD?depth=5&level=3", None),
        ("GET", "/books/BTC-USD?depth=x&nonsense=%20%ff", None),
        ("GET", "/orders?asset=A&asset=B", None),
        ("GET", "/orders?open=true&limit=7", None),
        ("GET", "/orders/nonsense", None),
        ("GET", "/instruments/*", None),
        ("GET", "//orders", None),
        ("GET", "/orders/", None),
        ("GET", "/nope/%2e%2e/%00", None),
        ("OPTIONS", "/orders", None),
        ("PUT", "/orders", None),
        ("FOO", "/books/BTC-USD", None),
        ("POST", "/orders", {"type": "BUY"}),
        ("POST", "/orders?a=b", order()),
        ("POST", "/orders/batch", {"orders": []}),
        ("DELETE", "/orders", None),
    ],
)
def test_it_answers_as_flask_does(
    unfollowed: Service, app: Api, method: str, path: str, body: Any
) -> None:
    by_flask = app.test_client().open(path, method=method, json=body)
    own, status, headers = answered(
        unfollowed, app, EnvironBuilder(path=path, method=method, json=body)
    )
    assert status == by_flask.status_code
    if method != "HEAD":  # the server leaves the body out
        assert own == by_flask.data
    expected = {name: value for name, value in by_flask.headers.items() if name != "Content-Length"}
    allowed = {expected.pop("Allow", ""), headers.get("Allow", "")}  # in any order
    assert len({frozenset(each.split(", ")) for each in allowed}) == 1
    assert {name: value for name, value in headers.items() if name != "Allow"} == expected


def test_it_answers_a_fault_of_ours_as_flask_does(
    unfollowed: Service, app: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setitem(app.view_functions, "GET /health", fail)
    body, status, _ = answered(unfollowed, app, EnvironBuilder(path="/health"))
    assert status == 500
    assert json.loads(body) == app.test_client().get("/health").json


def test_requests_that_wait_at_once_do_not_mix(unfollowed: Service, app: Api) -> None:
    """Each finds its own request after it has let others go on."""

    async def place(price: int) -> Any:
        environ = EnvironBuilder(
            path="/orders", method="POST", json=order(price=price)
        ).get_environ()
        body, _, _ = await Dispatcher(app).answer(environ)
        return json.loads(body)["price"]

    async def place_all() -> list[Any]:
        return await asyncio.gather(*(place(price) for price in range(1, 101)))

    assert call(unfollowed.loop, place_all()) == list(range(1, 101))
