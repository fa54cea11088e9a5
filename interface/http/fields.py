"""The fields of requests, each against its rule; every fault is found at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast
from uuid import UUID

from flask import Request

from domain.instrument import DEFAULT, MAX_PRICE, MAX_QUANTITY, Instrument, Limits, TradingStatus
from domain.values import ALL_ASSETS
from interface.http.parsing import printable
from interface.http.problems import ORDER_NOT_FOUND, BadInput, Fault, Problem
from interface.http.rules import (
    amount,
    asset_identifier,
    boolean,
    count,
    one_of,
    time_of_day,
    user_identifier,
    uuid,
)

MAX_BATCH: Final = 1000

_AMENDABLE: Final = ("price", "quantity", "stopPrice", "displayQuantity")  # as in Amendment
_NOTHING_TO_AMEND: Final = Fault(
    "price", "Price, quantity, stopPrice or displayQuantity is required"
)

_trading_status: Final = one_of(TradingStatus)

T = TypeVar("T")


class Fields:
    """A request's fields, taken one by one. They are not valid before ``check`` passed."""

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
        """Raise BadInput with every fault; a field that no rule took is one."""
        faults = [
            *self._faults,
            *(Fault(printable(name), f"{printable(name)} is unknown") for name in self._left),
        ]
        if faults:
            raise BadInput(*faults)


class Amendment(NamedTuple):
    """The changes of an order, in units; None: as it is."""

    price: int | None
    quantity: int | None
    stop_price: int | None = None
    display_quantity: int | None = None


def amendment(given: Mapping[str, Any]) -> Amendment:
    """Read the changes that a user wants, one at least. Raises BadInput."""
    is_empty = all(given.get(name) is None for name in _AMENDABLE)
    fields = Fields(given, [_NOTHING_TO_AMEND] if is_empty else ())
    wanted = Amendment(*(fields.optional(name, amount) for name in _AMENDABLE))
    fields.check()
    return wanted


def mass_cancel(request: Request) -> tuple[str, str | None]:
    """The user whose orders a query asks to cancel, and the asset; None: all. Raises BadInput."""
    fields = Fields.of_query(request)
    user_id = fields.required("userId", user_identifier)
    asset = fields.optional("asset", asset_identifier)
    fields.check()
    return user_id, asset


def instrument_rules(given: Mapping[str, Any]) -> Instrument:
    """The rules of an asset, whole: what is not given is as by default. Raises BadInput."""
    fields = Fields(given)
    rules = Instrument(
        tick_size=fields.optional("tickSize", amount) or DEFAULT.tick_size,
        lot_size=fields.optional("lotSize", amount) or DEFAULT.lot_size,
        min_quantity=fields.optional("minQuantity", amount),
        max_quantity=fields.optional("maxQuantity", amount),
        min_notional=fields.optional("minNotional", amount),
        min_price=fields.optional("minPrice", amount),
        max_price=fields.optional("maxPrice", amount),
        band_percent=fields.optional("bandPercent", amount),
        session_end=fields.optional("sessionEnd", time_of_day) or DEFAULT.session_end,
        status=fields.optional("status", _trading_status) or DEFAULT.status,
        limits=Limits(
            max_open_orders=fields.optional("maxOpenOrders", count),
            max_user_stops=fields.optional("maxOpenStopsPerUser", count),
            max_stops=fields.optional("maxOpenStops", count),
            max_slices=fields.optional("maxSlices", count),
        ),
    )
    # A bound with a fault of its own is None here, which contradicts nothing.
    quantities = rules.min_quantity or 1, rules.max_quantity or MAX_QUANTITY
    prices = rules.min_price or 1, rules.max_price or MAX_PRICE
    _check_range(fields, "Quantity", quantities, ("lotSize", rules.lot_size))
    _check_range(fields, "Price", prices, ("tickSize", rules.tick_size))
    fields.check()
    return rules


def asset_or_default(text: str) -> str:
    """The asset whose rules a path names, or ``*``, the default instrument. Raises BadInput."""
    fields = Fields({})
    asset = text if text == ALL_ASSETS else fields.ruled("asset", asset_identifier, text)
    fields.check()
    return asset


def user_settings(given: Mapping[str, Any]) -> bool:
    """Read if a user is to be suspended. Raises BadInput."""
    fields = Fields(given)
    is_suspended = fields.required("suspended", boolean)
    fields.check()
    return is_suspended


def check_no_query(request: Request) -> None:
    """Raise BadInput for query parameters where a path takes none."""
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


def _check_range(fields: Fields, of: str, ends: tuple[int, int], step: tuple[str, int]) -> None:
    """Yield the faults of a range without a multiple of the step, in which nothing could trade."""
    least, most = ends
    name, size = step
    if least > most:
        fields.fault(f"min{of}", f"must be at most max{of}")
    elif most // size * size < least:
        fields.fault(name, f"has no multiple from min{of} to max{of}")


def _entries(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("must be an array")  # noqa: TRY004 - rules raise ValueError
    if not 1 <= len(value) <= MAX_BATCH:
        raise ValueError(f"must have 1 to {MAX_BATCH} entries")
    return value


def _label(name: str) -> str:
    return printable(name[:1].upper() + name[1:])
