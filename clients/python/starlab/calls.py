"""Every call of the REST API: from arguments to a request, from an answer to values. Sends nothing.

The synchronous and the asynchronous client share these builders. What can be checked without
knowing the board (shapes, bits that are none) is refused here, before anything is sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab.bodies import Answer, npy, npz
from starlab.call import ROOT, Call, board_path, checked, get, json_body, send
from starlab.errors import InvalidInput
from starlab.inputs import Indices, as_bits, as_integers, as_labels, as_numbers, as_query, as_text
from starlab.results import Training
from starlab_contract import (
    JSON_TYPE,
    NPY_TYPE,
    NPZ_TYPE,
    Board,
    Counters,
    Discover,
    EmulatorCommands,
    EmulatorReply,
    Faults,
    Form,
    FormReply,
    FoundBoard,
    Health,
    JournaledCommand,
    Limits,
    ProgramReply,
    Pulse,
    PulseReply,
    Readiness,
    Register,
    RegisterWrite,
    Settings,
    SettingsChange,
    Stopped,
    Supplies,
    SupplySettings,
)

ARRAY_INPUTS: Final = {1: 784, 2: 100}
OUTPUTS: Final = 10


# --- the server


def health() -> Call[Health]:
    """That the server lives, and of which version it is."""
    return get("/healthz", Health)


def readiness() -> Call[Readiness]:
    """Whether all of its boards answer."""
    return replace(get("/readyz", Readiness), answers=frozenset((503,)))


# --- boards


def boards() -> Call[list[Board]]:
    """All boards that the server knows."""

    def read(answer: Answer) -> list[Board]:
        return answer.models(Board)

    return Call("GET", f"{ROOT}/boards", read)


def discover(addresses: Sequence[str], wait_s: float) -> Call[list[FoundBoard]]:
    """Look for boards in the server's networks."""
    body = checked(Discover, {"addresses": list(addresses), "wait_s": wait_s})

    def read(answer: Answer) -> list[FoundBoard]:
        return answer.models(FoundBoard)

    return Call(
        "POST",
        f"{ROOT}/boards/discover",
        read,
        content=json_body(body),
        headers={"content-type": JSON_TYPE},
    )


def board(board_id: str) -> Call[Board]:
    """Identity and state of one board."""
    return get(f"{board_path(board_id)}", Board)


def supplies(board_id: str) -> Call[Supplies]:
    """All supplies by name."""
    return get(f"{board_path(board_id)}/supplies", Supplies)


def set_supplies(board_id: str, mv: Mapping[str, float], ua: Mapping[str, float]) -> Call[Supplies]:
    """Set voltages and currents by name, all of them or none."""
    wanted = {name: {"mv": value} for name, value in mv.items()}
    wanted |= {name: {"ua": value} for name, value in ua.items()}
    if len(wanted) < len(mv) + len(ua):
        raise InvalidInput(f"{', '.join(mv.keys() & ua.keys())}: set either mv or ua")
    body = checked(SupplySettings, wanted)
    return send("PATCH", f"{board_path(board_id)}/supplies", body, Supplies)


def settings(board_id: str) -> Call[Settings]:
    """All settings."""
    return get(f"{board_path(board_id)}/settings", Settings)


def change_settings(board_id: str, changes: Mapping[str, Any]) -> Call[Settings]:
    """Change settings by name, all of them or none."""
    body = checked(SettingsChange, changes)
    return send("PATCH", f"{board_path(board_id)}/settings", body, Settings)


def limits(board_id: str) -> Call[Limits]:
    """The safe operating area that the server holds the board to."""
    return get(f"{board_path(board_id)}/limits", Limits)


def counters(board_id: str) -> Call[Counters]:
    """Pulses, operations, energy and the chip's own time."""
    return get(f"{board_path(board_id)}/counters", Counters)


def read_register(board_id: str, address: int) -> Call[Register]:
    """One 32-bit register."""
    return get(f"{board_path(board_id)}/registers/0x{address:X}", Register)


def write_register(board_id: str, address: int, value: int, mask: int) -> Call[Register]:
    """Replace the masked bits of one register."""
    body = checked(RegisterWrite, {"value": value, "mask": mask})
    return send("PUT", f"{board_path(board_id)}/registers/0x{address:X}", body, Register)


def emergency_stop(board_id: str) -> Call[Stopped]:
    """Switch all drivers off and latch it."""
    return send("POST", f"{board_path(board_id)}/emergency-stop", None, Stopped)


def clear_emergency_stop(board_id: str) -> Call[Faults]:
    """Release a latched emergency stop."""
    return send("DELETE", f"{board_path(board_id)}/emergency-stop", None, Faults)


def in_doubt(board_id: str) -> Call[list[JournaledCommand]]:
    """Commands that may have been executed."""

    def read(answer: Answer) -> list[JournaledCommand]:
        return answer.models(JournaledCommand)

    return Call("GET", f"{board_path(board_id)}/in-doubt", read)


def journal(board_id: str, newest: int) -> Call[list[JournaledCommand]]:
    """The newest commands that were to change the chip."""

    def read(answer: Answer) -> list[JournaledCommand]:
        return answer.models(JournaledCommand)

    query = (("newest", str(newest)),)
    return Call("GET", f"{board_path(board_id)}/journal", read, query=query)


def acknowledge(board_id: str, entries: Sequence[int] | None) -> Call[list[JournaledCommand]]:
    """Say that what commands in doubt may have changed was read back."""

    def read(answer: Answer) -> list[JournaledCommand]:
        return answer.models(JournaledCommand)

    if entries is not None and not entries:
        raise InvalidInput("entries: none are given; leave them out for all")
    query = tuple(("entry", str(entry)) for entry in entries or ())
    return Call("DELETE", f"{board_path(board_id)}/in-doubt", read, query=query)


def emulator(board_id: str, commands: Mapping[str, Any]) -> Call[EmulatorReply]:
    """Tell an emulated board what no real one can do."""
    body = checked(EmulatorCommands, commands)
    return send("POST", f"{board_path(board_id)}/emulator", body, EmulatorReply)


# --- one array


def form(
    board_id: str, array: int, rows: Indices | None, columns: Indices | None
) -> Call[FormReply]:
    """Form the cells of rows times columns, both of each pair."""
    body = Form(rows=_text(rows), columns=_text(columns))
    return send("POST", f"{_array(board_id, array)}/form", body, FormReply)


def pulse(
    board_id: str,
    array: int,
    kind: Literal["set", "reset"],
    mask: ArrayLike | None,
    rows: Indices | None,
    columns: Indices | None,
    polarity: Literal["+", "-"] | None,
    count: int,
    width_ns: int | None,
) -> Call[PulseReply]:
    """Pulse the cells of a mask, or one cell of each pair of rows times columns."""
    path = f"{_array(board_id, array)}/pulse"
    how = {"kind": kind, "count": count, "width_ns": width_ns}
    where = {"rows": _text(rows), "columns": _text(columns), "polarity": polarity}
    if mask is None:
        return send("POST", path, checked(Pulse, {**how, **where}), PulseReply)
    if any(value is not None for value in where.values()):
        raise InvalidInput("pulse takes either a mask or rows, columns and polarity")
    cells = as_numbers("mask", mask)
    if cells.ndim != 3 or not np.isin(cells, (0, 1)).all():
        raise InvalidInput(f"mask of shape {cells.shape}: expected (2, inputs, outputs) bits")
    return Call(
        "POST",
        path,
        lambda answer: answer.model(PulseReply),
        as_query(**how),
        npy(cells.astype(np.bool_)),
        {"content-type": NPY_TYPE},
        changes=True,
    )


def program(
    board_id: str,
    array: int,
    conductance_uS: ArrayLike | None,
    weights: ArrayLike | None,
    **parameters: Any,
) -> Call[ProgramReply]:
    """Write conductances, shape (2, inputs, outputs), or weights, shape (inputs, outputs)."""
    if (conductance_uS is None) == (weights is None):
        raise InvalidInput("program takes either conductance_uS or weights")
    name, values, ndim = (
        ("conductance_uS", conductance_uS, 3) if weights is None else ("weights", weights, 2)
    )
    array_values = as_numbers(name, values).astype(np.float64)
    if array_values.ndim != ndim or not np.isfinite(array_values).all():
        raise InvalidInput(f"{name} of shape {array_values.shape}: expected {ndim} axes, finite")
    return Call(
        "POST",
        f"{_array(board_id, array)}/program",
        lambda answer: answer.model(ProgramReply),
        as_query(**parameters),
        npz({name: array_values}),
        {"content-type": NPZ_TYPE},
        changes=True,
    )


def conductance_uS(
    board_id: str, array: int, rows: Indices | None, columns: Indices | None
) -> Call[NDArray[np.float32]]:
    """Read cells: shape (2, rows, columns)."""
    return Call(
        "GET",
        f"{_array(board_id, array)}/conductance",
        lambda answer: answer.array(),
        as_query(rows=_text(rows), columns=_text(columns)),
        headers={"accept": NPY_TYPE},
    )


def vmm(board_id: str, array: int, inputs: ArrayLike) -> Call[NDArray[np.int32]]:
    """Multiply: shape (batch, inputs) to codes (batch, outputs)."""
    if array == 1:
        vectors: NDArray[Any] = as_bits(inputs)
    else:
        vectors = as_integers("inputs", inputs, ARRAY_INPUTS[2])
    return Call(
        "POST",
        f"{_array(board_id, array)}/vmm",
        lambda answer: answer.array().astype(np.int32, copy=False),
        content=npy(vectors),
        headers={"content-type": NPY_TYPE, "accept": NPY_TYPE},
    )


# --- the network


def infer(
    board_id: str, inputs: ArrayLike, names: Sequence[Literal["outputs", "labels", "hidden"]]
) -> Call[list[NDArray[Any]]]:
    """Infer: shape (batch, 784) to the named arrays of the reply."""
    return Call(
        "POST",
        f"{board_path(board_id)}/infer",
        lambda answer: answer.arrays(*names),
        as_query(hidden="hidden" in names or None),
        npy(as_bits(inputs)),
        {"content-type": NPY_TYPE, "accept": NPZ_TYPE},
    )


def train_step(
    board_id: str,
    inputs: ArrayLike,
    labels: ArrayLike | None,
    targets: ArrayLike | None,
    layers: Sequence[int],
    changes: Mapping[str, Any],
) -> Call[Training]:
    """Learn samples one after the other: shape (batch, 784) with labels or targets."""
    if (labels is None) == (targets is None):
        raise InvalidInput("learning takes either labels or targets")
    if not layers or any(layer not in ARRAY_INPUTS for layer in layers):
        raise InvalidInput(
            f"layers {list(layers)}: the chip has arrays 1 and 2", {"field": "layers"}
        )
    packed = as_bits(inputs)
    arrays: dict[str, NDArray[Any]] = {"inputs": packed}
    if labels is not None:
        arrays["labels"] = as_labels(labels, len(packed)).astype(np.uint8)
    if targets is not None:
        arrays["targets"] = as_integers("targets", targets, OUTPUTS)
    if targets is not None and len(arrays["targets"]) != len(packed):
        raise InvalidInput(f"{len(arrays['targets'])} targets for {len(packed)} inputs")
    wanted = checked(SettingsChange, changes).model_dump(mode="json", exclude_none=True)

    def read(answer: Answer) -> Training:
        outputs, correct, pulses = answer.arrays("outputs", "correct", "pulses")
        return Training(outputs, correct.astype(np.bool_), pulses.astype(np.int64))

    return Call(
        "POST",
        f"{board_path(board_id)}/train-step",
        read,
        as_query(layers=list(layers), **wanted),
        npz(arrays),
        {"content-type": NPZ_TYPE, "accept": NPZ_TYPE},
        changes=True,
    )


def _array(board_id: str, array: int) -> str:
    return f"{board_path(board_id)}/arrays/{array}"


def _text(indices: Indices | None) -> str | None:
    return None if indices is None else as_text(indices)
