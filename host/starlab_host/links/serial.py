"""Frames over a serial line, by COBS. Knows nothing of what is in them.

The line may be any that pyserial opens: a device, or one of its own URLs, such as a TCP socket
behind which a terminal server has the line.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from errno import EACCES, EAGAIN, EBUSY, EIO
from typing import Final, Self

import serial

from starlab_host.links.holders import holder_of
from starlab_spec.wire import cobs
from starlab_spec.wire.frames import FRAME_OVERHEAD_BYTES, MAX_PAYLOAD_BYTES

DEFAULT_BAUD: Final = 921_600
"""What common USB converters and FPGA boards manage [O]."""
_LEAST_PAYLOAD_BYTES: Final = 256
_BITS_PER_BYTE: Final = 10
"""A start bit, eight of data, a stop bit."""
_FRAME_S: Final = 0.02
"""A frame takes the line for so long at most: an abort waits for those before it."""
_LOOK_UP_S: Final = 0.01
"""Longest wait inside pyserial, whose timeout is costly to change on some lines."""
_WRITE_TIMEOUT_S: Final = 1.0
"""A line that takes nothing for so long is as good as cut."""
_LOCKED: Final = (EAGAIN, EACCES)
"""What a lock says that another process holds."""


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """A board on a serial line: ``serial://`` and what pyserial calls the port.

    ``serial:///dev/ttyUSB0?baud=921600``, ``serial://COM3``, ``serial://socket://host:port``. Of
    what follows a question mark, ``baud`` is taken here, the rest is pyserial's.
    """

    FORM = "serial://port[?baud=N]"

    port: str
    baud: int = DEFAULT_BAUD

    @classmethod
    def parse(cls, url: str) -> Self:
        """The address of a URL.

        Raises:
            ValueError: The URL has another form.
        """
        port, _, query = url.removeprefix("serial://").partition("?")
        options = query.split("&") if query else []
        ours = [option for option in options if option.startswith("baud=")]
        theirs = "&".join(option for option in options if option not in ours)
        baud = ours[0].removeprefix("baud=") if ours else str(DEFAULT_BAUD)
        if not port or not url.startswith("serial://") or len(ours) > 1 or not baud.isdecimal():
            raise ValueError(f"board address {url!r} is not of the form {cls.FORM}")
        return cls(f"{port}?{theirs}" if theirs else port, int(baud))

    def __str__(self) -> str:
        """The URL."""
        return f"serial://{self.port}{'&' if '?' in self.port else '?'}baud={self.baud}"

    def open(self) -> "SerialLink":
        """As `SerialLink`."""
        return SerialLink(self.port, self.baud)


class SerialLink:
    """An open serial line.

    Payloads are smaller on a slower line, and few frames are in flight: what is on its way cannot
    be overtaken. Nobody else can open the line as long as it is open: two readers would each get a
    part of what the board says.

    Args:
        port: Device or URL, as pyserial takes it.
        baud: Bits per second.

    Raises:
        OSError: The port cannot be opened like this. EBUSY: it is in use, and by whom.
    """

    window = 4

    def __init__(self, port: str, baud: int = DEFAULT_BAUD) -> None:
        self.payload_bytes = _payload_bytes(baud)
        try:
            self._port = serial.serial_for_url(
                port,
                baudrate=baud,
                timeout=_LOOK_UP_S,
                write_timeout=_WRITE_TIMEOUT_S,
                exclusive=True,
            )
        except (serial.SerialException, ValueError) as error:
            number = getattr(error, "errno", None) or EIO
            if number in _LOCKED and (holder := holder_of(port)) is not None:
                raise OSError(EBUSY, f"in use by {holder}") from error
            raise OSError(number, str(error)) from error
        self._deframer = cobs.Deframer()
        self._arrived: deque[bytes] = deque()
        self._reading = threading.Lock()
        self._writing = threading.Lock()

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Send datagrams; one that the line does not take is lost, and those behind it.

        The first delimiter ends what noise, or a frame that was cut short, has left on the line.
        """
        frames = (cobs.encode(datagram) + cobs.DELIMITER for datagram in datagrams)
        stream = b"".join((cobs.DELIMITER, *frames))
        with self._writing, contextlib.suppress(OSError):
            self._port.write(stream)

    def receive(self, timeout_s: float) -> bytes | None:
        """The next datagram; None if none was complete in that time or less."""
        if not self._arrived:
            try:
                self._arrived.extend(self._deframer.feed(self._read(timeout_s)))
            except OSError:  # unplugged: from now on there is silence
                time.sleep(timeout_s)
        return self._arrived.popleft() if self._arrived else None

    def close(self) -> None:
        """Close the port."""
        with self._reading, self._writing:
            self._port.close()

    def _read(self, timeout_s: float) -> bytes:
        """What has come; if it is nothing, what comes soon."""
        with self._reading:
            waiting = self._port.in_waiting if self._port.is_open else 0
            if not waiting and timeout_s <= 0:
                return b""
            received: bytes = self._port.read(waiting or 1)
            return received


def _payload_bytes(baud: int) -> int:
    """Largest payload whose frame is through in time; not so small that headers prevail."""
    fitting = int(baud / _BITS_PER_BYTE * _FRAME_S) - FRAME_OVERHEAD_BYTES
    return max(_LEAST_PAYLOAD_BYTES, min(fitting, MAX_PAYLOAD_BYTES))
