"""A way to a board that others take and that is captured: listens on UDP, goes on by any cable.

Alters and delays nothing. One host at a time, as the board sees them all as one: what another one
would hear from a board that is in use, it hears from here.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

from starlab_host.links.base import LONGEST_DATAGRAM_BYTES, Link
from starlab_host.links.udp import RECEIVE_BUFFER_BYTES
from starlab_spec.wire.codec import decode_frame, decode_hello, encode_frame, encode_nak
from starlab_spec.wire.errors import WireError
from starlab_spec.wire.frames import SILENCE_S, Frame, FrameType, Nak
from starlab_spec.wire.transactions import Status

_LOOK_UP_S: Final = 0.1
"""So often at least both threads see whether they are to stop."""
_TYPE_AT: Final = 3
"""Where a frame has its type."""
_GREETS: Final = bytes([FrameType.HELLO])
_BEGINS: Final = bytes([FrameType.HELLO_ACK])
_ENDS: Final = (bytes([FrameType.BYE]), bytes([FrameType.RESET]))


class CaptureProxy:
    """Carries datagrams between the hosts that speak to it and a board.

    Args:
        link: To the board, such as a `CapturingLink`; closed at the end.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        clock: The time in seconds; never set back.

    Attributes:
        url: Where it listens, as a host takes it.

    Raises:
        OSError: The address cannot be bound.
    """

    def __init__(self, link: Link, host: str, port: int, *, clock: Callable[[], float]) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )[0]
        self._socket = socket.socket(family, kind, protocol)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self._socket.bind(address)
        except OSError:
            self._socket.close()
            raise
        self._socket.settimeout(_LOOK_UP_S)
        bound, number = self._socket.getsockname()[:2]
        self.url = f"udp://{f'[{bound}]' if ':' in bound else bound}:{number}"
        self._link = link
        self._clock = clock
        self._stopping = threading.Event()
        self._host: tuple[Any, ...] | None = None
        """Address of the host that spoke last."""
        self._has_session = False
        self._client_name = ""
        """What the host that spoke HELLO last calls itself."""
        self._heard_at = 0.0

    def stop(self) -> None:
        """Let `serve` return soon. May be called from any thread and from a signal handler."""
        self._stopping.set()

    def serve(self) -> None:
        """Carry datagrams until `stop` is called; closes socket and link at the end."""
        back = threading.Thread(target=self._carry_back, name="starlab-capture", daemon=True)
        back.start()
        try:
            while not self._stopping.is_set():
                self._carry_on()
        finally:
            self._stopping.set()
            back.join()
            self._socket.close()
            self._link.close()

    def _carry_on(self) -> None:
        """A datagram of a host to the board."""
        try:
            datagram, host = self._socket.recvfrom(LONGEST_DATAGRAM_BYTES)
        except OSError:  # none came, or a host that has gone sent word of it
            return
        now = self._clock()
        greeting = _greeting(datagram)
        if self._has_session and host != self._host and now < self._heard_at + SILENCE_S:
            if greeting is not None:
                with contextlib.suppress(OSError):
                    self._socket.sendto(self._refusal(greeting[0]), host)
            return
        if greeting is not None:
            self._client_name = greeting[1]
        self._host = host
        self._heard_at = now
        self._link.send([datagram])

    def _refusal(self, hello: Frame) -> bytes:
        nak = Nak(Status.BUSY, f"in use by {self._client_name!r}, through the same capture")
        refused = Frame(FrameType.NAK, message=hello.message, payload=encode_nak(nak))
        return encode_frame(refused)

    def _carry_back(self) -> None:
        """Datagrams of the board to the host that has it."""
        while not self._stopping.is_set():
            datagram = self._link.receive(_LOOK_UP_S)
            host = self._host
            if datagram is None or host is None:
                continue
            # before the host knows of it: else another one's datagram could still slip in
            kind = datagram[_TYPE_AT : _TYPE_AT + 1]
            if kind == _BEGINS:
                self._has_session = True
            elif kind in _ENDS:
                self._has_session = False
            with contextlib.suppress(OSError):
                self._socket.sendto(datagram, host)


def _greeting(datagram: bytes) -> tuple[Frame, str] | None:
    """A HELLO and what its host calls itself; None for anything else."""
    if datagram[_TYPE_AT : _TYPE_AT + 1] != _GREETS:
        return None
    try:
        frame = decode_frame(datagram)
        return frame, decode_hello(frame.payload).client_name
    except WireError:
        return None
