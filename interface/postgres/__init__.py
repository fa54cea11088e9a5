"""The embedded PostgreSQL: the binaries of a wheel, run on DATA_DIR."""

from interface.postgres.account import AccountError
from interface.postgres.cluster import PostgresError
from interface.postgres.server import EmbeddedPostgres, database
from interface.postgres.socket_dir import SocketDirError

__all__ = ["AccountError", "EmbeddedPostgres", "PostgresError", "SocketDirError", "database"]
