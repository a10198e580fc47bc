"""Datagrams that must change nothing, and datagrams that may: seeded. Sends none.

Built on the second implementation of the wire protocol; imports nothing of the product.
"""

import random
from collections.abc import Callable, Iterator, Sequence

from tests.system import wire_client as wire

LONGEST = 2000
TYPES = (1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15)
SEQUENCED = (wire.COMMAND, wire.REPLY, wire.EVENT)


class Fuzzer:
    """An endless supply of datagrams.

    Args:
        good: Frames of the session under test, to be damaged.
        session: Its id.
        boot: Boot id of its board.
        seed: Decides everything.
    """

    def __init__(self, good: Sequence[bytes], session: int, boot: int, seed: int) -> None:
        self._good = good
        self._session = session
        self._boot = boot
        self._rng = random.Random(seed)
        self._harmless: list[Callable[[], bytes]] = [
            self._noise,
            self._turned,
            self._cut,
            self._spliced,
            self._of_a_stranger,
            self._of_no_known_type,
            self._of_another_version,
        ]

    def harmless(self, count: int) -> Iterator[bytes]:
        """Datagrams that no party may take for a frame of its session."""
        for _ in range(count):
            datagram = self._rng.choice(self._harmless)()
            # a good frame with more behind it is one as well: its length field says where it ends
            yield b"?" if datagram.startswith(tuple(self._good)) else datagram

    def nonsense(self, count: int) -> Iterator[bytes]:
        """Good frames of the session, of any type, with any content: not to be survived by it."""
        rng = self._rng
        for _ in range(count):
            yield self._frame(
                rng.choice(TYPES), session=rng.choice((self._session,) * 3 + (0,)), boot=self._boot
            )

    def _number(self) -> int:
        rng = self._rng
        return rng.choice((rng.getrandbits(32), rng.randrange(8), 0xFFFFFFFF - rng.randrange(8)))

    def _content(self) -> bytes:
        rng = self._rng
        if rng.random() < 0.5:
            return rng.randbytes(rng.randrange(100))
        opcode = rng.choice((0x01, 0x02, 0x10, 0x11, 0x20, 0x21, 0x30, 0x31, 0x40, 0x7F, 0x55))
        data = rng.randbytes(4 * rng.randrange(4))
        return wire.transaction(opcode, rng.choice((self._number(), 4 * rng.randrange(200))), data)

    def _frame(self, kind: int, *, session: int, boot: int, version: int = wire.VERSION) -> bytes:
        rng = self._rng
        return wire.encode(
            kind,
            self._content(),
            flags=rng.choice((0, rng.getrandbits(16), wire.LAST)),
            session=session,
            boot=boot,
            sequence=self._number(),
            acknowledged=self._number(),
            message=self._number(),
            fragment=rng.choice((0, rng.getrandbits(16), rng.randrange(4))),
            fragments=rng.choice((1, rng.getrandbits(16), rng.randrange(4))),
            version=version,
        )

    def _noise(self) -> bytes:
        return self._rng.randbytes(self._rng.randrange(LONGEST))

    def _turned(self) -> bytes:
        damaged = bytearray(self._rng.choice(self._good))
        for _ in range(self._rng.randint(1, 3)):
            damaged[self._rng.randrange(len(damaged))] ^= self._rng.randint(1, 255)
        return bytes(damaged)

    def _cut(self) -> bytes:
        whole = self._rng.choice(self._good)
        return whole[: self._rng.randrange(len(whole))]

    def _spliced(self) -> bytes:
        one, other = self._rng.choice(self._good), self._rng.choice(self._good)
        return one[: self._rng.randrange(1, len(one))] + other[self._rng.randrange(len(other)) :]

    def _of_a_stranger(self) -> bytes:
        session = self._session
        while session in (0, self._session):
            session = self._rng.getrandbits(32)
        return self._frame(self._rng.choice(TYPES[4:]), session=session, boot=self._boot)

    def _of_no_known_type(self) -> bytes:
        kind = self._rng.choice((0, 7, 11, self._rng.randrange(16, 256)))
        return self._frame(kind, session=self._session, boot=self._boot)

    def _of_another_version(self) -> bytes:
        version = self._rng.choice((0x00, 0x0F, 0x11, 0x20, 0xFF))
        kind = self._rng.choice(TYPES)
        return self._frame(kind, session=self._session, boot=self._boot, version=version)
