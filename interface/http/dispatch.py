"""Flask's dispatch of a request, on the event loop, and without what no route here uses.

As it comes, Flask takes 200 to 250 us for a request, of which this leaves a fifth. It skips
sessions, signals, flashed messages, ``g``, the functions before, after and at the teardown of a
request, and response objects: an answer goes to the server as the view returned it. It relies on
the inside of one version of Flask: a test holds it to that, and to using nothing that is skipped.
"""

from collections.abc import Mapping
from typing import Any, Final

from flask import Request
from flask.globals import _cv_app, _cv_request
from werkzeug.routing import Rule

from interface.http.api import Answer, Api

FLASK_VERSION: Final = "3.1.3"


class _Context:
    """What ``flask.request`` is found in while a view runs."""

    __slots__ = ("request",)

    def __init__(self, request: Request) -> None:
        self.request = request


class Dispatcher:
    """Calls the views of an application with requests in the form of WSGI environments."""

    def __init__(self, app: Api) -> None:
        self._app = app
        self._context = app.app_context()
        # Most requests are for paths without variables, which need no search.
        self._fixed: dict[tuple[str, str], Rule] = {
            (method, rule.rule): rule
            for rule in app.url_map.iter_rules()
            for method in rule.methods or ()
            if not rule.arguments
        }

    async def answer(self, environ: dict[str, Any]) -> Answer:
        """Return what the view answers, or what the error handler makes of its error."""
        request = self._app.request_class(environ)
        app_token = _cv_app.set(self._context)
        token = _cv_request.set(_Context(request))  # type: ignore[arg-type]
        try:
            rule, arguments = self._match(request)
            request.url_rule = rule
            view: Any = self._app.view_functions[rule.endpoint]
            answer: Answer = await view(**arguments)
        except Exception as error:  # noqa: BLE001 - the application has a handler for whatever it is
            answer = self._app.handle_user_exception(error)  # type: ignore[assignment]
        finally:
            _cv_request.reset(token)
            _cv_app.reset(app_token)
        return answer

    def _match(self, request: Request) -> tuple[Rule, Mapping[str, Any]]:
        """Return the route, and the variables in its path. Raise HTTPException 404 or 405."""
        rule = self._fixed.get((request.method, request.path))
        if rule is not None:
            return rule, {}
        return self._app.adapter(request).match(return_rule=True)
