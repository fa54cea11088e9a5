"""Lists of orders, newest first: their filters, and the reading of one page."""

from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Final, NamedTuple

from application.views.order_rows import OPEN_STATUSES, STRETCH, OrderRow
from domain.values import OrderStatus

_NEWEST: Final = 2**63 - 1


class OrderFilter(NamedTuple):
    """The values that the orders of a list have in common; None: any value.

    ``since`` is the earliest creation time, ``until`` the one that is too late.
    """

    user_id: str | None = None
    asset: str | None = None
    statuses: AbstractSet[OrderStatus] | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Test if no order can have all of these values."""
        no_time = self.since is not None and self.until is not None and self.since >= self.until
        return no_time or (self.statuses is not None and not self.statuses)

    def admits(self, row: OrderRow) -> bool:
        """Tell whether an order belongs to the list."""
        return (
            self.user_id in {None, row.user_id}
            and self.asset in {None, row.asset}
            and (self.statuses is None or row.status in self.statuses)
            and (self.since is None or row.created_at >= self.since)
            and (self.until is None or row.created_at < self.until)
        )

    def page(self, before: int | None, limit: int) -> tuple[str, dict[str, Any]]:
        """Return the statement that reads the newest orders whose position is below ``before``.

        With it, its parameters.
        """
        conditions = [self._range(), *self._conditions()]
        statement = f"""{_BOUNDS if self._has_times else ""}
            SELECT o.* FROM {_OPEN_ORDERS if self._is_open else _ALL_ORDERS}
            WHERE {" AND ".join(conditions)}
            ORDER BY {", ".join(f"{column} DESC" for column in self._key)} LIMIT %(limit)s"""  # noqa: S608 - names of ours only
        parameters = {
            **self._asdict(),
            "statuses": sorted(self.statuses or ()),
            "before": _NEWEST if before is None else min(before, _NEWEST),
            "limit": limit,
        }
        return statement, parameters

    @property
    def _is_open(self) -> bool:
        return self.statuses is not None and self.statuses <= OPEN_STATUSES

    @property
    def _has_times(self) -> bool:
        return self.since is not None or self.until is not None

    @property
    def _limited_to(self) -> str | None:
        """The first column of the index that is read, if it is not that of the position alone."""
        if self.user_id is not None:
            return "user_id"
        return None if self.asset is None else "asset"

    @property
    def _key(self) -> list[str]:
        """The columns of the index that is read, in their order."""
        table = "p" if self._is_open else "o"
        return [f"{table}.{column}" for column in (self._limited_to, "position") if column]

    def _range(self) -> str:
        """The part of the index that is read, as a range of all its columns.

        Never an equality of the first one: the order by position alone would then do, and a
        planner that takes the user for one of many orders walks those of everybody.
        """
        lowest, end = _LOWEST_AND_END[self._has_times]
        if self._limited_to:
            lowest, end = (f"%({self._limited_to})s, {each}" for each in (lowest, end))
        key = ", ".join(self._key)
        return f"({key}) >= ({lowest}) AND ({key}) < ({end})"

    def _conditions(self) -> list[str]:
        conditions = []
        if self.asset is not None and self._limited_to != "asset":
            conditions.append(f"{'p' if self._is_open else 'o'}.asset = %(asset)s")
        if self.statuses is not None and self.statuses != OPEN_STATUSES:
            conditions.append("o.status = ANY(%(statuses)s)")
        if self.since is not None:
            conditions.append("o.created_at >= %(since)s")
        if self.until is not None:
            conditions.append("o.created_at < %(until)s")
        return conditions


_ALL_ORDERS: Final = "{schema}.orders AS o"
# Looked up one after the other (OFFSET 0): no other plan reads what a page shows and no more.
_OPEN_ORDERS: Final = """{schema}.open_orders AS p CROSS JOIN LATERAL (
    SELECT * FROM {schema}.orders WHERE position = p.position OFFSET 0) AS o"""

# The positions that creation times may have, first and last; none: nothing is as high.
_BOUNDS: Final = f"""WITH bounds AS MATERIALIZED (
    SELECT coalesce(min(stretch) * {STRETCH}, {_NEWEST}) AS lowest,
        (max(stretch) + 1) * {STRETCH} AS highest
    FROM {{schema}}.periods
    WHERE (%(since)s::timestamptz IS NULL OR latest >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR earliest < %(until)s))"""  # noqa: S608 - constants
_LOWEST_AND_END: Final = {
    False: ("0", "%(before)s"),
    True: (
        "(SELECT lowest FROM bounds)",
        "(SELECT least(%(before)s, highest) FROM bounds)",
    ),
}
