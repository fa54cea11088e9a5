"""What requests say, field by field, each against its rule; every fault is found at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast
from uuid import UUID

from flask import Request

from domain.values import OrderType, Side, Terms, TimeInForce
from interface.http.parsing import printable
from interface.http.problems import ORDER_NOT_FOUND, BadInput, Fault, Problem
from interface.http.rules import amount, asset_identifier, one_of, user_identifier, uuid

MAX_BATCH: Final = 1000

_side: Final = one_of(Side)
_order_type: Final = one_of(OrderType)
_time_in_force: Final = one_of(TimeInForce)

T = TypeVar("T")


class Fields:
    """What was given, taken field by field. Nothing taken is good before ``check`` passed."""

    def __init__(self, given: Mapping[str, Any], faults: Sequence[Fault] = ()) -> None:
        self._left = dict(given)
        self._faults = list(faults)

    @classmethod
    def of_query(cls, request: Request) -> "Fields":
        """The query parameters of a request."""
        return cls(
            request.args,
            [
                Fault(printable(name), f"{_label(name)} is given more than once")
                for name, values in request.args.lists()
                if len(values) > 1
            ],
        )

    def required(self, name: str, rule: Callable[[Any], T], missing: str = "is required") -> T:
        """A field that is missing when it is absent, null, or an empty string."""
        value = self._left.pop(name, None)
        if value is None or value == "":
            self.fault(name, missing)
            return cast("T", None)
        return self.ruled(name, rule, value)

    def optional(self, name: str, rule: Callable[[Any], T], default: T | None = None) -> T | None:
        """A field that is not given when it is absent or null."""
        value = self._left.pop(name, None)
        return default if value is None else self.ruled(name, rule, value)

    def ruled(self, name: str, rule: Callable[[Any], T], value: object) -> T:
        """A value that was not given as a field, such as a part of the path."""
        try:
            return rule(value)
        except ValueError as error:
            self.fault(name, str(error))
            return cast("T", None)

    def fault(self, name: str, message: str) -> None:
        self._faults.append(Fault(name, f"{_label(name)} {message}"))

    def check(self) -> None:
        """Raises BadInput with every fault; a field that nobody took is one."""
        faults = [
            *self._faults,
            *(Fault(printable(name), f"{printable(name)} is unknown") for name in self._left),
        ]
        if faults:
            raise BadInput(*faults)


class Amendment(NamedTuple):
    """What is to change of an order, in units; None: as it is."""

    price: int | None
    quantity: int | None


def order_terms(given: Mapping[str, Any]) -> Terms:
    """The terms of a new order. Raises BadInput."""
    fields = Fields(given)
    terms = Terms(
        user_id=fields.required("userId", user_identifier),
        asset=fields.required("asset", asset_identifier),
        side=fields.required("type", _side, missing="must be BUY or SELL"),
        price=fields.required("price", amount, missing="must be greater than 0"),
        quantity=fields.required("quantity", amount, missing="must be greater than 0"),
        order_type=fields.optional("orderType", _order_type) or OrderType.LIMIT,
        time_in_force=fields.optional("timeInForce", _time_in_force) or TimeInForce.GTC,
        client_order_id=fields.optional("clientOrderId", user_identifier),
    )
    fields.check()
    return terms


def amendment(given: Mapping[str, Any]) -> Amendment:
    """What a user wants changed: price, quantity, or both. Raises BadInput."""
    fields = Fields(given)
    if given.get("price") is None and given.get("quantity") is None:
        fields.fault("price", "or quantity is required")
    wanted = Amendment(fields.optional("price", amount), fields.optional("quantity", amount))
    fields.check()
    return wanted


def check_no_query(request: Request) -> None:
    """Raises BadInput for query parameters, where there are none to be given."""
    if request.query_string:
        Fields.of_query(request).check()


def path_order_id(text: str) -> UUID:
    """The order that a path names. Raises Problem 404: a malformed id is that of no order."""
    try:
        return uuid(text)
    except ValueError:
        raise Problem(404, ORDER_NOT_FOUND) from None


def batch(given: Mapping[str, Any]) -> list[Any]:
    """The entries of a batch, not looked at yet. Raises BadInput."""
    fields = Fields(given)
    entries = fields.required("orders", _entries)
    fields.check()
    return entries


def _entries(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("must be an array")  # noqa: TRY004 - rules raise ValueError
    if not 1 <= len(value) <= MAX_BATCH:
        raise ValueError(f"must have 1 to {MAX_BATCH} entries")
    return value


def _label(name: str) -> str:
    return printable(name[:1].upper() + name[1:])
