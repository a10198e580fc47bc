"""What follows where a generator's current limit trips. Measures no current: others do."""

from typing import Final

from starlab_sim.chip import Trip
from starlab_sim.effects import CurrentLimit
from starlab_sim.errors import Refused
from starlab_sim.firmware.state import PoweredState
from starlab_sim.requests.faults import OVER_CURRENT
from starlab_spec.errors import LimitExceeded, rounded
from starlab_spec.geometry import PLUS
from starlab_spec.operations import PulseKind
from starlab_spec.supplies import supply
from starlab_spec.wire.transactions import Status

RAILS: Final = {PulseKind.SET: "VBLset", PulseKind.RESET: "VSLreset", PulseKind.FORM: "VBLform"}
"""The rail that drives the current of a pulse [C]; gates draw none."""


def over_current(
    state: PoweredState, kind: PulseKind, current_ma: float, limit: CurrentLimit, where: str
) -> Refused:
    """Latch the fault, switch the drivers off, and give the error to raise: COMPLIANCE.

    Args:
        state: What trips.
        kind: Kind of the pulses, which tells the rail.
        current_ma: What they would have drawn.
        limit: What the rail gives.
        where: What was not pulsed, and what was before.
    """
    channel = supply(RAILS[kind])
    drawn = rounded(current_ma, limit.limit_ma, 4)
    exceeded = LimitExceeded(f"{channel.name} current", drawn, limit.limit_ma, "mA")
    state.trip(OVER_CURRENT, channel.index)
    return Refused(Status.COMPLIANCE, f"{exceeded}, {where}")


def over_current_in_training(
    state: PoweredState, trip: Trip, sample: int, done: int, total: int, pulses: int
) -> Refused:
    """The same for a pass of a learning step.

    Args:
        state: What trips.
        trip: At which pass.
        sample: Number of the sample, for the message.
        done: Samples that were learned in full.
        total: Samples that were to be learned.
        pulses: What the sample has had before the pass.
    """
    limit = state.supplies.effects.current_limit
    assert limit is not None  # noqa: S101 - it has just tripped
    cells = f'"{"+" if trip.plane == PLUS else "-"}" cells of array {trip.array}'
    where = f"in {trip.kind.name} of the {cells} for sample {sample}"
    after = f"after {done} of {total} samples and {pulses} pulses for this one"
    return over_current(state, trip.kind, trip.current_ma, limit, f"{where}, {after}")
