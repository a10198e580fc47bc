"""The device models that ship with the emulator, by name. Reads no file.

Source: chip facts, section 4 [C]. Models without deviations are the authors' idealised ones;
`measured` are their measured means and deviations. `soft-bounds` is our own choice [O].
"""

from itertools import product
from typing import Final

from starlab_sim.devices.soft_bounds import SoftBounds
from starlab_sim.devices.table import BINS, DeviceModel, StepTable
from starlab_spec.errors import UnknownName

_QUIET: Final = (0.0,) * BINS


def _symmetric(name: str, *mean_uS: float) -> DeviceModel:
    steps = StepTable(mean_uS, _QUIET)
    return DeviceModel(name, set_steps=steps, reset_steps=steps)


def _asymmetric(set_nS: int, reset_nS: int) -> DeviceModel:
    return DeviceModel(
        f"asymmetric-{set_nS:03d}-{reset_nS:03d}",
        set_steps=StepTable((set_nS * 1e-3,) * BINS, _QUIET),
        reset_steps=StepTable((reset_nS * 1e-3,) * BINS, _QUIET),
    )


_MODELS: Final = (
    _symmetric("linear", *(0.0496,) * BINS),
    _symmetric(
        "nonlinear-2", 0.114, 0.0874, 0.0828, 0.0751, 0.0606, 0.0523, 0.0471, 0.0376, 0.025, 0.030
    ),
    _symmetric("nonlinear-3", 0.30, 0.20, 0.15, 0.12, 0.09, 0.08, 0.05, 0.04, 0.022, 0.015),
    _symmetric("nonlinear-4", 0.40, 0.30, 0.25, 0.17, 0.14, 0.12, 0.08, 0.05, 0.02, 0.011),
    _symmetric("nonlinear-5", 0.55, 0.45, 0.40, 0.35, 0.28, 0.20, 0.10, 0.05, 0.022, 0.009),
    *(_asymmetric(set_nS, reset_nS) for set_nS, reset_nS in product((60, 45, 36), repeat=2)),
    DeviceModel(
        "measured",
        set_steps=StepTable(
            (0.325, 0.250, 0.237, 0.143, 0.0867, 0.0598, 0.0539, 0.0358, 0.0185, 0.0194),
            (0.526, 0.540, 0.581, 0.602, 0.650, 0.640, 0.666, 0.635, 0.629, 0.440),
        ),
        reset_steps=StepTable(
            (0.511, 0.269, 0.146, 0.0987, 0.0541, 0.0454, 0.0219, 0.0744, 0.0764, 0.0028),
            (0.906, 0.795, 0.682, 0.648, 0.562, 0.592, 0.499, 0.443, 0.518, 0.380),
        ),
    ),
    SoftBounds().model("soft-bounds"),
)

_BY_NAME: Final = {model.name: model for model in _MODELS}

PRESET_NAMES: Final = tuple(_BY_NAME)
"""Every preset, in the order of the data sheet. `asymmetric-060-045`: SET 0.060, RESET 0.045 uS."""


def preset(name: str) -> DeviceModel:
    """The device model of that name.

    Raises:
        UnknownName: No preset has it; the message lists those that exist.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise UnknownName("device model", name, PRESET_NAMES) from None
