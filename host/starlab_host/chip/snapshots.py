"""Snapshots of a board: taken, described, restored. Keeps none: that is for who asks.

An emulated board writes all that it is into its memory, and becomes that again, to the last bit. A
real board can only be read, and later be set and programmed by write-verify to what was read.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_host import safety
from starlab_host.board.board import Board
from starlab_host.board.memory import SNAPSHOT
from starlab_host.chip.cells import ArrayCells
from starlab_host.chip.chip import MAX_PULSES, Chip
from starlab_host.chip.formed import FORMED_LOWEST_uS
from starlab_host.chip.setting_changes import setting_change
from starlab_host.chip.settings import SETTING_ADDRESSES, settings_of
from starlab_host.errors import BadArgument, BoardMisbehaves
from starlab_host.results import ProgramReport
from starlab_spec import ARRAY1, ARRAY2, ArrayGeometry, SnapshotError, UnknownName, array_geometry
from starlab_spec.geometry import CONDUCTANCE_MAX_uS, CONDUCTANCE_MIN_uS, VIRGIN_MAX_uS
from starlab_spec.registers import MAP_END
from starlab_spec.snapshot import EXACT, READ, Snapshot, checksum, pack, unpack
from starlab_spec.supplies import CODE_MAX, SUPPLIES
from starlab_spec.units import TICK_NS

KINDS: Final = (EXACT, READ)
TOLERANCE_uS: Final = 0.3
"""How near write-verify brings each cell: three codes of READ [O]."""
_HALF: Final = 0.5
_TEXT_MAX: Final = 200
_WORD_MAX: Final = (1 << 32) - 1
_TOTAL_MAX: Final = (1 << 64) - 1
_READ_MAX_uS: Final = 1000.0
"""Nothing that READ tells is more, however low its rails are."""
_SET_FIRST: Final = (
    "th", "th1_uS", "c1", "c1_relative", "c2", "output_activation", "activation_scale",
    "activation_amplitude", "scheme",
)  # fmt: skip
"""Settings that do not matter to programming, and that some boards have fixed in hardware: such a
board refuses before it is programmed for minutes."""


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """What a snapshot says about itself."""

    kind: str
    """EXACT or READ."""
    bytes: int
    """Its size."""
    sha256: str
    """Of all of it, hexadecimal."""
    serial: str
    """Of the board that it was taken of."""
    boot_id: int
    """Of that board, at that time."""
    firmware: str
    """Likewise."""
    device_model: str
    """Of that board's chip."""
    lifetime_pulses: int
    """That the board had applied."""
    emulated_time_s: float | None
    """The emulated board's own time; None: not told."""
    memory: bool
    """Whether the board's memory is in it."""


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """How a restore went."""

    exact: bool
    """Whether the board is what it was to the last bit; else it was programmed."""
    arrays: Mapping[int, ProgramReport] = field(default_factory=dict)
    """How near the cells came, by array; arrays that were virgin were left alone."""


def take_snapshot(
    board: Board, chip: Chip, *, kind: str | None = None, memory: bool = False
) -> bytes:
    """Take a snapshot.

    Args:
        board: The board. Others must not work with it meanwhile.
        chip: Its chip.
        kind: ``exact`` or ``read``; None: exact of an emulated board, read of any other.
        memory: Whether to take the memory of an emulated board along.

    Raises:
        UnknownName: There is no such kind.
        BadArgument: The memory of a board that can only be read.
        BoardRefused: UNSUPPORTED: a real board, and ``exact``.
        BoardMisbehaves: What the board has taken is no snapshot.
        SnapshotError: What came was not what the board had taken.
    """
    if kind is None:
        kind = EXACT if board.identity["emulated"] else READ
    if kind not in KINDS:
        raise UnknownName("kind of snapshot", kind, KINDS)
    if kind == READ:
        if memory:
            raise BadArgument("memory", f"is not part of a snapshot of kind {READ!r}")
        return _read(board, chip)
    answer = board.emulator(snapshot={"address": SNAPSHOT.address, "memory": memory})
    told = answer.get("snapshot")
    told = told if isinstance(told, dict) else {}
    size = told.get("bytes")
    if type(size) is not int or not 0 < size <= SNAPSHOT.size:
        raise BoardMisbehaves(f"a snapshot of {size!r} bytes is not within 1 .. {SNAPSHOT.size}")
    data = board.read_memory(SNAPSHOT.address, size)
    if checksum(data) != told.get("sha256"):
        raise SnapshotError(f"has SHA-256 {checksum(data)}, expected {told.get('sha256')}")
    try:
        describe(data)
    except SnapshotError as error:
        raise BoardMisbehaves(str(error)) from error
    return data


def describe(data: bytes) -> SnapshotInfo:
    """What a snapshot says about itself.

    Raises:
        SnapshotError: It is none, of another version, or damaged.
    """
    file = unpack(data)
    header = file.header
    is_timed = header.get("emulated_ticks") is not None
    return SnapshotInfo(
        kind=file.kind,
        bytes=len(data),
        sha256=checksum(data),
        serial=_text(header, "serial"),
        boot_id=_whole(header, "boot_id", _WORD_MAX),
        firmware=_text(header, "firmware"),
        device_model=_text(header, "device_model"),
        lifetime_pulses=_whole(header, "lifetime_pulses", _TOTAL_MAX),
        emulated_time_s=(
            _whole(header, "emulated_ticks", _TOTAL_MAX) * TICK_NS * 1e-9 if is_timed else None
        ),
        memory=bool(header.get("memory", False)),
    )


def restore_snapshot(
    board: Board,
    chip: Chip,
    data: bytes,
    *,
    tolerance_uS: float = TOLERANCE_uS,
    max_pulses: int = MAX_PULSES,
) -> RestoreReport:
    """Bring a board to what a snapshot holds.

    An exact one on an emulated board: all of it or, if it is refused, nothing. Otherwise all that
    it holds is checked; then thresholds, activation and scheme are set, the rails are brought up at
    their published settings, cells are programmed by write-verify, and at last the other settings
    and the supplies are set. If the board fails on the way, it was done up to there. Cells that
    were virgin are left as they are.

    Args:
        board: The board. Others must not work with it meanwhile.
        chip: Its chip.
        data: The snapshot.
        tolerance_uS: How near write-verify is to bring each cell.
        max_pulses: Its cap for each cell.

    Raises:
        SnapshotError: It is none, damaged, or of another version.
        BoardRefused: The board cannot be that one, or a fault is latched. UNSUPPORTED: its
            thresholds are fixed in hardware, and others; nothing was done.
        NotFormed: Cells are to be programmed that were never formed.
    """
    file = unpack(data)
    if file.kind == EXACT and board.identity["emulated"]:
        board.write_memory(SNAPSHOT.address, data)
        board.emulator(restore={"address": SNAPSHOT.address, "bytes": len(data)})
        return RestoreReport(exact=True)
    wanted_uS = {array.number: _conductance_uS(file, array) for array in (ARRAY1, ARRAY2)}
    was_virgin = {array.number: _virgin(file, array) for array in (ARRAY1, ARRAY2)}
    settings, supplies = _settings(file), _supplies(file)
    safety.check_tolerance(tolerance_uS)
    safety.check_whole("max_pulses", max_pulses, 1, safety.PULSES_MAX, "pulses")
    setting_change(board, settings)
    board.check_supplies(supplies)
    programmed = [n for n, virgin in was_virgin.items() if virgin.mean() <= _HALF]
    first: dict[str, Any] = {n: settings.pop(n) for n in _SET_FIRST if n in settings}
    change = setting_change(board, first)
    with change.whole(board):
        change.make(board)
        if board.is_up():  # otherwise nothing can be read yet
            for number in programmed:
                ArrayCells(board, array_geometry(number)).require_formed()
    board.bring_up()
    reports: dict[int, ProgramReport] = {}
    for number in programmed:
        now_uS = chip.read_conductance_uS(number)
        target_uS = np.where(was_virgin[number], now_uS, wanted_uS[number])
        reports[number] = chip.program(
            number,
            target_uS.clip(CONDUCTANCE_MIN_uS, CONDUCTANCE_MAX_uS),
            tolerance_uS=tolerance_uS,
            max_pulses=max_pulses,
        )
    chip.change_settings(**settings)
    board.set_supplies(supplies)
    return RestoreReport(exact=False, arrays=reports)


def _read(board: Board, chip: Chip) -> bytes:
    identity = board.identity
    header = {
        "kind": READ,
        **{name: identity[name] for name in ("serial", "boot_id", "firmware")},
        "device_model": identity.get("device_model", ""),
        "lifetime_pulses": board.status().lifetime_pulses,
        "settings": asdict(chip.settings()),
        "supplies": {one.name: one.code for one in board.supplies() if one.measured},
    }
    content: dict[str, NDArray[Any]] = {}
    for array in (ARRAY1, ARRAY2):
        content[_name(array)] = chip.read_conductance_uS(array.number)
        content[_formed_name(array)] = ArrayCells(board, array).read_formed()
    return pack(header, content)


def _name(array: ArrayGeometry) -> str:
    return f"array{array.number}.conductance_uS"


def _conductance_uS(file: Snapshot, array: ArrayGeometry) -> NDArray[np.float64]:
    cells = file.arrays.get(_name(array))
    if cells is None or cells.shape != array.shape:
        found = "none" if cells is None else str(cells.shape)
        raise SnapshotError(f"has {_name(array)} of shape {found}, expected {array.shape}")
    if cells.dtype.kind != "f" or not np.isfinite(cells).all():
        raise SnapshotError(f"has {_name(array)} that are no finite numbers")
    if cells.min() < 0 or cells.max() > _READ_MAX_uS:
        span = f"{cells.min():g} .. {cells.max():g} uS"
        raise SnapshotError(f"has {_name(array)} of {span}, expected 0 .. {_READ_MAX_uS:g} uS")
    return cells.astype(np.float64)


def _formed_name(array: ArrayGeometry) -> str:
    return f"array{array.number}.formed"


def _virgin(file: Snapshot, array: ArrayGeometry) -> NDArray[np.bool_]:
    """Cells that were not formed; of a file that does not say it, by what they conducted."""
    formed = file.arrays.get(_formed_name(array))
    if formed is None:
        least_uS = VIRGIN_MAX_uS if file.kind == EXACT else FORMED_LOWEST_uS
        return _conductance_uS(file, array) < least_uS
    if formed.shape != array.shape or formed.dtype != np.bool_:
        raise SnapshotError(
            f"has {_formed_name(array)} of type {formed.dtype} {formed.shape}, "
            f"expected bool {array.shape}"
        )
    return ~formed


def _settings(file: Snapshot) -> dict[str, Any]:
    """All settings, whichever kind it is."""
    if file.kind == READ:
        return dict(_member(file, "settings"))
    kept = file.arrays.get("registers")
    words = b"" if kept is None else kept.tobytes()
    if len(words) != MAP_END:
        raise SnapshotError(f"has {len(words)} bytes of registers, expected {MAP_END}")
    return asdict(
        settings_of({at: int.from_bytes(words[at : at + 4], "big") for at in SETTING_ADDRESSES})
    )


def _supplies(file: Snapshot) -> dict[str, float]:
    """What the generators that were on gave, by name."""
    kept = _member(file, "supplies")
    codes = kept
    if file.kind == EXACT:
        listed = kept.get("codes")
        if not isinstance(listed, list) or len(listed) != len(SUPPLIES):
            raise SnapshotError(f"lacks the codes of {len(SUPPLIES)} supplies")
        named = zip((channel.name for channel in SUPPLIES), listed, strict=True)
        codes = {name: code for name, code in named if code is not None}
    channels = {channel.name: channel for channel in SUPPLIES}
    for name, code in codes.items():
        if name not in channels:
            raise SnapshotError(f"has a supply {name!r} that there is not")
        if type(code) is not int or not 0 <= code <= CODE_MAX:
            raise SnapshotError(f"has {name} at {code!r}, expected a code 0..{CODE_MAX}")
    return {name: channels[name].value(code) for name, code in codes.items()}


def _member(file: Snapshot, name: str) -> dict[str, Any]:
    member = file.header.get(name)
    if not isinstance(member, dict):
        raise SnapshotError(f"lacks {name}")
    return member


def _whole(header: Mapping[str, Any], name: str, most: int) -> int:
    value = header.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise SnapshotError(f"has {name} {value!r:.40}, expected a whole number 0 .. {most}")
    return value


def _text(header: Mapping[str, Any], name: str) -> str:
    value = header.get(name)
    if not isinstance(value, str) or not value.isprintable() or len(value) > _TEXT_MAX:
        raise SnapshotError(f"has {name} {value!r:.40}, expected a short text")
    return value
