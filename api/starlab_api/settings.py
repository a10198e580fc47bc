"""What a server is started with. Reads no environment, opens nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from starlab_spec.safe_area import SafeArea


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """The embedded emulator: started where no board is named."""

    seed: int = 0
    """Seed of the chip."""
    device: str = "nonlinear-3"
    """Device model of the cells."""
    virgin: bool = False
    """Whether its cells start unformed."""
    effects: str = "none"
    """What it does that an ideal board does not: as option --effects of the emulator."""
    limits: Path | None = None
    """Limits file of its firmware; None: the limits that were shipped."""
    state: Path | None = None
    """File that keeps its chip over all its processes; None: each begins with a new one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The safe operating areas that the server holds its boards to."""

    others: SafeArea = field(default_factory=SafeArea.shipped)
    """Of boards that have none of their own."""
    by_serial: Mapping[str, SafeArea] = field(default_factory=dict)
    """Of single boards."""

    def of(self, serial: str) -> SafeArea:
        """The area of the board with a serial number."""
        return self.by_serial.get(serial, self.others)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What clients may take of the server."""

    calls: int = 256
    """Calls under way at once; one more is refused, unless it is an emergency stop."""
    waiting: int = 128
    """Further connections. None is refused: the one that has waited longest is closed."""
    accepted: int = 32
    """Connections that are accepted in one turn of the event loop."""
    head_bytes: int = 32 * 1024
    """Bytes of a request before its body."""
    head_fields: int = 100
    """Headers of a request."""
    ahead: int = 8
    """Requests that a connection may send ahead of their answers."""
    head_s: float = 10.0
    """How long a request may take until its headers are there."""
    idle_s: int = 5
    """How long a connection may stay without a request."""
    body_s: float = 30.0
    """How long a body may take in any case ..."""
    body_bytes_per_s: float = 4096.0
    """... and as much longer as it takes at this rate."""
    answer_s: float = 30.0
    """How long a client may take nothing of its answer."""
    linger_s: float = 1.0
    """How long a client that was refused may still send, so that it reads why."""
    turn_s: float = 0.5
    """How often all of it is looked at."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """A server and its boards."""

    boards: tuple[str, ...] = ()
    """Addresses of boards, as `starlab_host.connect` takes them; none: an embedded emulator."""
    emulator: EmulatorSettings = field(default_factory=EmulatorSettings)
    """How the embedded emulator starts."""
    limits: Limits = field(default_factory=Limits)
    """What they may not exceed; nothing changes it while the server runs."""
    data: Path | None = None
    """Folder for what the server leaves behind; none: it leaves nothing."""
    capture: Path | None = None
    """File for all that travels to the first board and back, as pcap; none: it is not kept."""
    allowed_hosts: tuple[str, ...] = ()
    """Names and addresses that `Host` may have beside loopback ones and the server's own address:
    no web page can bend another name to this server."""
    allowed_origins: tuple[str, ...] = ()
    """Web pages that may drive the boards beside the server's own: `https://page.example`."""
    busy_timeout_s: float = 10.0
    """How long a call waits for a board that another call holds."""
    connect_timeout_s: float = 1.5
    """How long a call waits for a board that is away; the attempt goes on for the next call."""
    stop_timeout_s: float = 1.0
    """How long a board has to confirm an emergency stop before the caller is told so."""
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    """What clients may take of it."""
    body_limit_bytes: int = 256 * 2**20
    """Largest request body, also after unpacking an `.npz`."""
    json_limit_bytes: int = 8 * 2**20
    """Largest JSON request body: bulk travels as `.npy` or `.npz`. Its parser holds the interpreter
    for so long that a greater one would be felt by everybody else."""
    bodies_limit_bytes: int = 1024 * 2**20
    """Largest sum of all bodies of calls that are under way."""
    stored_answers: int = 1000
    """How many answers to calls with an Idempotency-Key are kept."""
    stored_answer_bytes: int = 64 * 2**20
    """How many bytes these answers may have in all."""

    def capture_of(self, number: int) -> Path | None:
        """The capture file of a board by its position: ``link.pcap``, then ``link.1.pcap``."""
        path = self.capture
        if path is None or number == 0:
            return path
        return path.with_suffix(f".{number}{path.suffix}")
