"""Device models: tables as published, and the law of voltage and width."""

import numpy as np
import pytest

from starlab_sim.devices import (
    PRESET_NAMES,
    STEP_VOLTAGE_MV,
    DeviceModel,
    Forming,
    PulseConditions,
    StepTable,
    can_form,
    preset,
    step_factor,
)
from starlab_spec.errors import LimitExceeded, ShapeError, UnknownName
from starlab_spec.operations import PulseKind

SET_AT_NOMINAL = PulseConditions(605 * (1245 + 80 * 10000 / 255) / 1200, 1813.0, 300)
RESET_AT_NOMINAL = PulseConditions(605 * (1245 + 49 * 10000 / 255) / 1200, 4166.0, 50)


def test_there_is_every_preset_of_the_data_sheet() -> None:
    assert PRESET_NAMES == (
        "linear",
        "nonlinear-2",
        "nonlinear-3",
        "nonlinear-4",
        "nonlinear-5",
        "asymmetric-060-060",
        "asymmetric-060-045",
        "asymmetric-060-036",
        "asymmetric-045-060",
        "asymmetric-045-045",
        "asymmetric-045-036",
        "asymmetric-036-060",
        "asymmetric-036-045",
        "asymmetric-036-036",
        "measured",
        "soft-bounds",
    )


@pytest.mark.parametrize("name", [name for name in PRESET_NAMES if name != "soft-bounds"])
def test_a_table_has_ten_bins_and_its_own_name(name: str) -> None:
    model = preset(name)
    assert model.name == name
    assert len(model.set_steps.mean_uS) == len(model.reset_steps.mean_uS) == 10


def test_only_the_measured_model_brings_noise_of_its_own() -> None:
    noisy = [name for name in PRESET_NAMES if any(preset(name).set_steps.std_uS)]
    assert noisy == ["measured"]


def test_an_asymmetric_name_tells_set_then_reset() -> None:
    model = preset("asymmetric-060-045")
    assert model.set_steps.mean_uS == (0.06,) * 10
    assert model.reset_steps.mean_uS == (0.045,) * 10


def test_a_nonlinear_reset_mirrors_its_set() -> None:
    model = preset("nonlinear-3")
    assert model.set_steps == model.reset_steps
    assert model.set_steps.mean_uS[0] == 0.30
    assert model.set_steps.mean_uS[9] == 0.015


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"unknown device model 'nonlinear-9'; known: linear, "):
        preset("nonlinear-9")


def test_a_table_needs_as_many_deviations_as_means() -> None:
    with pytest.raises(ShapeError, match="has 2 means and 1 deviations"):
        StepTable((0.1, 0.2), (0.0,))


def test_a_table_takes_no_negative_step() -> None:
    with pytest.raises(LimitExceeded, match=r"mean step -0\.1 uS is below the 0 uS limit"):
        StepTable((-0.1,), (0.0,))


def test_both_tables_of_a_model_cut_the_window_alike() -> None:
    one, two = StepTable((0.1,), (0.0,)), StepTable((0.1, 0.2), (0.0, 0.0))
    with pytest.raises(ShapeError, match="has 1 bins for SET and 2 for RESET"):
        DeviceModel("odd", set_steps=one, reset_steps=two)


def test_the_tables_hold_exactly_at_nominal_codes_and_widths() -> None:
    assert step_factor(1, PulseKind.SET, SET_AT_NOMINAL) == 1.0
    assert step_factor(1, PulseKind.RESET, RESET_AT_NOMINAL) == 1.0
    shorter = PulseConditions(SET_AT_NOMINAL.amplitude_mv, 1813.0, 200)
    assert step_factor(2, PulseKind.SET, shorter) == 1.0


def test_a_step_grows_exponentially_with_the_overdrive_and_in_proportion_to_the_width() -> None:
    higher = PulseConditions(SET_AT_NOMINAL.amplitude_mv + STEP_VOLTAGE_MV, 1813.0, 300)
    longer = PulseConditions(SET_AT_NOMINAL.amplitude_mv, 1813.0, 600)
    assert step_factor(1, PulseKind.SET, higher) == pytest.approx(np.e)
    assert step_factor(1, PulseKind.SET, longer) == 2.0


@pytest.mark.parametrize(
    ("kind", "amplitude_mv"), [(PulseKind.SET, 1499.0), (PulseKind.RESET, 999.0)]
)
def test_below_its_threshold_a_pulse_moves_nothing(kind: PulseKind, amplitude_mv: float) -> None:
    assert step_factor(1, kind, PulseConditions(amplitude_mv, 1813.0, 12_800)) == 0.0
    assert step_factor(1, kind, PulseConditions(amplitude_mv + 1, 1813.0, 50)) > 0.0


def test_forming_takes_four_and_a_half_volt() -> None:
    assert not can_form(PulseConditions(4499.0, 1220.0, 12_800))
    assert can_form(PulseConditions(4500.0, 1220.0, 12_800))


def test_a_pulse_lasts_a_clock_cycle_at_least() -> None:
    with pytest.raises(LimitExceeded, match="pulse width 49 ns is below the 50 ns limit"):
        PulseConditions(2000.0, 1813.0, 49)


def test_forming_refuses_a_target_outside_the_window_and_an_impossible_yield() -> None:
    with pytest.raises(LimitExceeded, match="forming target 21 uS is above the 20 uS limit"):
        Forming(target_uS=21.0)
    with pytest.raises(LimitExceeded, match=r"forming yield 1\.1 is above the 1 limit"):
        Forming(yield_fraction=1.1)
