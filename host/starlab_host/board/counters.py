"""From the counter registers to what a board has done. Reads none of them."""

from collections.abc import Mapping
from typing import Final

from starlab_host.results import (
    Counters,
    EnergyParts,
    OperationCounts,
    PulseCounts,
    PulseShares,
    TimeParts,
)
from starlab_spec.units import TICK_NS

_TICK_S: Final = TICK_NS * 1e-9
_J_PER_FJ: Final = 1e-15


def counters_of(count: Mapping[str, int]) -> Counters:
    """Counters out of the registers' numbers, by the names of `starlab_spec.registers.COUNTERS`."""

    def shares(array: int, unit: str, scale: float) -> PulseShares:
        return PulseShares(
            set=count[f"ARRAY{array}_SET_{unit}"] * scale,
            reset=count[f"ARRAY{array}_RESET_{unit}"] * scale,
            form=count[f"ARRAY{array}_FORM_{unit}"] * scale,
        )

    def pulses(array: int) -> PulseCounts:
        return PulseCounts(
            set=count[f"ARRAY{array}_SET_PULSES"],
            reset=count[f"ARRAY{array}_RESET_PULSES"],
            form=count[f"ARRAY{array}_FORM_PULSES"],
        )

    total_ticks = count["EMULATED_TICKS"]
    busy_ticks = (
        sum(ticks for name, ticks in count.items() if name.endswith("_TICKS")) - total_ticks
    )
    return Counters(
        array1=pulses(1),
        array2=pulses(2),
        operations=OperationCounts(
            form=count["FORM_OPERATIONS"],
            set=count["SET_OPERATIONS"],
            reset=count["RESET_OPERATIONS"],
            read=count["READ_OPERATIONS"],
            inference=count["INFERENCE_OPERATIONS"],
            training=count["TRAINING_OPERATIONS"],
        ),
        energy_j=count["ENERGY_FJ"] * _J_PER_FJ,
        emulated_time_s=total_ticks * _TICK_S,
        energy_parts_j=EnergyParts(
            array1=shares(1, "FJ", _J_PER_FJ),
            array2=shares(2, "FJ", _J_PER_FJ),
            cells=count["READ_CELLS_FJ"] * _J_PER_FJ,
            converters=count["READ_CONVERTERS_FJ"] * _J_PER_FJ,
            lines=count["READ_LINES_FJ"] * _J_PER_FJ,
        ),
        time_parts_s=TimeParts(
            array1=shares(1, "TICKS", _TICK_S),
            array2=shares(2, "TICKS", _TICK_S),
            read=count["READ_TICKS"] * _TICK_S,
            forward=count["FORWARD_TICKS"] * _TICK_S,
            backward=count["BACKWARD_TICKS"] * _TICK_S,
            waiting=max(total_ticks - busy_ticks, 0) * _TICK_S,
        ),
    )
