"""Who the emulated board says it is, as JSON and in its registers. Never changes after power-up."""

from typing import Any, Final

from starlab_sim.chip import Chip, Counters
from starlab_sim.register_file import RegisterFile
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.operations import MEMORY_BYTES
from starlab_spec.registers import COUNTERS, WORD_MASK, register

FIRMWARE_VERSION: Final = (0, 1, 0)
"""Of the emulated firmware: major, minor, patch."""
PROTOCOL_VERSION: Final = "1.0"
"""Of the wire protocol."""
_EMULATED: Final = register("CAPABILITIES").field("emulated").mask
_MODEL_BYTES: Final = 32
FIRST_COUNTER: Final = register(f"{COUNTERS[0][0]}_HIGH").address
"""Byte address of the first counter; all counters lie from here on."""


def identity(chip: Chip, *, serial: str, boot_id: int, boots: int) -> dict[str, Any]:
    """What IDENTIFY and ANNOUNCE say."""
    return {
        "serial": serial,
        "firmware": ".".join(map(str, FIRMWARE_VERSION)),
        "protocol": PROTOCOL_VERSION,
        "boot_id": boot_id,
        "boots": boots,
        "geometry": {f"array{a.number}": [a.inputs, a.outputs] for a in (ARRAY1, ARRAY2)},
        "device_model": chip.device.name,
        "effects": list(chip.effects.on),
        "emulated": True,
        "memory_bytes": MEMORY_BYTES,
    }


def put_identity(registers: RegisterFile, chip: Chip, *, boot_id: int) -> None:
    """Write the identity registers."""
    major, minor, patch = FIRMWARE_VERSION
    registers.put("FIRMWARE", major << 16 | minor << 8 | patch)
    registers.put("BOOT_ID", boot_id)
    registers.put("CAPABILITIES", _EMULATED)
    for array in (ARRAY1, ARRAY2):
        word = register("GEOMETRY1").pack(outputs=array.outputs, inputs=array.inputs)
        registers.put(f"GEOMETRY{array.number}", word)
    name = chip.device.name.encode("ascii", "replace")[:_MODEL_BYTES].ljust(_MODEL_BYTES, b"\0")
    model = (int.from_bytes(name[i : i + 4], "big") for i in range(0, _MODEL_BYTES, 4))
    registers.put("DEVICE_MODEL0", *model)


def put_counters(registers: RegisterFile, counters: Counters, *, ticks: int) -> None:
    """Write the counter registers.

    Args:
        registers: Where to.
        counters: Of the chip.
        ticks: Emulated time in clock cycles, which others than the chip advance as well.
    """
    values = {
        **{
            f"ARRAY{array + 1}_{kind}_PULSES": pulses[array]
            for kind, pulses in (
                ("SET", counters.set_pulses),
                ("RESET", counters.reset_pulses),
                ("FORM", counters.form_pulses),
            )
            for array in range(2)
        },
        "FORM_OPERATIONS": counters.form_operations,
        "SET_OPERATIONS": counters.set_operations,
        "RESET_OPERATIONS": counters.reset_operations,
        "READ_OPERATIONS": counters.read_operations,
        "INFERENCE_OPERATIONS": counters.inferences,
        "TRAINING_OPERATIONS": counters.training_steps,
        "EMULATED_TICKS": ticks,
        "ENERGY_FJ": round(counters.energy_j * 1e15),
    }
    for name, _ in COUNTERS:
        value = values[name]
        registers.put(f"{name}_HIGH", value >> 32 & WORD_MASK, value & WORD_MASK)
