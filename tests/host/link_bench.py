"""A session's surroundings: a board that writes down what it executes, links, a clock to turn."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from starlab_host.links.base import Link
from starlab_spec.wire.transactions import Opcode, Result, Status, Transaction

EXTENSIONS = range(1 << 24, 1 << 29)
"""Operations that return two words."""
LONG = 1 << 27
"""An operation that runs until it is aborted or released."""


class NotingBoard:
    """Notes each START; runs operation `LONG` until it is aborted or released."""

    def __init__(self) -> None:
        self.boot_id = 0xB007
        self.lifetime_pulses = 0
        self.faults = 0
        self.is_safe = False
        self.executed: list[int] = []
        self.running = threading.Event()
        """Set once a `LONG` runs."""
        self.release = threading.Event()
        """Lets a `LONG` end."""
        self.news: list[tuple[int, int, str]] = []
        """What a `LONG` reports when it begins."""

    def identity(self) -> dict[str, Any]:
        return {"serial": "NOTE-1"}

    def takes_long(self, transactions: Sequence[Transaction]) -> bool:
        return any(int.from_bytes(t.data, "big") == LONG for t in transactions)

    def enter_safe(self, reason: str) -> None:
        self.is_safe = True

    def break_down(self, error: Exception) -> str:
        self.is_safe, self.faults = True, 4
        return f"broke down: {error}"

    def execute(
        self,
        transactions: Sequence[Transaction],
        *,
        dry_run: bool,
        aborted: Callable[[], bool],
        progress: Callable[[int, int, str], None],
    ) -> list[Result]:
        results = []
        for opcode, address, data, _ in transactions:
            status, answer = Status.OK, b""
            operation = int.from_bytes(data, "big") if opcode == Opcode.START else 0
            if operation in EXTENSIONS:
                answer = bytes(8)
            if opcode == Opcode.READ_MEM:
                answer = bytes(int.from_bytes(data, "big"))
            elif opcode == Opcode.READ_REG:
                answer = bytes(4 * int.from_bytes(data, "big"))
            elif opcode == Opcode.EMULATOR:
                self.boot_id += 1
                answer = b"{}"
            elif opcode == Opcode.SET_SUPPLY:
                status, answer = Status.INTERLOCK, b"VBLset 3300 mV is above the 2600 mV limit"
            elif operation == LONG:
                status = self._run_long(aborted, progress)
            elif opcode == Opcode.START and not dry_run:
                self.executed.append(operation)
            results.append(Result(opcode, status, address, answer))
            if status != Status.OK:
                break
        return results

    def _run_long(
        self, aborted: Callable[[], bool], progress: Callable[[int, int, str], None]
    ) -> Status:
        for news in self.news:
            progress(*news)
        self.running.set()
        while not self.release.wait(0.0005):
            if aborted():
                return Status.ABORTED
        return Status.OK


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class PatientLink:
    """Turns the clock on instead of waiting; can be cut; counts what is sent."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self.cut = False
        self.deaf = False
        """Whether what the board sends is lost."""
        self.before_receive: Callable[[], None] = lambda: None
        self.sent: list[bytes] = []
        self.closed = False
        self._link = link
        self._clock = clock

    @property
    def payload_bytes(self) -> int:
        return self._link.payload_bytes

    @property
    def window(self) -> int:
        return self._link.window

    def send(self, datagrams: Sequence[bytes]) -> None:
        self.sent += datagrams
        if not self.cut:
            self._link.send(datagrams)

    def receive(self, timeout_s: float) -> bytes | None:
        self.before_receive()
        datagram = None if self.cut else self._link.receive(0.0)
        if datagram is None or self.deaf:
            datagram = None
            self._clock.now_s += timeout_s
        return datagram

    def close(self) -> None:
        self.closed = True
