"""An exchange, written down step by step: what a host does, and what the board must do."""

from collections.abc import Sequence
from typing import Any

from tests.contract.vectors import wire_bytes as wb

BOOT = 0x600DB007
SESSIONS = (0x51515151, 0x52525252)
IDENTITY = {"serial": "VECTOR-1"}
PULSE = wb.item(wb.OPCODES["START"], data=wb.words(1 << 18))
ABORT = wb.item(wb.OPCODES["ABORT"])
DONE = wb.item(wb.OPCODES["START"])
STOPPED = wb.item(wb.OPCODES["START"], 13, data=b"stopped between two pulses")

Expected = dict[str, Any]


def sends(kind: str, *flags: str, lacks: Sequence[str] = (), **header: int) -> Expected:
    """A frame that the board must send."""
    expected: Expected = {"type": kind, "header": header}
    if flags:
        expected["flags_set"] = list(flags)
    if lacks:
        expected["flags_clear"] = list(lacks)
    return expected


def reply(
    message: int,
    *statuses: str,
    flags: Sequence[str] = (),
    lacks: Sequence[str] = (),
    **header: int,
) -> Expected:
    """A REPLY that the board must send, with the statuses of its results."""
    expected = sends("REPLY", *flags, lacks=lacks, message=message, **header)
    return {**expected, "payload": {"statuses": list(statuses)}}


def says(kind: str, **payload: object) -> Expected:
    """A frame that the board must send, with these fields in its payload."""
    return {**sends(kind), "payload": payload}


class Script:
    """Steps of one exchange, in the order of time.

    Args:
        name: One line.
        about: What it shows.
    """

    def __init__(self, name: str, about: str) -> None:
        self.now_s = 0.0
        self.session = 0
        self._vector: dict[str, Any] = {
            "name": name,
            "about": about,
            "board": {
                "boot_id": BOOT,
                "session_ids": list(SESSIONS),
                "cached_windows": 4,
                "lifetime_pulses": 1000,
                "identity": IDENTITY,
            },
            "steps": [],
        }

    @property
    def vector(self) -> dict[str, Any]:
        """As it goes into the file."""
        return self._vector

    def receives(
        self,
        datagram: bytes,
        *expected: Expected,
        host: str = "A",
        begins: Sequence[int] = (),
        aborts: bool = False,
        safe: bool = False,
        may_send: Sequence[str] = (),
    ) -> None:
        """The board receives a datagram; what it must do then."""
        cause = {"receive": datagram.hex(), "host": host}
        self._step(cause, expected, begins, may_send, aborts=aborts, safe=safe)

    def completes(
        self,
        message: int,
        *expected: Expected,
        results: bytes = DONE,
        begins: Sequence[int] = (),
        may_send: Sequence[str] = (),
    ) -> None:
        """The board has executed a command that it began, with these results."""
        self._step({"complete": message, "results": results.hex()}, expected, begins, may_send)

    def waits(self, seconds: float, *expected: Expected, safe: bool = False) -> None:
        """Nothing happens for a while, but for what the board does by itself."""
        self.now_s += seconds
        self._step({}, expected, safe=safe)

    def restarts(self, boot_id: int) -> None:
        """The board loses power, and starts again."""
        self._step({"restart": boot_id}, ())

    def opens(self, window: int = 32, payload: int = 1408, **hello: Any) -> None:
        """HELLO and HELLO_ACK, with nothing out of the ordinary."""
        self.session = SESSIONS[0]
        self.receives(
            wb.frame("HELLO", wb.hello(window=window, payload=payload, **hello), message=0xABBA),
            says(
                "HELLO_ACK", session_id=self.session, boot_id=BOOT, window=window, next_message_id=1
            ),
        )

    def frame(self, kind: str, payload: bytes = b"", **fields: int) -> bytes:
        """A frame of the host in its session."""
        return wb.frame(kind, payload, **{"session": self.session, "boot": BOOT, **fields})

    def command(self, number: int, *items: bytes, **fields: int) -> bytes:
        """A COMMAND in one frame; its sequence number is one less, unless given."""
        given = {"sequence": number - 1, "message": number, "flags": wb.LAST, **fields}
        return self.frame("COMMAND", b"".join(items or (PULSE,)), **given)

    def _step(
        self,
        cause: dict[str, Any],
        expected: Sequence[Expected],
        begins: Sequence[int] = (),
        may_send: Sequence[str] = (),
        *,
        aborts: bool = False,
        safe: bool = False,
    ) -> None:
        self.now_s = round(self.now_s + 0.001, 6)
        step: dict[str, Any] = {"at_s": self.now_s, **cause, "sends": list(expected)}
        if may_send:
            step["may_send"] = list(may_send)
        step.update(begins=list(begins), aborts=aborts, safe=safe)
        self._vector["steps"].append(step)
