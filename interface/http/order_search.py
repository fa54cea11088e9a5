"""The parameters of GET /orders."""

from typing import NamedTuple
from uuid import UUID

from flask import Request

from application.views.order_pages import OrderFilter
from application.views.order_rows import ENDED_STATUSES, OPEN_STATUSES
from domain.values import OrderStatus, derive_order_id
from interface.http.fields import Fields
from interface.http.pages import page_limit
from interface.http.rules import asset_identifier, date_time, flag, some_of, user_identifier
from interface.http.tokens import Token, decode


class OrderSearch(NamedTuple):
    """A page of orders; ``order_id``: the one that a clientOrderId stands for, if it is given."""

    wanted: OrderFilter
    order_id: UUID | None
    limit: int
    before: int | None


def order_search(request: Request) -> OrderSearch:
    """Return what the query of a request asks for; all that it says narrows the list.

    Raises BadInput.
    """
    fields = Fields.of_query(request)
    user_id = fields.optional("userId", user_identifier)
    asset = fields.optional("asset", asset_identifier)
    statuses = fields.optional("status", some_of(OrderStatus))
    is_open = fields.optional("open", flag)
    client_order_id = fields.optional("clientOrderId", user_identifier)
    since = fields.optional("since", date_time)
    until = fields.optional("until", date_time)
    limit = page_limit(fields)
    before = fields.optional("cursor", _cursor)
    if "clientOrderId" in request.args:
        for name in ("userId", "asset"):
            if name not in request.args:
                fields.fault(name, "is required with clientOrderId")
    fields.check()
    if is_open is not None:
        of_kind = OPEN_STATUSES if is_open else ENDED_STATUSES
        statuses = of_kind if statuses is None else statuses & of_kind
    order_id = None
    if client_order_id and user_id and asset:
        order_id = derive_order_id(user_id, asset, client_order_id)
    return OrderSearch(OrderFilter(user_id, asset, statuses, since, until), order_id, limit, before)


def _cursor(text: str) -> int:
    [position] = decode(Token.ORDERS_CURSOR, text)
    return position
