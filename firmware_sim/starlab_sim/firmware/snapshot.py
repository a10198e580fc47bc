"""The whole state of an emulated board as a file and back, to the last bit. Opens no file.

What the chip keeps in its store is taken as it is, field by field, and so are all of its sources of
noise: what is new there is in every snapshot from then on. Session, boot id, serial number and the
limits that the firmware holds are the board's, not the snapshot's: they stay. To the interlock a
restored chip was just put in: it counts no pulses of before. The layout of the file:
`starlab_spec.snapshot`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import (
    CHIP,
    Volatile,
    noise_states,
    resume_noise,
    resume_wires,
    wire_states,
)
from starlab_sim.errors import Refused
from starlab_sim.firmware.identity import FIRMWARE_VERSION, put_identity
from starlab_sim.firmware.register_file import RegisterFile
from starlab_sim.firmware.state import PoweredState
from starlab_sim.keeping import kept_values
from starlab_sim.requests.emulator import EmulatorRequest
from starlab_sim.socket.chip_socket import ChipSocket, Holding
from starlab_sim.supplies import Generators, SupplyRack
from starlab_spec.errors import SnapshotError
from starlab_spec.operations import check_memory_range
from starlab_spec.registers import MAP_END
from starlab_spec.snapshot import EXACT, Snapshot, checksum, pack, unpack
from starlab_spec.supplies import SUPPLIES, Channel

_PAGE_BYTES: Final = 1 << 16
"""Memory is kept in pages of so many bytes; those that are zero are left out."""
_PAGES: Final = "memory.pages"
_PAGE_NUMBERS: Final = "memory.page_numbers"
_REGISTERS: Final = "registers"
_WIRES: Final = "wires."


def take(
    socket: ChipSocket, state: PoweredState, *, boot_id: int, memory_bytes: int | None = None
) -> bytes:
    """A snapshot of a board.

    Args:
        socket: The chip and the totals.
        state: Registers, supplies, memory.
        boot_id: For who reads it: it is not restored.
        memory_bytes: How much of the board's memory to take along, from its begin; the rest counts
            as zero. None: the snapshot says nothing of the memory.
    """
    header = {
        "kind": EXACT,
        "firmware": ".".join(map(str, FIRMWARE_VERSION)),
        "serial": socket.holding.serial,
        "boot_id": boot_id,
        "device_model": socket.chip.device.name,
        "lifetime_pulses": socket.pulses,
        "emulated_ticks": socket.ticks,
        "holding": json.loads(socket.holding.label()),
        "noise": noise_states(socket.chip),
        "supplies": state.supplies.keep(),
        "memory": memory_bytes is not None,
    }
    arrays = {
        **dict(_flat(socket.chip.content)),
        **wire_states(socket.chip),
        _REGISTERS: np.frombuffer(state.registers.content, np.uint8),
    }
    if memory_bytes is not None:
        pages = state.memory.view(0, -(-memory_bytes // _PAGE_BYTES) * _PAGE_BYTES)
        pages = pages.reshape(-1, _PAGE_BYTES).copy()
        pages.reshape(-1)[memory_bytes:] = 0
        (used,) = np.nonzero(pages.any(axis=1))
        arrays |= {_PAGES: pages[used], _PAGE_NUMBERS: used.astype(np.uint32)}
    return pack(header, arrays)


@dataclass(frozen=True, slots=True, eq=False)
class Restorable:
    """A snapshot that was found to fit this emulator."""

    holding: Holding
    """The board that it was taken of: chip and serial number."""
    pulses: int
    """Pulses on all chips ever of that board."""
    ticks: int
    """Emulated time since that board was made, in clock cycles."""
    content: NDArray[np.void]
    """Cells and totals, type :data:`starlab_sim.chip.CHIP`."""
    noise: Mapping[str, Mapping[str, Any]]
    """Where the sources of noise are."""
    wires: Mapping[str, NDArray[Any]]
    """What the wires remember."""
    registers: bytes
    """The whole register file."""
    supplies: Mapping[str, Any]
    """As the rack keeps them."""
    pages: Mapping[int, bytes] | None
    """Pages of memory that are not zero, by their number; None: memory stays as it is."""

    @classmethod
    def read(cls, data: bytes | memoryview, channels: Sequence[Channel] = SUPPLIES) -> "Restorable":
        """Check a file as a whole.

        Args:
            data: The file.
            channels: The generators of the board that is to be restored, with the limits that hold.

        Raises:
            SnapshotError: It is no exact snapshot, or one that this emulator cannot be, such as one
                with a supply outside of its limits.
        """
        file = unpack(data)
        if file.kind != EXACT:
            raise SnapshotError(f"is of kind {file.kind!r}, expected {EXACT!r}")
        header, arrays = file.header, dict(file.arrays)
        try:
            registers = arrays.pop(_REGISTERS).tobytes()
            if len(registers) != MAP_END:
                raise SnapshotError(f"has {len(registers)} bytes of registers, expected {MAP_END}")
            wires = {name: arrays.pop(name) for name in file.arrays if name.startswith(_WIRES)}
            pages = _pages(arrays) if _is_true(header["memory"]) else None
            found = cls(
                holding=Holding.of(json.dumps(header["holding"]).encode()),
                pulses=header["lifetime_pulses"],
                ticks=header["emulated_ticks"],
                content=_content(Snapshot(header, arrays)),
                noise=dict(header["noise"]),
                wires=wires,
                registers=registers,
                supplies=dict(header["supplies"]),
                pages=pages,
            )
            kept_values.check_holding(found.holding)
            kept_values.check_content(found.content, pulses=found.pulses, ticks=found.ticks)
            kept_values.check_registers(registers)
            SupplyRack(channels=channels).put_back(found.supplies, found.generators)
            kept_values.check_supplies(found.supplies)
            scratch = Volatile()
            scratch.content[...] = found.content
            trial = found.holding.specimen.make(scratch, life=1)
            resume_noise(trial, found.noise)
            for name, state in found.noise.items():
                kept_values.check_stream(f"noise.{name}", state)
            resume_wires(trial, found.wires)
            kept_values.check_wires(found.wires)
        except SnapshotError:
            raise
        except KeyError as error:
            raise SnapshotError(f"cannot be restored here: it lacks {error}") from error
        except (LookupError, ArithmeticError, TypeError, ValueError, AttributeError) as error:
            raise SnapshotError(f"cannot be restored here: {error!s:.500}") from error
        except Refused as error:
            raise SnapshotError(f"cannot be restored here: {error!s:.500}") from error
        return found

    @property
    def generators(self) -> Generators:
        """The generators of that board; their noise is that of a first life."""
        return Generators(self.holding.board_seed, self.holding.specimen.effects)

    def put_into(self, socket: ChipSocket, state: PoweredState, *, boot_id: int) -> None:
        """Be that board: all of it, or nothing.

        Raises:
            Refused: HARDWARE_FAULT: a fault is latched here; restoring must not clear it.
                INTERLOCK: a supply outside of the limits that hold here.
        """
        state.check_faults()
        state.supplies.put_back(self.supplies, self.generators)
        socket.restore(
            self.holding,
            self.content,
            self.noise,
            self.wires,
            pulses=self.pulses,
            ticks=self.ticks,
        )
        state.registers = RegisterFile(self.registers)
        put_identity(state.registers, socket.chip, boot_id=boot_id)
        if self.pages is not None:
            state.memory.clear()
            for number, page in self.pages.items():
                state.memory.write(number * _PAGE_BYTES, page)


def plan(
    request: EmulatorRequest, socket: ChipSocket, state: PoweredState, *, boot_id: int
) -> Callable[[PoweredState], dict[str, Any]]:
    """Check what a request wants of the memory, and give what does it and tells of it.

    Args:
        request: What is known of the cells, or a snapshot, to write there; or a snapshot to restore
            from there.
        socket: The chip and the totals.
        state: What to check it against.
        boot_id: Of the board.

    Returns:
        To be called with the board's state after all else of the request was done.

    Raises:
        SnapshotError: What is to be restored cannot be.
        LimitExceeded: A snapshot beyond the end of the memory.
        Refused: HARDWARE_FAULT: a fault is latched, and something is to be restored.
    """
    if (taken := request.snapshot) is not None:
        address, below = taken.address, taken.address if taken.memory else None
        data = take(socket, state, boot_id=boot_id, memory_bytes=below)
        check_memory_range(address, len(data))

        def put(state: PoweredState) -> dict[str, Any]:
            state.memory.write(address, data)
            return {"snapshot": {"bytes": len(data), "sha256": checksum(data)}}

        return put
    if (source := request.restore) is not None:
        state.check_faults()
        data = state.memory.view(source.address, source.bytes).tobytes()
        found = Restorable.read(data, state.interlock.area.channels)

        def restore(state: PoweredState) -> dict[str, Any]:
            found.put_into(socket, state, boot_id=boot_id)
            return {"restored": {"serial": found.holding.serial}}

        return restore

    def tell(state: PoweredState) -> dict[str, Any]:
        if (counts := request.pulse_counts) is not None:
            words = socket.chip.pulses(counts.array).astype(">u4")
            state.memory.write(counts.address, words.tobytes())
        if (wanted := request.formed) is not None:
            formed = ~socket.chip.virgin(wanted.array)
            state.memory.write(wanted.address, formed.astype(np.uint8).tobytes())
        return {}

    return tell


def _flat(record: NDArray[np.void], prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """The fields of a structured scalar array, down to plain arrays, by dotted names."""
    for name in record.dtype.names or ():
        field: NDArray[Any] = record[name]
        if field.dtype.names:
            yield from _flat(field, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", np.asarray(field)


def _content(file: Snapshot) -> NDArray[np.void]:
    """Cells and totals of a file.

    Raises:
        SnapshotError: Other fields than this emulator's.
    """
    content = np.zeros((), CHIP)
    fields = dict(_flat(content))
    if missing := fields.keys() - file.arrays.keys():
        raise SnapshotError(f"lacks {', '.join(sorted(missing))}: another emulator has taken it")
    if unknown := file.arrays.keys() - fields.keys():
        raise SnapshotError(f"has {', '.join(sorted(unknown))}, which this emulator does not know")
    for name, field in fields.items():
        given = file.arrays[name]
        if (given.dtype, given.shape) != (field.dtype, field.shape):
            raise SnapshotError(
                f"has {name} of type {given.dtype} {given.shape}, "
                f"expected {field.dtype} {field.shape}"
            )
        field[...] = given
    return content


def _is_true(value: object) -> bool:
    if not isinstance(value, bool):
        raise SnapshotError(f"has memory {value!r:.40}, expected true or false")
    return value


def _pages(arrays: dict[str, NDArray[Any]]) -> dict[int, bytes]:
    pages, numbers = arrays.pop(_PAGES), arrays.pop(_PAGE_NUMBERS)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise SnapshotError(f"has page numbers of type {numbers.dtype} {numbers.shape}")
    if pages.shape != (len(numbers), _PAGE_BYTES) or pages.dtype != np.uint8:
        raise SnapshotError(f"has memory of type {pages.dtype} {pages.shape}")
    for number in numbers.tolist():
        check_memory_range(number * _PAGE_BYTES, _PAGE_BYTES)
    return {number: page.tobytes() for number, page in zip(numbers.tolist(), pages, strict=True)}
