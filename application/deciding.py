"""The dispatch of commands to books and the venue, for Matching and for verification."""

from typing import Any, Final, NamedTuple, TypeAlias

from application.persistence.partitions import partition_of
from domain.errors import CancelReason
from domain.instrument import NO_RULES, TradingStatus
from domain.order import Order
from domain.order_book import OrderBook
from domain.requests import (
    CancelRequest,
    ContinuationRequest,
    ExpiryRequest,
    InstrumentRequest,
    LimitsRequest,
    MassCancelRequest,
    ReplaceRequest,
    TimeRequest,
    UserRequest,
)
from domain.values import ALL_ASSETS
from domain.venue import Venue

Command: TypeAlias = (
    Order.Created
    | CancelRequest.Created
    | ReplaceRequest.Created
    | MassCancelRequest.Created
    | ExpiryRequest.Created
    | InstrumentRequest.Created
    | UserRequest.Created
    | TimeRequest.Created
    | LimitsRequest.Created
    | ContinuationRequest.Created
)
COMMANDS: Final = (
    Order.Created,
    CancelRequest.Created,
    ReplaceRequest.Created,
    MassCancelRequest.Created,
    ExpiryRequest.Created,
    InstrumentRequest.Created,
    UserRequest.Created,
    TimeRequest.Created,
    LimitsRequest.Created,
    ContinuationRequest.Created,
)


# A book that is not there has no orders to cancel, and no time to reset.
NOT_OPENING: Final = (MassCancelRequest.Created, TimeRequest.Created)


class Scoped(NamedTuple):
    """A command for all assets, as it is decided for those of one partition."""

    command: Command
    partition: int
    partitions: int

    def covers(self, asset: str) -> bool:
        return partition_of(asset, self.partitions) == self.partition


def decide(  # noqa: C901 - the list of commands
    book: OrderBook, position: int, command: Command, venue: Venue | None
) -> None:
    """Let a book decide the command at ``position`` in the log of Orders.

    The venue is as it was then, or later; None: it has had no request yet.
    """
    rules = NO_RULES if venue is None else venue.rules_at(position, command.user_id)
    match command:
        case Order.Created():
            book.place(position, command, rules)
        case CancelRequest.Created():
            book.cancel(position, command, rules)
        case ReplaceRequest.Created():
            book.replace(position, command, rules)
        case MassCancelRequest.Created():
            book.mass_cancel(position, command, rules=rules)
        case ExpiryRequest.Created():
            book.expire(position, command, rules)
        case ContinuationRequest.Created():
            book.go_on(position, command, rules)
        case TimeRequest.Created():
            book.reset_time(position, command)
        case UserRequest.Created():
            book.mass_cancel(position, command, CancelReason.USER_SUSPENDED, rules)
        case InstrumentRequest.Created():
            if command.asset == ALL_ASSETS:
                book.delist_by_default(position, command, rules)
            else:
                book.change_instrument(position, command, rules)


def is_for_all(command: Any) -> bool:
    """Test if a command is about more than the asset that it names."""
    return bool(command.asset == ALL_ASSETS)


def is_for_books(command: Command) -> bool:
    """Test if a command for all assets may change books, and not only the venue."""
    match command:
        case UserRequest.Created():
            return command.is_suspended
        case InstrumentRequest.Created():
            return command.instrument.status is TradingStatus.DELISTED
        case LimitsRequest.Created():
            return False
    return True


def users_of(command: Command) -> tuple[str, ...]:
    """The user whose orders a command for all assets is about; nobody: it is about the assets."""
    is_about_orders = isinstance(command, MassCancelRequest.Created | UserRequest.Created)
    return (command.user_id,) if is_about_orders else ()


def touches(book: OrderBook, command: Command) -> bool:
    """Test if a command changes this book; a command for many records nothing where it doesn't."""
    match command:
        case MassCancelRequest.Created() | UserRequest.Created():
            return book.floor.has_orders(command.user_id)
        case InstrumentRequest.Created() if is_for_all(command):
            return book.has_something_to_delist
    return True


def tell(venue: Venue, position: int, command: Command) -> None:
    """Record at the venue what a command for all assets changes for later commands."""
    match command:
        case UserRequest.Created():
            venue.change_user(position, command)
        case InstrumentRequest.Created():
            venue.change_default(position, command)
        case LimitsRequest.Created():
            venue.set_limits(position, command)


def is_for_venue(command: Command) -> bool:
    return isinstance(command, UserRequest.Created | LimitsRequest.Created) or (
        isinstance(command, InstrumentRequest.Created) and is_for_all(command)
    )
