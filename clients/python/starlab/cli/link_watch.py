"""How the links of all boards do, as a table that renews itself. Asks, and changes nothing."""

from collections.abc import Callable, Sequence
from time import sleep
from typing import Final

from rich.table import Table

from starlab.cli.terminal import Terminal, table
from starlab.client import Client
from starlab_contract import Board, LinkStatistics, RoundTripFigures

REFRESH_S: Final = 1.0


def watch(client: Client, terminal: Terminal) -> None:
    """Show the links anew each second until Ctrl-C; just once where nobody looks on."""
    if not terminal.is_watched:
        boards = client.boards()
        terminal.say(links_of(boards))
        terminal.finish({"boards": [board.model_dump(mode="json") for board in boards]})
        return
    with terminal.live() as show:
        while True:
            show(links_of(client.boards()))
            sleep(REFRESH_S)


def links_of(boards: Sequence[Board]) -> Table:
    """A row for each figure, a column for each board."""
    listing = table("Links", "since connected", *(board.id for board in boards))
    listing.add_row("state", *(board.state for board in boards))
    for title, text in _TRIPS.items():
        listing.add_row(title, *(_trip(board, text) for board in boards))
    for title, count in _COUNTS.items():
        listing.add_row(title, *(_count(board, count) for board in boards))
    listing.add_row("board restarts", *(str(board.restarts) for board in boards))
    return listing


def _trip(board: Board, text: Callable[[RoundTripFigures], str]) -> str:
    known = None if board.link is None else board.link.recent
    return "-" if known is None else text(known)


def _count(board: Board, count: Callable[[LinkStatistics], int | str]) -> str:
    return "-" if board.link is None else str(count(board.link))


def _ms(*times_us: float) -> str:
    return " / ".join(f"{time_us / 1000:.3g}" for time_us in times_us)


_TRIPS: Final[dict[str, Callable[[RoundTripFigures], str]]] = {
    "round trip, ms: least / mean": lambda of: _ms(of.minimum_us, of.mean_us),
    "… 50 / 90 / 99 %": lambda of: _ms(of.p50_us, of.p90_us, of.p99_us),
}
_COUNTS: Final[dict[str, Callable[[LinkStatistics], int | str]]] = {
    "commands answered": lambda of: sum(found.count for found in of.round_trips),
    "frames sent": lambda of: of.frames_sent,
    "in flight": lambda of: of.in_flight,
    "sent again: lost": lambda of: of.resent_lost,
    "… tail probes": lambda of: of.resent_probes,
    "… timeouts": lambda of: of.resent_timeouts,
    "credit stalls": lambda of: of.credit_stalls,
    "frames received": lambda of: of.frames_received,
    "duplicates": lambda of: of.duplicates,
    "replies replayed": lambda of: of.replayed,
    "dropped": lambda of: of.dropped,
    "… CRC errors": lambda of: of.crc_errors,
    "payload, bytes": lambda of: of.payload_bytes,
    "… reduced from": lambda of: of.payload_reduced_from or "-",
}
