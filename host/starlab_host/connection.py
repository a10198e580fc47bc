"""From the address of a board to the board. Keeps no connection: whoever connects owns it."""

from collections.abc import Callable, Mapping
from errno import EBUSY
from pathlib import Path

from starlab_host.authors import AuthorsSession, identity_of
from starlab_host.board.board import Board
from starlab_host.board.calibration import CalibrationStore
from starlab_host.capture import captured
from starlab_host.errors import BoardAway, InUse
from starlab_host.journal.journal import Journal
from starlab_host.journal.journaled_session import JournaledSession
from starlab_host.links import AuthorsAddress, parse_address
from starlab_host.links.memory import ExecutingBoard
from starlab_host.links.path_memory import PathMemory
from starlab_host.session.heart import Heart, outlet_of
from starlab_host.session.identity import whole_identity
from starlab_host.session.numbered import NumberedSession
from starlab_host.session.session import Session
from starlab_spec.safe_area import SafeArea


def connect(
    url: str,
    *,
    client_name: str = "starlab",
    lease_epoch: int = 0,
    bring_up: bool = True,
    boards: Mapping[str, ExecutingBoard] | None = None,
    journal: Journal | None = None,
    capture: Path | None = None,
    area_of: Callable[[str], SafeArea] = lambda serial: SafeArea.shipped(),
    calibrations: CalibrationStore | None = None,
    path: PathMemory | None = None,
    opened: Callable[[NumberedSession], None] = lambda session: None,
    heartbeat: bool = False,
) -> Board:
    """Open a session with a board, and make it ready to work.

    Args:
        url: ``udp://host[:port]``, ``eth://interface/aa:bb:cc:dd:ee:ff``,
            ``serial://port[?baud=N]``, ``authors-tcp://host[:port]`` or ``memory:name``.
        client_name: Who this is, for people.
        lease_epoch: Fencing token: the board refuses epochs older than the newest it has seen.
        bring_up: Switch its supplies on, at the published settings, unless they are on or a fault
            is latched.
        boards: Boards of this process, by the names in ``memory:name``.
        journal: Takes every command that changes the chip before it is sent. The session that it
            was used for last is resumed if the board still knows it, and ``journal.recovered``
            tells what became of the commands that were in flight. It stays open, and it belongs
            to this board alone.
        capture: Takes all datagrams of both directions, as a pcap file; one that is there is
            continued.
        area_of: The safe operating area of a board, by its serial number: nothing outside of it is
            sent.
        calibrations: Where the calibration of the board's generators is, if there is one: supplies
            are set by it.
        path: What is known of the way to the board from connections before. Who connects again
            after a loss gives the same: where large frames do not get through, smaller ones do.
        opened: Told of each session as soon as it is open, before anything is done with it: an
            emergency stop needs no more.
        heartbeat: Let a small process keep the session alive while this one is too busy to, for
            half a minute at most; on networks, and where the system is Linux.

    Raises:
        ValueError: The URL has another form, or the file to continue is no capture; or there is
            nothing to capture, as on that way no frames travel.
        OSError: The capture cannot be written.
        BoardAway: Nobody answers there.
        HandshakeRefused: The board does not want a session; or (InUse) another process has the
            line to it.
        JournalError: The journal cannot be written.
        CalibrationError: The board's calibration is malformed.
    """
    address = parse_address(url, boards)
    if capture is not None and isinstance(address, AuthorsAddress):
        raise ValueError(f"{address} cannot be captured: no frames travel there")

    def open_session(resume_session: int = 0) -> NumberedSession:
        if isinstance(address, AuthorsAddress):
            channels = area_of(identity_of(address)["serial"]).channels
            theirs = AuthorsSession.open(address, resume_session=resume_session, channels=channels)
            opened(theirs)
            return theirs
        try:
            link = address.open()
        except OSError as error:
            if error.errno == EBUSY:
                raise InUse(url, error.strerror or "in use") from error
            raise BoardAway(f"there is no way to {url}: {error.strerror}") from error
        outlet = outlet_of(link) if heartbeat else None
        if capture is not None:
            link = captured(link, capture)
        session = Session.open(
            link,
            client_name=client_name,
            lease_epoch=lease_epoch,
            resume_session=resume_session,
            resumable=journal is not None,
            path=path,
        )
        try:
            opened(session)
            if outlet is not None:
                Heart(outlet, session.heartbeat)
            session.identity = whole_identity(session)
        except BaseException:
            session.close()
            raise
        return session

    session = open_session() if journal is None else JournaledSession.open(open_session, journal)
    board = Board(session, area_of(session.identity["serial"]))
    try:
        if calibrations is not None:
            board.calibration = calibrations.load(board.identity["serial"])
        if bring_up:
            board.make_ready()
    except BaseException:
        board.close()
        raise
    return board
