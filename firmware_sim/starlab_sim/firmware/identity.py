"""What the emulated board tells of itself, as JSON and in its registers. Changes nothing."""

from dataclasses import asdict
from typing import Any, Final

from starlab_sim.chip import Chip, Counters
from starlab_sim.firmware.register_file import RegisterFile
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


def wires_accounts(chip: Chip) -> dict[str, Any]:
    """What EMULATOR tells of nodal solutions, by array; nothing where no wire resists."""
    accounts = {f"array{a.number}": chip.wires_account(a.number) for a in (ARRAY1, ARRAY2)}
    told = {name: asdict(account) for name, account in accounts.items() if account is not None}
    return {"wires": told} if told else {}


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
    energy_fj = {
        **_by_array("FJ", counters.set_j, counters.reset_j, counters.form_j, scale=1e15),
        "READ_CELLS_FJ": round(counters.cells_j * 1e15),
        "READ_CONVERTERS_FJ": round(counters.converters_j * 1e15),
        "READ_LINES_FJ": round(counters.lines_j * 1e15),
    }
    values = {
        **_by_array("PULSES", counters.set_pulses, counters.reset_pulses, counters.form_pulses),
        "FORM_OPERATIONS": counters.form_operations,
        "SET_OPERATIONS": counters.set_operations,
        "RESET_OPERATIONS": counters.reset_operations,
        "READ_OPERATIONS": counters.read_operations,
        "INFERENCE_OPERATIONS": counters.inferences,
        "TRAINING_OPERATIONS": counters.training_steps,
        "EMULATED_TICKS": ticks,
        "ENERGY_FJ": sum(energy_fj.values()),
        **energy_fj,
        **_by_array("TICKS", counters.set_ticks, counters.reset_ticks, counters.form_ticks),
        "READ_TICKS": counters.read_ticks,
        "FORWARD_TICKS": counters.forward_ticks,
        "BACKWARD_TICKS": counters.backward_ticks,
    }
    for name, _ in COUNTERS:
        value = values[name]
        registers.put(f"{name}_HIGH", value >> 32 & WORD_MASK, value & WORD_MASK)


def _by_array(
    unit: str,
    set_: tuple[float, float],
    reset: tuple[float, float],
    form: tuple[float, float],
    *,
    scale: float = 1,
) -> dict[str, int]:
    """Counters by array and kind of pulse, as whole numbers."""
    return {
        f"ARRAY{array + 1}_{kind}_{unit}": round(totals[array] * scale)
        for kind, totals in (("SET", set_), ("RESET", reset), ("FORM", form))
        for array in range(2)
    }
