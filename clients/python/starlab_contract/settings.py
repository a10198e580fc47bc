"""Settings of a board: converters, pulses, learning. Limits are the board's, checked there."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from starlab_contract.base import ReplyBody, RequestBody


class OutputActivation(StrEnum):
    """What follows the output layer."""

    NONE = "none"
    RELU = "relu"
    SIGMOID = "sigmoid"
    TANH = "tanh"


class Scheme(StrEnum):
    """Order of SET and RESET pulses in learning."""

    CYCLIC = "cyclic"
    """One kind for each sample, in turn ("stellar1")."""
    NON_CYCLIC = "non-cyclic"
    """Both kinds for each sample ("stellar2")."""


class Phase(StrEnum):
    """Kind of the next sample's pulses in the cyclic scheme."""

    SET = "set"
    RESET = "reset"


AdcBits = Annotated[int, Field(description="Bits of the array's converter, 1..8.")]
IntegrationTime = Annotated[int, Field(description="Integration time, a multiple of 50 ns.")]
PulseWidth = Annotated[int, Field(description="Pulse width, a multiple of 50 ns.")]
PulseCount = Annotated[int, Field(description="Pulses of one operation on each selected cell.")]
Th = Annotated[int, Field(description="Threshold of the output error, output codes.")]
Th1 = Annotated[float, Field(description="Threshold of the error driven back, uS.")]
C1 = Annotated[
    float,
    Field(description="Threshold of the hidden activity: fraction of the largest, or codes."),
]
C1Relative = Annotated[bool, Field(description="Whether c1 is a fraction of the largest activity.")]
C2 = Annotated[
    float,
    Field(
        description="Threshold of the output gate: output codes with ReLU; with sigmoid and tanh"
        " a fraction of the derivative's maximum."
    ),
]
ActivationScale = Annotated[int, Field(description="s of A f(z / s), output codes.")]
ActivationAmplitude = Annotated[int, Field(description="A of A f(z / s), output codes.")]
UpdatePulses = Annotated[int, Field(description="Pulses of one update on each selected cell.")]
Target = Annotated[int, Field(description="Target code of the labelled, of every other class.")]


class Settings(ReplyBody):
    """Every setting."""

    adc_bits_1: AdcBits
    adc_bits_2: AdcBits
    integration_time_1_ns: IntegrationTime
    integration_time_2_ns: IntegrationTime
    set_width_1_ns: PulseWidth
    set_width_2_ns: PulseWidth
    set_count_1: PulseCount
    set_count_2: PulseCount
    reset_width_1_ns: PulseWidth
    reset_width_2_ns: PulseWidth
    reset_count_1: PulseCount
    reset_count_2: PulseCount
    form_width_1_ns: PulseWidth
    form_width_2_ns: PulseWidth
    form_count_1: PulseCount
    form_count_2: PulseCount
    th: Th
    th1_uS: Th1
    c1: C1
    c1_relative: C1Relative
    c2: C2
    output_activation: OutputActivation
    activation_scale: ActivationScale
    activation_amplitude: ActivationAmplitude
    scheme: Scheme
    phase: Phase
    update_pulses_1: UpdatePulses
    update_pulses_2: UpdatePulses
    target_on: Target
    target_off: Target


class SettingsChange(RequestBody):
    """Some settings: all of them are changed or, if one is refused, none."""

    adc_bits_1: AdcBits | None = None
    adc_bits_2: AdcBits | None = None
    integration_time_1_ns: IntegrationTime | None = None
    integration_time_2_ns: IntegrationTime | None = None
    set_width_1_ns: PulseWidth | None = None
    set_width_2_ns: PulseWidth | None = None
    set_count_1: PulseCount | None = None
    set_count_2: PulseCount | None = None
    reset_width_1_ns: PulseWidth | None = None
    reset_width_2_ns: PulseWidth | None = None
    reset_count_1: PulseCount | None = None
    reset_count_2: PulseCount | None = None
    form_width_1_ns: PulseWidth | None = None
    form_width_2_ns: PulseWidth | None = None
    form_count_1: PulseCount | None = None
    form_count_2: PulseCount | None = None
    th: Th | None = None
    th1_uS: Th1 | None = None
    c1: C1 | None = None
    c1_relative: C1Relative | None = None
    c2: C2 | None = None
    output_activation: OutputActivation | None = None
    activation_scale: ActivationScale | None = None
    activation_amplitude: ActivationAmplitude | None = None
    scheme: Scheme | None = None
    phase: Phase | None = None
    update_pulses_1: UpdatePulses | None = None
    update_pulses_2: UpdatePulses | None = None
    target_on: Target | None = None
    target_off: Target | None = None
