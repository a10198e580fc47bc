"""Registers that the authors' board lacks, kept on the host; and its own, written sparingly.

Runs no operation.
"""

from collections.abc import Sequence
from typing import Final

from starlab_host.board.capabilities import REASONS
from starlab_host.links import AuthorsLink
from starlab_spec.errors import LimitExceeded
from starlab_spec.registers import (
    COUNTERS,
    MAP_END,
    REGISTERS,
    WORD_MASK,
    Access,
    register,
    register_at,
)
from starlab_spec.wire.transactions import Status

EXTENSION: Final = 0x100
"""Registers from here on are not on the board."""
SAMPLE_ADDRESS: Final = register("SAMPLE_ADDRESS").address

_IN_HARDWARE: Final = "on a board of the authors' protocol {} fixed in hardware"
_FIXED: Final = {
    register(name).address: _IN_HARDWARE.format(what)
    for names, what in (
        (("TH", "TH1", "C1", "C2"), "the thresholds are"),
        (("ACTIVATION", "ACTIVATION_SCALE", "ACTIVATION_AMPLITUDE"), "the output activation is"),
    )
    for name in names
} | {
    register("SCHEME").address: "the published training step gives a sample one kind of pulse, "
    "so the scheme is the cyclic one",
    register("RESULT_FORMAT").address: REASONS["hidden_codes"],
}
"""Why some words of the extension block cannot be changed."""


class Refused(Exception):
    """A transaction fails, as on a board.

    Attributes:
        status: The status of its result.
    """

    def __init__(self, status: Status, message: str) -> None:
        self.status = status
        super().__init__(message)


class Words:
    """All registers of the map, wherever they are.

    Args:
        link: The way to the board.
    """

    def __init__(self, link: AuthorsLink) -> None:
        self._link = link
        self._kept = {r.address: r.reset for r in REGISTERS if r.address >= EXTENSION}
        self._kept[register("IDENTITY").address] = 0
        self._known: dict[int, int] = {}

    # single words, as transactions have them

    def read(self, address: int) -> int:
        """Any word of the map; 0 where it has a hole.

        Raises:
            Refused, LimitExceeded: No address of the map.
        """
        _check_address(address)
        if address >= EXTENSION:
            return self._kept.get(address, 0)
        if register_at(address) is None:
            return 0
        word = self._link.get_register(address)
        if address == SAMPLE_ADDRESS:
            word = word - self._link.base & WORD_MASK
        return word

    def check_write(self, address: int, word: int, mask: int) -> None:
        """Refuse what cannot be written.

        Raises:
            Refused: No such register, a read-only one, or one that this board cannot change.
            LimitExceeded: Beyond the map.
        """
        _check_address(address)
        found = register_at(address)
        if found is None:
            raise Refused(Status.RANGE, f"there is no register at 0x{address:X}")
        if found.access is Access.READ_ONLY:
            raise Refused(Status.RANGE, f"register {found.name} at 0x{address:X} is read-only")
        if address in _FIXED and (self._kept[address] ^ word) & mask:
            message = f"{found.name} cannot be 0x{word & mask:X}: {_FIXED[address]}"
            raise Refused(Status.UNSUPPORTED, message)

    def write(self, address: int, word: int, mask: int = WORD_MASK) -> None:
        """Replace the bits under a mask of a word that can be written."""
        if mask != WORD_MASK:
            word = self.read(address) & ~mask | word & mask
        if address >= EXTENSION:
            self._kept[address] = word
            return
        if address == SAMPLE_ADDRESS:
            word = word + self._link.base & WORD_MASK
        self._link.set_register(address, word)

    # by name, as operations need them

    def kept(self, name: str) -> int:
        """The word of an extension register."""
        return self._kept[register(name).address]

    def kept_field(self, name: str, field: str = "value") -> int:
        """A field of an extension register."""
        return register(name).field(field).get(self.kept(name))

    def keep(self, name: str, *words: int) -> None:
        """What the board itself would write: extension registers from one on."""
        for offset, word in enumerate(words):
            self._kept[register(name).address + 4 * offset] = word & WORD_MASK

    def count(self, counter: str, more: int) -> None:
        """Raise a counter."""
        high, low = self.kept(f"{counter}_HIGH"), self.kept(f"{counter}_LOW")
        total = (high << 32 | low) + more
        self.keep(f"{counter}_HIGH", total >> 32, total)

    @property
    def pulses(self) -> int:
        """Pulses that were counted, of all kinds."""
        return sum(
            self.kept(f"{name}_HIGH") << 32 | self.kept(f"{name}_LOW")
            for name, _ in COUNTERS
            if name.endswith("PULSES")
        )

    # the board's own, each asked and written no more often than needed while an operation runs

    def forget(self) -> None:
        """An operation begins: nothing is known of the board's registers."""
        self._known.clear()

    def field(self, name: str, field: str) -> int:
        """A field of a published register."""
        return register(name).field(field).get(self._word(register(name).address))

    def put(self, name: str, *words: int) -> None:
        """Published registers from one on."""
        for offset, word in enumerate(words):
            address = register(name).address + 4 * offset
            if self._known.get(address) != word:
                self._link.set_register(address, word)
                self._known[address] = word

    def put_fields(self, name: str, **fields: int) -> None:
        """Some fields of a published register, and nothing else of it."""
        found = register(name)
        word = self._word(found.address)
        for field, value in fields.items():
            word = word & ~found.field(field).mask | found.field(field).bits(value)
        self.put(name, word)

    def words(self, name: str, count: int) -> Sequence[int]:
        """Published registers from one on."""
        first = register(name).address
        return [self._word(first + 4 * offset) for offset in range(count)]

    def _word(self, address: int) -> int:
        if address not in self._known:
            self._known[address] = self._link.get_register(address)
        return self._known[address]


def _check_address(address: int) -> None:
    if address & 3:
        message = f"register address 0x{address:X} is not a multiple of 4"
        raise Refused(Status.BAD_REQUEST, message)
    if address >= MAP_END:
        raise LimitExceeded("register end address", address + 4, MAP_END)
