"""Errors as RFC 9457 problem details.

Problem           a status and a sentence; any handler raises it to end a request
└── BadInput      400, with every fault that was found
"""

import logging
from collections.abc import Callable, Mapping
from functools import singledispatch
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
from eventsourcing.application import AggregateNotFoundError
from eventsourcing.persistence import (
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from flask import Flask, request
from psycopg.errors import InsufficientPrivilege, QueryCanceled
from werkzeug.exceptions import HTTPException

from application.messages import sentence
from application.orders import ClientOrderIdReused
from application.persistence.connection import TooManyLongReads
from application.persistence.database_clock import ClocksDisagree, TimeUnknown
from application.persistence.guards import LockTimeout, StampAhead
from application.persistence.migrations import SchemaOutdated
from application.persistence.unit_of_work import CommitUnknown
from domain.errors import OrderClosed, RejectReason
from domain.instrument import Refusal
from interface.http.api import Answer

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS: Final = 1
ORDER_NOT_FOUND: Final = "Order not found"


class Fault(NamedTuple):
    """A fault of one field."""

    field: str
    message: str


CLIENT_ORDER_ID_REUSED: Final = Fault(
    "clientOrderId", "ClientOrderId stands for another order already"
)


class Problem(Exception):
    """The end of a request with this status; ``more`` are further members of the document."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    def answer(self) -> Answer:
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
        headers = {"Content-Type": "application/problem+json", **self.headers}
        return msgspec.json.encode(body), self.status, headers


class BadInput(Problem):
    """400: the request alone shows what is wrong with it; ``errors`` is all that was found."""

    def __init__(
        self, *faults: Fault, detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.errors = [fault._asdict() for fault in faults]
        detail = detail or "; ".join(fault.message for fault in faults)
        super().__init__(400, detail, headers=headers, errors=self.errors)


def refused(refusal: Refusal, headers: Mapping[str, str], **more: Any) -> Problem:
    """409: a rule of the market forbids it; ``reason`` is its code."""
    reason, limit = refusal
    return Problem(409, sentence(reason, limit) or "", headers=headers, reason=reason, **more)


@singledispatch
def problem(error: Exception) -> Problem:
    """The problem that an exception is to a client. An unforeseen error is a 500, logged."""
    return _failure(error)


@problem.register
def _(error: Problem) -> Problem:
    return error


@problem.register
def _(error: HTTPException) -> Problem:
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return Problem(error.code or 500, error.description or "", headers=headers)


@problem.register
def _(_: AggregateNotFoundError) -> Problem:
    return Problem(404, ORDER_NOT_FOUND)


@problem.register
def _(error: OrderClosed) -> Problem:
    return Problem(409, str(error), reason=RejectReason.ORDER_NOT_OPEN)


@problem.register
def _(_: ClientOrderIdReused) -> Problem:
    return Problem(409, CLIENT_ORDER_ID_REUSED.message, errors=[CLIENT_ORDER_ID_REUSED._asdict()])


@problem.register
def _(error: CommitUnknown) -> Problem:
    log.warning("commit unknown", extra={**_request(), "error": str(error).strip()})
    return Problem(
        503,
        "The outcome is unknown: the database was lost during the commit."
        " Ask again; an order with the same clientOrderId is placed once only",
    )


@problem.register
def _(error: LockTimeout) -> Problem:
    log.warning(str(error), extra=_request())
    return Problem(503, f"{error}; nothing was changed")


@problem.register
def _(error: SchemaOutdated) -> Problem:
    return Problem(503, str(error))


@problem.register(TimeUnknown)
@problem.register(ClocksDisagree)
def _(error: Exception) -> Problem:
    return Problem(503, f"{error}. Nothing was changed")


@problem.register
def _(error: StampAhead) -> Problem:
    log.warning("stamp refused", extra={**_request(), "error": str(error).strip()})
    return Problem(
        503,
        "The clock of this API process is ahead of the database's clock, which refused the"
        " command's stamp; nothing was changed",
    )


@problem.register(OperationalError)
@problem.register(InterfaceError)
@problem.register(InternalError)
def _(error: Exception) -> Problem:
    reason = "Database unavailable"
    if isinstance(error.__cause__, QueryCanceled):
        reason = "The database took too long"
    log.warning(reason, extra={**_request(), "error": str(error).strip()})
    return Problem(503, f"{reason}; nothing was changed, so try again")


@problem.register
def _(error: ProgrammingError) -> Problem:
    if not isinstance(error.__cause__, InsufficientPrivilege):
        return _failure(error)
    reason = f"The service lacks a right in the database: {str(error).strip()}"
    log.warning(reason, extra=_request())
    return Problem(503, f"{reason}. Nothing was changed")


@problem.register
def _(error: TooManyLongReads) -> Problem:
    log.warning(str(error), extra=_request())
    return Problem(503, "Too many long reads run at once, so try again")


def register(app: Flask, end: Callable[[str], None]) -> None:
    """Answer every failure in the app with a problem document.

    ``end`` is called with the reason when the database belongs to another release.
    """

    def answer(error: Exception) -> Answer:
        if isinstance(error, SchemaOutdated):
            end(str(error))
        return problem(error).answer()

    app.register_error_handler(Exception, answer)


def _failure(error: Exception) -> Problem:
    log.error("request failed", exc_info=error, extra=_request())
    return Problem(500, "The request failed; the fault is ours, and is logged")


def _request() -> dict[str, str]:
    return {"method": request.method, "path": request.path}
