"""A new order: which of its fields go together, and the terms that they say.

The table is that of docs/order-types.md. Its meaning for each field is worked out once for
each ``orderType`` and ``timeInForce``, not for each order.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

from domain.values import MAX_SLICES, OrderType, SelfTradePrevention, Side, Terms, TimeInForce
from interface.http.fields import Fields
from interface.http.rules import (
    amount,
    asset_identifier,
    boolean,
    date_time,
    either,
    one_of,
    user_identifier,
)

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)

_side: Final = one_of(Side)
_order_type: Final = one_of(OrderType)
_time_in_force: Final = one_of(TimeInForce)
_self_trade_prevention: Final = one_of(SelfTradePrevention)

_Times = tuple[TimeInForce, ...]

_RESTING: Final[_Times] = (TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY)
_AT_ONCE: Final[_Times] = (TimeInForce.IOC, TimeInForce.FOK)
_ANY: Final[_Times] = (TimeInForce.GTC, *_AT_ONCE, TimeInForce.GTD, TimeInForce.DAY)


class _Row(NamedTuple):
    """The fields that go with an ``orderType``; those that are not named do not.

    ``times``: the first is the default. ``optional``: with which of them each field goes.
    ``one_of``: fields of which an order has exactly one.
    """

    times: _Times
    required: tuple[str, ...]
    optional: Mapping[str, _Times]
    one_of: tuple[str, ...] = ()


_TABLE: Final[Mapping[OrderType, _Row]] = {
    OrderType.LIMIT: _Row(
        times=_ANY,
        required=("price", "quantity"),
        optional={"postOnly": _RESTING, "displayQuantity": _RESTING},
    ),
    OrderType.MARKET: _Row(
        times=_AT_ONCE,
        required=(),
        optional={"quantity": _AT_ONCE, "quoteQuantity": (TimeInForce.IOC,)},
        one_of=("quantity", "quoteQuantity"),
    ),
    OrderType.STOP: _Row(
        times=_RESTING,
        required=("stopPrice", "quantity"),
        optional={"takeProfit": _RESTING},
    ),
    OrderType.STOP_LIMIT: _Row(
        times=_ANY,
        required=("price", "stopPrice", "quantity"),
        optional={"postOnly": _RESTING, "displayQuantity": _RESTING, "takeProfit": _ANY},
    ),
}
_CONDITIONAL: Final = dict.fromkeys(
    name for row in _TABLE.values() for name in (*row.required, *row.optional)
)
_MISSING: Final = dict.fromkeys(("price", "quantity"), "must be greater than 0")


class _Kind(NamedTuple):
    """The rules of an ``orderType`` and a ``timeInForce`` for the other fields.

    ``required`` and ``forbidden``: the sentence about each field that is missing, or that is given.
    """

    default: TimeInForce
    required: Mapping[str, str]
    forbidden: Mapping[str, str]
    one_of: tuple[str, ...]


def _kind(order_type: OrderType, time: TimeInForce | None) -> _Kind:
    """``time`` is None where a bad one was given: nothing is said then of what depends on it."""
    row = _TABLE[order_type]
    required = {
        name: _MISSING.get(name, f"is required with orderType {order_type}")
        for name in row.required
    }
    forbidden = {
        name: f"goes with orderType {either(_types_with(name))} only"
        for name in _CONDITIONAL
        if name not in row.required and name not in row.optional
    }
    if time is not None and time not in row.times:
        forbidden["timeInForce"] = f"must be {either(row.times)} with orderType {order_type}"
    elif time is not None:
        for name, times in row.optional.items():
            if time not in times:
                forbidden[name] = f"goes with timeInForce {either(times)} only"
        if time is TimeInForce.GTD:
            required["expiresAt"] = "is required with timeInForce GTD"
        else:
            forbidden["expiresAt"] = "goes with timeInForce GTD only"
    return _Kind(row.times[0], required, forbidden, row.one_of)


def _types_with(name: str) -> list[OrderType]:
    return [each for each, row in _TABLE.items() if name in row.required or name in row.optional]


_KINDS: Final = {
    (order_type, time): _kind(order_type, time)
    for order_type in OrderType
    for time in (*TimeInForce, None)
}
# Of an orderType that there is not: nothing depends on it then.
_NO_KIND: Final = _Kind(TimeInForce.GTC, {}, {}, ())


def order_terms(given: Mapping[str, Any]) -> Terms:
    """The terms of a new order. Raises BadInput."""
    kind = _kind_of(given)
    fields = _OrderFields(given, kind)
    terms = Terms(
        user_id=fields.required("userId", user_identifier),
        asset=fields.required("asset", asset_identifier),
        side=fields.required("type", _side, missing="must be BUY or SELL"),
        price=fields.conditional("price", amount),
        quantity=fields.conditional("quantity", amount),
        order_type=fields.optional("orderType", _order_type) or OrderType.LIMIT,
        time_in_force=fields.conditional("timeInForce", _time_in_force) or kind.default,
        post_only=fields.flag("postOnly"),
        stop_price=fields.conditional("stopPrice", amount),
        take_profit=fields.flag("takeProfit"),
        display_quantity=fields.conditional("displayQuantity", amount),
        expires_at=fields.conditional("expiresAt", date_time),
        self_trade_prevention=fields.optional("selfTradePrevention", _self_trade_prevention)
        or SelfTradePrevention.NONE,
        quote_quantity=fields.conditional("quoteQuantity", amount),
        client_order_id=fields.optional("clientOrderId", user_identifier),
    )
    _check_one_of(fields, kind, given)
    _check_slices(fields, terms)
    fields.check()
    return terms


class _OrderFields(Fields):
    """Fields some of which an order of its kind must have, and some it must not."""

    def __init__(self, given: Mapping[str, Any], kind: _Kind) -> None:
        super().__init__(given)
        self._kind = kind

    def conditional(self, name: str, rule: Callable[[Any], T]) -> T | None:
        """A field that the kind requires, allows or forbids; its value matters unless forbidden."""
        if name in self._kind.required:
            return self.required(name, rule, self._kind.required[name])
        if name in self._kind.forbidden and self._left.get(name) is not None:
            del self._left[name]
            self.fault(name, self._kind.forbidden[name])
            return None
        return self.optional(name, rule)

    def flag(self, name: str) -> bool:
        """A field that is true or false; false goes with everything, as not given does."""
        take = self.conditional if self._left.get(name) is True else self.optional
        return take(name, boolean) or False


def _kind_of(given: Mapping[str, Any]) -> _Kind:
    order_type = _known(OrderType, given.get("orderType"), OrderType.LIMIT)
    if order_type is None:
        return _NO_KIND
    default = _TABLE[order_type].times[0]
    return _KINDS[order_type, _known(TimeInForce, given.get("timeInForce"), default)]


def _known(choices: type[Choice], value: object, default: Choice) -> Choice | None:
    """Return the value that a field will have; None: no valid one."""
    if value is None:
        return default
    return choices.__members__.get(value) if isinstance(value, str) else None


def _check_one_of(fields: Fields, kind: _Kind, given: Mapping[str, Any]) -> None:
    """Faults of fields of which there is to be exactly one, unless they have their own."""
    if not kind.one_of:
        return
    first, second = kind.one_of
    has_first, has_second = given.get(first) is not None, given.get(second) is not None
    if not has_first and not has_second:
        fields.fault(first, f"or {second} is required")
    elif has_first and has_second and second not in kind.forbidden:
        fields.fault(second, f"goes in place of {first}, not with it")


def _check_slices(fields: Fields, terms: Terms) -> None:
    """Faults of an iceberg that shows more than it has, or would trade in too many slices."""
    shown, quantity = terms.display_quantity, terms.quantity
    # A field with a fault of its own is None.
    if shown is None or quantity is None:
        return
    if shown > quantity:
        fields.fault("displayQuantity", "must be at most the quantity")
    elif shown * MAX_SLICES < quantity:
        fields.fault("displayQuantity", "must be at least a thousandth of the quantity")
