"""Device models: what a pulse does to a cell. Holds no cells; the arrays of `chip` do."""

from starlab_sim.devices.files import Device, device_model, load_device
from starlab_sim.devices.forming import Forming, VIRGIN_RANGE_uS
from starlab_sim.devices.presets import PRESET_NAMES, preset
from starlab_sim.devices.pulses import (
    NOMINAL_AMPLITUDE_MV,
    NOMINAL_FORM_GATE_MV,
    NOMINAL_FORM_WIDTH_NS,
    NOMINAL_WIDTH_NS,
    STEP_VOLTAGE_MV,
    THRESHOLD_MV,
    PulseConditions,
    can_form,
    step_factor,
)
from starlab_sim.devices.soft_bounds import SoftBounds
from starlab_sim.devices.table import BINS, DeviceModel, StepTable

__all__ = [
    "BINS",
    "NOMINAL_AMPLITUDE_MV",
    "NOMINAL_FORM_GATE_MV",
    "NOMINAL_FORM_WIDTH_NS",
    "NOMINAL_WIDTH_NS",
    "PRESET_NAMES",
    "STEP_VOLTAGE_MV",
    "THRESHOLD_MV",
    "Device",
    "DeviceModel",
    "Forming",
    "PulseConditions",
    "SoftBounds",
    "StepTable",
    "VIRGIN_RANGE_uS",
    "can_form",
    "device_model",
    "load_device",
    "preset",
    "step_factor",
]
