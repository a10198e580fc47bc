"""What a board can do beyond the published block, as flags. Asks no board.

A board with our extension block can do all of it. One that speaks only the protocol of the chip's
authors cannot: what it lacks is either done by the host, slower, or refused with a reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from starlab_host.errors import BoardRefused
from starlab_spec.wire.transactions import Status

REASONS: Final = {
    "hidden_codes": "the published block does not give the hidden pulse counts",
    "array2_alone": "the published block cannot multiply pulse counts with array 2 alone",
    "supply_readings": "the supplies of this board cannot be read back, so there is nothing to "
    "measure",
}
"""Why what needs a flag is refused without it."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a board can do."""

    exactly_once: bool = True
    """Commands have numbers, and the board repeats its reply: after a lost reply or a crash of the
    host its outcome is known. Else a lost connection leaves it in doubt."""
    batches: bool = True
    """The board goes through batches, masks and whole arrays by itself. Else the host does,
    sample by sample and row by row."""
    thresholds: bool = True
    """Th, Th1, C1, C2 and the output activation can be changed. Else they are fixed in hardware,
    and what the settings show is assumed, not read."""
    non_cyclic: bool = True
    """A sample can get SET and RESET pulses in one step."""
    hidden_codes: bool = True
    """The hidden pulse counts can be read: multiplication with array 1, inference with hidden."""
    array2_alone: bool = True
    """Pulse counts can be multiplied with array 2."""
    training_pulses: bool = True
    """The board says how many pulses a training step gave. Else these are told, and counted, as
    0."""
    counters: bool = True
    """Pulses, operations, time and energy are the board's own. Else the host counts what it has
    asked for since it connected, without time, energy and the pulses of training."""
    supply_readings: bool = True
    """Supplies are read back. Else what is told is what the host has set since it connected."""
    fault_latches: bool = True
    """Faults and the emergency stop are latched by the board, which then has its drivers off. Else
    the host does what it can: it stops, takes the programming rails low, and sends nothing more."""
    safe_when_silent: bool = True
    """The board switches its drivers off when the host falls silent or ends its session."""
    emulator: bool = False
    """It takes the requests that only an emulated board can be asked."""

    def require(self, flag: str) -> None:
        """Refuse what needs a flag, before any work is done for it.

        Args:
            flag: One of :data:`REASONS`.

        Raises:
            BoardRefused: UNSUPPORTED: the board lacks it.
        """
        if not getattr(self, flag):
            raise BoardRefused(Status.UNSUPPORTED, REASONS[flag])


PUBLISHED: Final = Capabilities(
    exactly_once=False,
    batches=False,
    thresholds=False,
    non_cyclic=False,
    hidden_codes=False,
    array2_alone=False,
    training_pulses=False,
    counters=False,
    supply_readings=False,
    fault_latches=False,
    safe_when_silent=False,
)
"""What the published block alone can do."""


def capabilities_of(identity: Mapping[str, Any]) -> Capabilities:
    """What a board can do, by what is known of it."""
    stated = identity.get("capabilities")
    if not isinstance(stated, Mapping):
        return Capabilities(emulator=bool(identity.get("emulated")))
    known = {field.name for field in fields(Capabilities)}
    return replace(PUBLISHED, **{name: bool(stated[name]) for name in known & stated.keys()})
