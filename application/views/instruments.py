"""The rules of the assets that have rules of their own, and of all others.

They change with the books, so the view of the books writes them: a follower of their own would
cost something with every batch, and have nothing to write in nearly all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, Self

from application.persistence.log import Entry
from application.views.view import Rows, ViewRecorder
from domain.instrument import Instrument, Limits, TradingStatus
from domain.order_book import OrderBook
from domain.values import ALL_ASSETS
from domain.venue import Venue


class InstrumentRow(NamedTuple):
    """The rules of an asset, or of all that have none of their own; amounts in units.

    ``version`` is that of the book, or of the venue, which the change made.
    """

    asset: str
    instrument: Instrument
    version: int
    updated_at: datetime
    user_id: str

    @classmethod
    def of(cls, event: object) -> Self | None:
        """Return the rules after a change; None: it has none, or the event changes none."""
        if not isinstance(event, _CHANGES) or event.instrument is None:
            return None
        return cls(
            event.asset,
            event.instrument,
            event.originator_version,
            event.timestamp,
            event.user_id,
        )

    @classmethod
    def from_columns(cls, row: Mapping[str, Any]) -> Self:
        """The row that its table has so."""
        rules = {name: row[name] for name in _RULES}
        rules["status"] = TradingStatus(rules["status"])
        rules["limits"] = Limits(**{name: row[name] for name in _LIMITS})
        return cls(
            row["asset"], Instrument(**rules), row["version"], row["updated_at"], row["user_id"]
        )

    def columns(self) -> dict[str, Any]:
        """The row as its table has it."""
        row = self._asdict()
        rules = asdict(row.pop("instrument"))
        return {**rules.pop("limits"), **rules, **row}


_CHANGES = (OrderBook.InstrumentChanged, Venue.DefaultChanged)

_RULES = [field.name for field in fields(Instrument) if field.name != "limits"]
_LIMITS = [field.name for field in fields(Limits)]

# A table made by an earlier release has no limits.
_ADD_LIMITS = """DO $$ BEGIN
    IF NOT EXISTS (
        SELECT FROM information_schema.columns
        WHERE table_schema = {name} AND table_name = 'instruments' AND column_name = 'max_slices'
    ) THEN
        ALTER TABLE {schema}.instruments
            ADD COLUMN max_open_orders bigint,
            ADD COLUMN max_user_stops bigint,
            ADD COLUMN max_stops bigint,
            ADD COLUMN max_slices bigint,
            ADD COLUMN max_parts bigint;
    END IF;
END $$"""

_DELETE = """DELETE FROM {schema}.instruments i
    USING json_to_recordset({rows}) AS c(asset text) WHERE i.asset = c.asset"""


class InstrumentRecorder(ViewRecorder):
    """The tables of rules, and what is read from them."""

    tables: ClassVar[tuple[str, ...]] = (
        """CREATE TABLE IF NOT EXISTS {schema}.instruments (
            asset text PRIMARY KEY,
            tick_size bigint NOT NULL,
            lot_size bigint NOT NULL,
            min_quantity bigint,
            max_quantity bigint,
            min_notional bigint,
            min_price bigint,
            max_price bigint,
            band_percent bigint,
            session_end int NOT NULL,
            status text NOT NULL,
            version bigint NOT NULL,
            updated_at timestamptz NOT NULL,
            user_id text NOT NULL
        )""",
        _ADD_LIMITS,
    )

    # A changed row is deleted first, then inserted: it has many columns, and seldom changes.
    steps: ClassVar[Mapping[str, str]] = {"changed_instruments": _DELETE}
    inserts: ClassVar[tuple[str, ...]] = ("instruments",)

    def changes(self, entries: Sequence[Entry]) -> dict[str, Rows]:
        changed = {
            event.asset: InstrumentRow.of(event)
            for _, event in entries
            if isinstance(event, _CHANGES)
        }
        return {
            "changed_instruments": [{"asset": asset} for asset in changed],
            "instruments": [row.columns() for row in changed.values() if row is not None],
        }

    def instruments(self) -> list[InstrumentRow]:
        """All, in the order of their assets; first what holds for those that have none."""
        # In the order of the characters' numbers, whatever the database's is.
        rows = self.query(
            self.sql("""SELECT * FROM {schema}.instruments
                ORDER BY asset <> %(all)s, asset COLLATE "C\""""),
            {"all": ALL_ASSETS},
        )
        return [InstrumentRow.from_columns(row) for row in rows]

    def instrument(self, asset: str) -> InstrumentRow | None:
        """The rules of its own that an asset has."""
        rows = self.query(
            self.sql("SELECT * FROM {schema}.instruments WHERE asset = %(asset)s"),
            {"asset": asset},
        )
        return InstrumentRow.from_columns(rows[0]) if rows else None
