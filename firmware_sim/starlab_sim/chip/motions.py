"""From device model and pulse conditions to what the kernels need to know. Moves no cell."""

import math
from functools import lru_cache

import numpy as np

from starlab_sim.chip.detailed.cells import Pulse
from starlab_sim.chip.energy import cell_energy_j, line_energy_j
from starlab_sim.chip.pulsing import Motion
from starlab_sim.devices import (
    NOMINAL_FORM_GATE_MV,
    THRESHOLD_MV,
    PulseConditions,
    StepTable,
    step_factor,
)
from starlab_sim.effects import GateCompliance
from starlab_spec.geometry import CONDUCTANCE_MAX_uS, CONDUCTANCE_MIN_uS, WINDOW_uS
from starlab_spec.operations import PulseKind


def ceiling_of(gate: GateCompliance | None, gate_mv: float) -> float:
    """Conductance above which SET lifts no cell."""
    if gate is None:
        return math.inf
    return gate.per_volt_uS * max(gate_mv - gate.threshold_mv, 0.0) * 1e-3


def forming_share(gate: GateCompliance | None, gate_mv: float) -> float:
    """Share of the conductance after forming that the compliance of FORM leaves."""
    if gate is None or gate.threshold_mv >= NOMINAL_FORM_GATE_MV:
        return 1.0
    overdrive_mv = max(gate_mv - gate.threshold_mv, 0.0)
    return overdrive_mv / (NOMINAL_FORM_GATE_MV - gate.threshold_mv)


def detailed_pulse(
    kind: PulseKind, motion: Motion, ceiling_uS: float, conditions: PulseConditions
) -> Pulse:
    """The same as the detailed kernels take it; ``ceiling_uS``: above it, it lifts no cell."""
    return Pulse(
        motion=motion,
        kind=int(kind),
        ceiling_uS=np.float32(ceiling_uS),
        amplitude_mv=float(conditions.amplitude_mv),
        overdrive_mv=float(conditions.amplitude_mv - THRESHOLD_MV[kind]),
    )


def pulse_energies_j(pulse: PulseConditions) -> tuple[float, float]:
    """Energy of a pulse: per uS of the cell, and of driving a row's lines."""
    voltage_v = pulse.amplitude_mv * 1e-3
    return cell_energy_j(voltage_v, pulse.width_ns), line_energy_j(voltage_v)


@lru_cache(maxsize=32)
def motion_of(
    array: int,
    kind: PulseKind,
    steps: StepTable,
    cycle_noise_uS: float,
    conditions: PulseConditions,
) -> Motion:
    """What a SET or RESET pulse does. Remembered: single pulses of equal conditions are common.

    Cycle-to-cycle noise adds to the table's own deviation (in squares); the pulse conditions
    scale means and deviations alike [O].
    """
    up = kind is PulseKind.SET
    direction = 1 if up else -1
    factor = step_factor(array, kind, conditions)
    mean_uS = direction * factor * np.array(steps.mean_uS)
    sigma_uS = factor * np.hypot(steps.std_uS, cycle_noise_uS)
    cell_j, line_j = pulse_energies_j(conditions)
    return Motion(
        start_uS=np.float32(CONDUCTANCE_MIN_uS if up else CONDUCTANCE_MAX_uS),
        bins_per_uS=np.float32(direction * len(mean_uS) / WINDOW_uS),
        mean_uS=mean_uS.astype(np.float32),
        sigma_uS=sigma_uS.astype(np.float32),
        noisy=bool(sigma_uS.any()),
        cell_j=cell_j,
        line_j=line_j,
    )
