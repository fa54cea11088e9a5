"""The tables of the order view, and the statements that write a batch into them.

``orders`` has one row an order. No index of it holds a column that changes, so that updates
stay within their page.

``open_orders`` has the orders that have not ended, with the columns that a list can be limited
to; an order leaves it with the update that ends it. A list of open orders costs what it shows,
however many have ended. Partial indexes of ``orders`` would do the same and cost twice as much:
an update that takes a row out of one is an insertion into every other index
(docs/performance.md).

``periods`` has the first and the last creation time of the orders in each stretch of the log,
so that a list between two times reads only the positions that may belong to it. Creation
times do not grow with the positions: hosts' clocks differ, and requests wait. A period covers
its stretch whatever they do, so what a list shows is exact.
"""

from collections.abc import Mapping
from typing import Final

from application.views.order_rows import OPEN_STATUSES, STRETCH

_OPEN: Final = "('" + "', '".join(sorted(OPEN_STATUSES)) + "')"

# Tables that a release before these columns has made. It looks first: to alter a table is to
# wait for all who read it.
_UPGRADE: Final = """DO $$
    BEGIN
        IF NOT EXISTS (
            SELECT FROM information_schema.columns
            WHERE table_schema = {name} AND table_name = 'orders' AND column_name = 'post_only'
        ) THEN
            ALTER TABLE {schema}.orders
                ALTER COLUMN price DROP NOT NULL,
                ALTER COLUMN quantity DROP NOT NULL,
                ADD COLUMN reason_limit bigint,
                ADD COLUMN post_only boolean NOT NULL DEFAULT false,
                ADD COLUMN stop_price bigint,
                ADD COLUMN take_profit boolean NOT NULL DEFAULT false,
                ADD COLUMN display_quantity bigint,
                ADD COLUMN expires_at timestamptz,
                ADD COLUMN self_trade_prevention text NOT NULL DEFAULT 'NONE',
                ADD COLUMN quote_quantity bigint;
        END IF;
    END $$"""

# Both are filled from the orders of a release that did not have them: one pass over the table
# each, 3 s in all for a million orders. Nobody writes meanwhile.
_OPEN_ORDERS: Final = """DO $$
    BEGIN
        IF NOT EXISTS (
            SELECT FROM pg_tables WHERE schemaname = {name} AND tablename = 'open_orders'
        ) THEN
            LOCK TABLE {schema}.orders IN SHARE MODE;
            CREATE TABLE {schema}.open_orders (
                position bigint NOT NULL,
                user_id text NOT NULL,
                asset text NOT NULL
            );
            INSERT INTO {schema}.open_orders
                SELECT position, user_id, asset FROM {schema}.orders WHERE status IN {open};
            ALTER TABLE {schema}.open_orders ADD PRIMARY KEY (position);
            CREATE INDEX open_orders_of_user ON {schema}.open_orders (user_id, position);
            CREATE INDEX open_orders_of_asset ON {schema}.open_orders (asset, position);
        END IF;
    END $$""".replace("{open}", _OPEN)

_PERIODS: Final = """DO $$
    BEGIN
        IF NOT EXISTS (
            SELECT FROM pg_tables WHERE schemaname = {name} AND tablename = 'periods'
        ) THEN
            LOCK TABLE {schema}.orders IN SHARE MODE;
            CREATE TABLE {schema}.periods (
                stretch bigint PRIMARY KEY,
                earliest timestamptz NOT NULL,
                latest timestamptz NOT NULL
            );
            INSERT INTO {schema}.periods
                SELECT position / {size}, min(created_at), max(created_at)
                FROM {schema}.orders GROUP BY 1;
        END IF;
    END $$""".replace("{size}", str(STRETCH))

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS {schema}.orders (
        order_id uuid PRIMARY KEY,
        user_id text NOT NULL,
        asset text NOT NULL,
        side text NOT NULL,
        order_type text NOT NULL,
        time_in_force text NOT NULL,
        price bigint,
        quantity bigint,
        filled_quantity bigint NOT NULL,
        notional numeric NOT NULL,
        status text NOT NULL,
        reason text,
        reason_limit bigint,
        client_order_id text,
        post_only boolean NOT NULL,
        stop_price bigint,
        take_profit boolean NOT NULL,
        display_quantity bigint,
        expires_at timestamptz,
        self_trade_prevention text NOT NULL,
        quote_quantity bigint,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        position bigint NOT NULL
    ) WITH (fillfactor = 70)""",
    _UPGRADE,
    "CREATE UNIQUE INDEX IF NOT EXISTS orders_position ON {schema}.orders (position)",
    "CREATE INDEX IF NOT EXISTS orders_of_user ON {schema}.orders (user_id, position)",
    "CREATE INDEX IF NOT EXISTS orders_of_asset ON {schema}.orders (asset, position)",
    _OPEN_ORDERS,
    _PERIODS,
    """CREATE TABLE IF NOT EXISTS {schema}.requests (
        order_id uuid,
        request_id uuid,
        PRIMARY KEY (order_id, request_id)
    )""",
)

# Amounts that change are added; of the others, those that are missing stay as they are. An order
# that is not there was not placed yet, as far as the view knows: it must not be decided.
_CHANGE: Final = """WITH changed AS (
    UPDATE {schema}.orders o SET
        price = coalesce(c.price, o.price),
        quantity = coalesce(c.quantity, o.quantity),
        stop_price = coalesce(c.stop_price, o.stop_price),
        display_quantity = coalesce(c.display_quantity, o.display_quantity),
        filled_quantity = o.filled_quantity + c.filled_quantity,
        notional = o.notional + c.notional,
        status = coalesce(c.status, o.status),
        reason = coalesce(c.reason, o.reason),
        reason_limit = coalesce(c.reason_limit, o.reason_limit),
        updated_at = c.updated_at
    FROM json_to_recordset({rows}) AS c(
        order_id uuid, price bigint, quantity bigint, stop_price bigint, display_quantity bigint,
        filled_quantity bigint, notional numeric, status text, reason text, reason_limit bigint,
        updated_at timestamptz)
    WHERE o.order_id = c.order_id
    RETURNING o.position, o.status), ended AS (
    DELETE FROM {schema}.open_orders p USING changed c
    WHERE p.position = c.position AND c.status NOT IN {open})
    SELECT count(*) INTO affected FROM changed;
    IF affected <> json_array_length({rows}) THEN
        RAISE EXCEPTION 'decisions change % orders, and % of them are there',
            json_array_length({rows}), affected USING ERRCODE = 'data_exception';
    END IF""".replace("{open}", _OPEN)

# A request about one order names it; one about many is known of an order by its outcome. Nobody
# can tell from an outcome alone which of the two it answers.
_REQUESTS: Final = """INSERT INTO {schema}.requests
    SELECT * FROM json_to_recordset({rows}) AS c(order_id uuid, request_id uuid)
    ON CONFLICT DO NOTHING"""

# A period that is too short becomes twice as long as it has to be, so that its row changes some
# twenty times and not with every batch: its dead versions would be read with it. Nor is it locked
# where it is long enough, as ON CONFLICT would.
_PERIOD: Final = """INSERT INTO {schema}.periods AS p
    SELECT * FROM json_to_recordset({rows})
        AS c(stretch bigint, earliest timestamptz, latest timestamptz)
    WHERE NOT EXISTS (
        SELECT FROM {schema}.periods k WHERE k.stretch = c.stretch
        AND k.earliest <= c.earliest AND k.latest >= c.latest)
    ON CONFLICT (stretch) DO UPDATE SET
        earliest = least(p.earliest, excluded.earliest),
        latest = CASE
            WHEN excluded.latest > p.latest
            THEN excluded.latest + (excluded.latest - p.earliest)
            ELSE p.latest END"""

STEPS: Final[Mapping[str, str]] = {
    "changed": _CHANGE,
    "requests": _REQUESTS,
    "periods": _PERIOD,
}

INSERTS: Final = ("orders", "open_orders")
