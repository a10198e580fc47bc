"""The emergency stop as one command, and what its reply says. Sends nothing.

An ABORT goes before all that waits and ends what runs, so the latch behind it in the same command
is reached as soon as the board is at a safe point.
"""

from collections.abc import Sequence
from typing import Final

from starlab_host.errors import StopUnconfirmed, refusal_of
from starlab_host.session.waiting import Call
from starlab_spec.registers import register
from starlab_spec.wire.transactions import (
    Result,
    Status,
    abort,
    encode_transactions,
    read_registers,
    words,
    write_registers,
)

STOP_TIMEOUT_S: Final = 1.0
"""How long to wait for a board to confirm a stop [O]: longer than its longest way to a safe point
as a rule, and no longer than a person at the bench would wait."""
_FAULTS: Final = register("FAULTS")
_LATCH: Final = register("FAULT_SET").field("emergency_stop").mask
_STOP: Final = (
    abort(),
    write_registers(register("FAULT_SET").address, [_LATCH]),
    read_registers(_FAULTS.address),
)
STOP: Final = Call(_STOP, encode_transactions(_STOP), urgent=True)
"""Stop what runs, switch all drivers off, latch it, and tell what is latched."""


def confirmed(results: Sequence[Result]) -> int:
    """Register FAULTS, as the board says it is after a stop.

    Raises:
        StopUnconfirmed: The board did not do all of it.
    """
    last = results[-1]
    if last.status != Status.OK:
        raise StopUnconfirmed(str(refusal_of(last)))
    faults = words(last)[0] if len(last.data) == 4 else 0
    if len(results) < len(_STOP) or not faults & _FAULTS.field("emergency_stop").mask:
        raise StopUnconfirmed("the board answers, but says that no emergency stop is latched")
    return faults


def unconfirmed(timeout_s: float) -> StopUnconfirmed:
    """The error for a board that has not answered in time."""
    return StopUnconfirmed(
        f"the stop was sent, but the board has not confirmed it within {timeout_s:.2g} s"
    )


def fault_names(word: int) -> tuple[str, ...]:
    """Names of the faults in a word of register FAULTS."""
    return tuple(field.name for field in _FAULTS.fields if field.get(word))
