"""A second implementation of the authors' TCP protocol, from its specification alone.

Imports no starlab. It works as their program does: one request, then one reply taken by a single
receive call of at most 1446 bytes; the message of a finished operation by another one.
"""

import socket
import struct
from collections.abc import Callable, Iterable, Sequence

FORM, SET, RESET, BP, INFERENCE, READ = (1 << bit for bit in range(17, 23))
RECEIVE_BYTES = 1446
CHUNK_BYTES = 1016

VOLTAGES = {
    (1, 0): 1220, (1, 1): 1813, (1, 2): 4166, (1, 3): 2762, (1, 4): 2308, (1, 5): 5016,
    (2, 0): 2209, (2, 1): 1600, (2, 2): 2327, (2, 3): 627, (2, 4): 627, (2, 5): 627,
    (3, 0): 2706, (3, 1): 5155, (3, 4): 2565,
}  # fmt: skip
"""Published settings of the voltage supplies, in mV, by chip select and register."""
CURRENTS = {
    (4, 0): (81, 10_000, 420), (4, 1): (80, 10_000, 420), (4, 2): (80, 10_000, 420),
    (5, 1): (201, 1_000, 220), (5, 2): (200, 1_000, 220), (6, 1): (1, 100_000, 220),
    (3, 2): (25, 10_000, 1_200),
}  # fmt: skip
"""Published settings of the bias currents, in uA, with Rab and Rbase, likewise."""

FIELDS: Sequence[tuple[int, int, int, int]] = (
    # address, most and least significant bit, value: the published start-up, field by field
    (0x00, 2, 0, 7), (0x00, 6, 4, 4), (0x00, 20, 16, 3), (0x00, 28, 24, 3),
    (0x04, 7, 0, 5), (0x04, 15, 8, 0), (0x04, 23, 16, 255),
    (0x08, 7, 0, 0), (0x08, 15, 8, 0), (0x08, 23, 16, 255),
    (0x0C, 7, 0, 3), (0x0C, 15, 8, 0), (0x0C, 19, 16, 15), (0x0C, 21, 20, 3), (0x0C, 23, 16, 255),
    (0x10, 7, 0, 0), (0x10, 15, 8, 0), (0x10, 23, 16, 63),
    (0x14, 0, 0, 1), (0x14, 8, 8, 1), (0x14, 19, 16, 15), (0x14, 25, 24, 3),
    (0x18, 9, 0, 0x63),
    (0x1C, 31, 0, 0), (0x20, 31, 0, 0), (0x24, 31, 0, 0), (0x28, 3, 0, 0),
    (0x2C, 0, 0, 0), (0x2C, 4, 4, 0), (0x2C, 8, 8, 1), (0x2C, 23, 16, 0x7F), (0x2C, 25, 24, 3),
    (0x30, 7, 0, 0x1F), (0x30, 15, 8, 1), (0x30, 19, 16, 1), (0x30, 23, 20, 7), (0x30, 31, 24, 4),
    (0x34, 7, 0, 0x1F), (0x34, 15, 8, 1), (0x34, 19, 16, 1), (0x34, 23, 20, 7), (0x34, 31, 24, 0),
    (0x38, 31, 0, INFERENCE),
    (0x68, 15, 0, 0), (0x68, 31, 16, 0),
    (0x70, 3, 0, 1),
    (0x74, 3, 0, 0), (0x74, 11, 8, 0), (0x74, 19, 16, 0), (0x74, 27, 24, 0),
    (0x78, 3, 0, 1), (0x78, 11, 8, 1), (0x78, 19, 16, 0), (0x78, 27, 24, 0),
    (0x7C, 3, 0, 0), (0x7C, 15, 8, 0), (0x7C, 23, 16, 255),
    (0xC0, 5, 5, 1), (0xC0, 8, 8, 1),
)  # fmt: skip
AFTER_START_UP = {
    0x00: 0x03030047, 0x04: 0x00FF0005, 0x08: 0x00FF0000, 0x0C: 0x00FF0003, 0x10: 0x003F0000,
    0x14: 0x030F0101, 0x18: 0x63, 0x1C: 0, 0x20: 0, 0x24: 0, 0x28: 0, 0x2C: 0x037F0100,
    0x30: 0x0471011F, 0x34: 0x0071011F, 0x38: 0x00200000, 0x68: 0, 0x70: 1, 0x74: 0,
    0x78: 0x101, 0x7C: 0x00FF0000, 0xC0: 0x120, 0xC8: 98,
}  # fmt: skip
"""What the registers hold after the published start-up, but for 0xC4."""


def voltage_code(millivolt: float) -> int:
    """Code of a voltage supply."""
    return min(max(round((millivolt * 1200 / 605 - 1245) * 255 / 10_000), 0), 255)


def current_code(microampere: float, rab: int, rbase: int) -> int:
    """Code of a bias current."""
    return min(max(round((66_000 / microampere - 50 - rbase) * 255 / rab), 0), 255)


def pack_sample(pixels: Sequence[int]) -> bytes:
    """98 bytes of a binary image, by the sentence of the specification."""
    sample = bytearray(98)
    for i in range(98):
        for k in range(4):
            sample[i] |= pixels[196 * (k + 1) - 1 - 2 * i] << k
            sample[i] |= pixels[196 * (k + 1) - 2 - 2 * i] << 4 + k
    return bytes(sample)


def unpack_y2(block: bytes) -> list[int]:
    """Ten outputs of a 22-byte block: 17 bits each, output 9 first."""
    bits = "".join(f"{byte:08b}" for byte in block[:22])
    numbers = [int(bits[17 * i : 17 * i + 17], 2) for i in range(10)]
    return [number - (number >> 16 << 17) for number in reversed(numbers)]


def unpack_one_hot(result: bytes) -> list[int]:
    """The class of each sample, from 8 bytes a sample."""
    classes = []
    for at in range(0, len(result), 8):
        word = int.from_bytes(result[at : at + 2], "little")
        assert word.bit_count() == 1
        assert not any(result[at + 2 : at + 8])
        classes.append(word.bit_length() - 1)
    return classes


class AuthorsClient:
    """A client that knows no more than the specification says.

    Attributes:
        before_receiving: Called before each receive call.
    """

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("authors-tcp://").rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.before_receiving: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def send(self, request: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(request)

    def receive(self) -> bytes:
        """What one receive call gives; nothing once the board has hung up."""
        self.before_receiving()
        return self._socket.recv(RECEIVE_BYTES)

    def ask(self, request: bytes) -> bytes:
        """One request, one reply."""
        self.send(request)
        reply = self.receive()
        assert len(reply) >= 8
        return reply

    def set_register(self, address: int, value: int) -> None:
        """`40 reg b3 b2 b1 b0`."""
        assert len(self.ask(struct.pack(">BBI", 0x40, address, value))) == 8

    def get_register(self, address: int) -> int:
        """`41 reg`."""
        return int(struct.unpack_from("<I", self.ask(bytes((0x41, address))), 8)[0])

    def change(self, address: int, high: int, low: int, value: int) -> None:
        """Some bits of a register, by reading and writing it."""
        mask = (1 << high - low + 1) - 1 << low
        self.set_register(address, self.get_register(address) & ~mask | value << low)

    def base(self) -> int:
        """`92 00`."""
        return int(struct.unpack_from("<I", self.ask(b"\x92\x00"), 8)[0])

    def write(self, address: int, data: bytes, *, last_length: int | None = None) -> None:
        """`60 ...` in chunks; the last one may claim another length than it has."""
        for at in range(0, len(data), CHUNK_BYTES):
            chunk = data[at : at + CHUNK_BYTES]
            claimed = len(chunk)
            if last_length is not None and at + CHUNK_BYTES >= len(data):
                claimed = last_length
            self.ask(struct.pack("<BIHB", 0x60, address + at, claimed, 0) + chunk)

    def read(self, address: int, count: int) -> bytes:
        """`61 ...`, at most 1024 bytes."""
        return self.ask(struct.pack("<BIHB", 0x61, address, count, 0))[8:]

    def set_supply(self, channel: tuple[int, int], code: int, op: int = 0x80) -> None:
        """`80 cs reg code`."""
        self.ask(bytes((op, *channel, code)))

    def start(self) -> bytes:
        """Write bit 3 of 0x3C; the result bytes of the operation, from its own message."""
        self.set_register(0x3C, 8)
        message = self.receive()
        assert len(message) >= 8
        return message[8:]

    def run(self, operation: int) -> bytes:
        """Choose an operation and start it."""
        self.set_register(0x38, operation)
        return self.start()

    def set_supplies(self) -> None:
        """All 22, at the published settings."""
        for channel, millivolt in VOLTAGES.items():
            self.set_supply(channel, voltage_code(millivolt))
        for channel, (microampere, rab, rbase) in CURRENTS.items():
            self.set_supply(channel, current_code(microampere, rab, rbase), 0x82)

    def start_up(self) -> None:
        """The published set-up: supplies, registers field by field, the place of samples."""
        self.set_supplies()
        for address, high, low, value in FIELDS:
            self.change(address, high, low, value)
        self.set_register(0xC4, self.base() + 0x1000000)
        self.set_register(0xC8, 98)
        self.send(b"\x88")

    def select(
        self, array: int, row: int, columns: Iterable[int], *, upper: int = 1, lower: int = 1
    ) -> None:
        """Cells of a row: logical columns of array 1, physical ones of array 2."""
        self.change(0x2C, 0, 0, int(array == 1))
        self.set_register(0x18, 3 - row // 196 | row % 196 << 2 if array == 1 else row)
        mask = sum(1 << column for column in columns)
        for word in range(4):
            self.set_register(0x1C + 4 * word, mask >> 32 * word & 0xFFFFFFFF)
        self.change(0x14, 0, 0, upper)
        self.change(0x14, 8, 8, lower)

    def read_array1(self) -> list[bytes]:
        """What READ gives for each row of array 1: upper and lower cells of all columns."""
        self.set_register(0x38, READ)
        rows = []
        for row in range(784):
            self.select(1, row, range(100))
            rows.append(self.start())
        return rows
