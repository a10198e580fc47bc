"""How the published learning result is run: kernels, mapping, and the first layers it holds."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from benchmarks.validation import asymmetry, first_layer, published, runs
from benchmarks.validation.chip_chain import Chain, ChipLayer, packed
from benchmarks.validation.report import write
from benchmarks.validation.schemes import (
    RESET,
    SET,
    Device,
    Floats,
    OutputLayer,
    Settings,
    Way,
    WEIGHT_PER_uS,
    cells_of,
)
from numpy.typing import NDArray

from starlab.datasets import Mnist, mnist
from starlab_sim.chip import Converters
from starlab_sim.effects import NONE, Effects, Wires
from starlab_spec import stellar
from starlab_spec.errors import LimitExceeded, ShapeError, UnknownName
from starlab_spec.operations import Activation, PulseKind, Scheme

INPUTS, CLASSES, SAMPLES = 12, 10, 40
DEVICE = Device.of((0.30, 0.20, 0.10), (0.25, 0.15, 0.05))
SCHEMES = {Way.STELLAR1: Scheme.CYCLIC, Way.STELLAR2: Scheme.NON_CYCLIC}


def problem(seed: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Cells all over the window, hidden activities of which some are 0, and labels."""
    rng = np.random.default_rng(seed)
    cells = rng.uniform(2, 20, (2, INPUTS, CLASSES))
    hidden = np.maximum(rng.normal(1, 2, (SAMPLES, INPUTS)), 0)
    return cells, hidden, rng.integers(0, CLASSES, SAMPLES)


def pulsed(cells: Floats, mask: NDArray[np.bool_], kind: PulseKind) -> Floats:
    """One pulse on masked cells, from the tables' definition."""
    rising = kind is PulseKind.SET
    depth = cells - 2.0 if rising else 20.0 - cells
    bins = DEVICE.mean_uS.shape[1]
    entry = np.clip(np.floor(depth * (bins / 18.0)), 0, bins - 1).astype(int)
    step = DEVICE.mean_uS[int(kind)][entry] * (1 if rising else -1)
    return np.where(mask, np.clip(cells + step, 2.0, 20.0), cells)


@pytest.mark.parametrize("way", SCHEMES)
@pytest.mark.parametrize("threshold", [0.0, 1.5, 4.0])
def test_the_float_kernel_does_what_the_rules_of_the_data_sheet_say(
    way: Way, threshold: float
) -> None:
    cells, hidden, labels = problem(1)
    layer = OutputLayer(cells, way, DEVICE, Settings(threshold=threshold))
    layer.learn(hidden, labels, np.arange(SAMPLES))
    phase, counted = 0, {PulseKind.SET: 0, PulseKind.RESET: 0}
    for y1, label in zip(hidden, labels, strict=True):
        z = y1 @ ((cells[0] - cells[1]) * WEIGHT_PER_uS)
        target = np.where(np.arange(CLASSES) == label, 10.0, 0.0)
        sign = stellar.output_error_sign(z, target, Activation.NONE, th=threshold)
        update = stellar.output_update(y1, sign, c1=0)
        kinds, phase = stellar.phases(SCHEMES[way], phase)
        for kind in kinds:
            plan = stellar.pulse_plan(update, plus=kind, minus=kind)
            mask = plan.set_mask if kind is PulseKind.SET else plan.reset_mask
            cells = pulsed(cells, mask, kind)
            counted[kind] += int(mask.sum())
    assert np.array_equal(layer.cells_uS, cells)
    assert layer.pulses.tolist() == [counted[PulseKind.SET], counted[PulseKind.RESET]]
    assert min(counted.values()) > 0
    assert layer.phase == phase


def test_the_phase_goes_on_from_call_to_call() -> None:
    cells, hidden, labels = problem(2)
    whole, parts = (OutputLayer(cells, Way.STELLAR1, DEVICE, Settings()) for _ in range(2))
    whole.learn(hidden, labels, np.arange(SAMPLES))
    for part in (np.arange(7), np.arange(7, SAMPLES)):
        parts.learn(hidden, labels, part)
    assert np.array_equal(whole.cells_uS, parts.cells_uS)
    assert np.array_equal(whole.pulses, parts.pulses)


def one_weight(way: Way, *, tolerance_uS: float = 0.0, error: float = 10.0) -> OutputLayer:
    """A layer of one weight at 0 that has learned one sample of activity 1."""
    device = Device.of((0.05,) * 10, (0.04,) * 10)
    settings = Settings(target_on=error, tolerance_uS=tolerance_uS)
    layer = OutputLayer(cells_of(np.zeros((1, 1))), way, device, settings)
    layer.learn(np.ones((1, 1)), np.zeros(1, np.int64), np.zeros(1, np.int64))
    return layer


def test_without_verify_a_cell_gets_as_many_pulses_as_its_change_is_mean_steps() -> None:
    # half of 5e-3 * 10 / (0.9975 / 18) = 0.451 uS in mean steps of 0.045 uS: ten pulses
    layer = one_weight(Way.BP_WITHOUT_VERIFY)
    assert layer.pulses.tolist() == [10, 10]
    assert layer.cells_uS.ravel() == pytest.approx([11.5, 10.6])
    assert layer.reads == 0


def test_a_falling_weight_swaps_set_and_reset() -> None:
    layer = one_weight(Way.BP_WITHOUT_VERIFY, error=-10.0)
    assert layer.cells_uS.ravel() == pytest.approx([10.6, 11.5])


def test_verify_pulses_and_reads_until_a_cell_is_within_the_tolerance() -> None:
    # 0.451 uS to go, 0.1 is near enough: 8 SETs of 0.05 uS, 9 RESETs of 0.04 uS, and a read
    # before the first pulse of each cell and after every one
    layer = one_weight(Way.BP_WITH_VERIFY, tolerance_uS=0.1)
    assert layer.pulses.tolist() == [8, 9]
    assert layer.reads == 8 + 9 + 2


def test_verify_gives_up_after_the_greatest_number_of_pulses() -> None:
    # a tolerance of less than half a step is never met
    layer = one_weight(Way.BP_WITH_VERIFY, tolerance_uS=1e-3)
    assert int(layer.pulses.sum()) == 2 * Settings().pulses_max


@pytest.mark.parametrize("way", [Way.BP_WITH_VERIFY, Way.BP_WITHOUT_VERIFY])
def test_a_change_within_the_tolerance_is_left_undone(way: Way) -> None:
    assert one_weight(way, tolerance_uS=0.5).pulses.sum() == 0


@pytest.mark.parametrize("way", [Way.BP_WITH_VERIFY, Way.BP_WITHOUT_VERIFY])
def test_a_gradient_brings_outputs_nearer_to_their_targets(way: Way) -> None:
    cells, hidden, labels = problem(3)
    cells = cells_of(np.zeros((INPUTS, CLASSES)))
    layer = OutputLayer(cells, way, Device.of((0.05,) * 10, (0.05,) * 10), Settings())
    wanted = 10.0 * np.eye(CLASSES)[labels]
    before = ((layer.outputs(hidden) - wanted) ** 2).mean()
    for _ in range(20):
        layer.learn(hidden, labels, np.arange(SAMPLES))
    assert ((layer.outputs(hidden) - wanted) ** 2).mean() < 0.8 * before


def test_noise_of_pulses_comes_from_the_seed() -> None:
    cells, hidden, labels = problem(4)
    noisy = Device.of((0.1,) * 10, (0.1,) * 10, (0.05,) * 10, (0.05,) * 10)
    ends = []
    for seed in (1, 1, 2):
        layer = OutputLayer(cells, Way.STELLAR2, noisy, Settings(threshold=1), seed=seed)
        layer.learn(hidden, labels, np.arange(SAMPLES))
        ends.append(layer.cells_uS)
    assert np.array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])


def test_what_does_not_fit_is_refused_before_any_pulse() -> None:
    cells, hidden, labels = problem(5)
    layer = OutputLayer(cells, Way.STELLAR1, DEVICE, Settings())
    order = np.arange(SAMPLES)
    with pytest.raises(ShapeError, match=r"hidden has shape \(40, 11\), expected \(n, 12\)"):
        layer.learn(hidden[:, 1:], labels, order)
    with pytest.raises(LimitExceeded, match="label 10 is above the 9 limit"):
        layer.learn(hidden, labels + np.where(order == 3, 10 - labels, 0), order)
    with pytest.raises(LimitExceeded, match="order 40 is above the 39 limit"):
        layer.learn(hidden, labels, order + 1)
    with pytest.raises(LimitExceeded, match="threshold -1"):
        Settings(threshold=-1)
    with pytest.raises(UnknownName, match="bp-with-verify"):
        ChipLayer(
            first_layer.kept(1),
            cells_of(np.zeros((100, 10))),
            Way.BP_WITH_VERIFY,
            "linear",
            Settings(),
            Chain(),
        )
    assert np.array_equal(layer.cells_uS, cells)
    assert layer.pulses.sum() == 0


@pytest.mark.parametrize(("bits2", "within"), [(5, 0.1), (8, 0.01)])
def test_outputs_of_the_chip_are_those_of_float_in_codes(bits2: int, within: float) -> None:
    """With five bits a code is 26 uS, more than two cells: rounding bends the scale."""
    steps, digits = first_layer.kept(1), mnist().test.head(300)
    rng = np.random.default_rng(1)
    cells = rng.uniform(4, 18, (2, 100, 10))
    chain = Chain(converters=Converters(bits2=bits2))
    layer = ChipLayer(steps, cells, Way.STELLAR1, "linear", Settings(), chain)
    found = layer.chip.infer(packed(digits), rails=chain.rails, converters=chain.converters)
    hidden = first_layer.hidden_of(steps, digits)
    in_codes = hidden * chain.hidden_codes
    assert np.abs(found.hidden - np.minimum(in_codes, 255)).max() <= 0.5 + 1e-6
    z = hidden @ ((cells[0] - cells[1]) * WEIGHT_PER_uS)
    slope = np.polyfit(z.ravel(), found.outputs.ravel(), 1)[0]
    assert slope == pytest.approx(chain.output_codes, rel=within)


def test_the_chip_learns_as_float_does_and_holds_array_1() -> None:
    training = mnist().train.head(600)
    steps, settings = first_layer.kept(1), Settings(threshold=5)
    start = runs.start(np.random.default_rng(1))
    chip = ChipLayer(steps, start, Way.STELLAR1, "nonlinear-2", settings, Chain())
    held = chip.chip.conductance_uS(1)
    layer = OutputLayer(start, Way.STELLAR1, runs.device_of("nonlinear-2"), settings)
    order = np.random.default_rng(2).permutation(len(training))
    chip.learn(packed(training), training.labels, order)
    layer.learn(first_layer.hidden_of(steps, training), training.labels, order)
    assert np.array_equal(chip.chip.conductance_uS(1), held)
    assert chip.pulses == int(chip.chip.pulses(2).sum())
    assert chip.pulses == pytest.approx(int(layer.pulses.sum()), rel=0.1)
    weights = [cells[0] - cells[1] for cells in (chip.chip.conductance_uS(2), layer.cells_uS)]
    assert np.corrcoef(weights[0].ravel(), weights[1].ravel())[0, 1] > 0.97


def test_wires_are_switched_on_by_the_chain() -> None:
    samples, counts = packed(mnist().test.head(20)), []
    for effects in (NONE, Effects(wires=Wires())):
        chain = Chain(effects=effects)
        cells = cells_of(np.zeros((100, 10)))
        layer = ChipLayer(first_layer.kept(1), cells, Way.STELLAR1, "linear", Settings(), chain)
        found = layer.chip.infer(samples, rails=chain.rails, converters=chain.converters)
        counts.append(int(found.hidden.sum(dtype=np.int64)))
    assert 0 < counts[1] < counts[0]


def test_a_layer_of_cells_starts_as_published() -> None:
    cells = cells_of(np.array([[0.1, -0.1, 5.0]]))
    assert cells[0].tolist() == [[11.0, 11.0, 11.0]]
    assert cells[1, 0] == pytest.approx([11 - 0.1 / WEIGHT_PER_uS, 11 + 0.1 / WEIGHT_PER_uS, 2.0])


def test_the_first_layers_are_those_that_their_provenance_names() -> None:
    provenance = json.loads(first_layer.PROVENANCE.read_text(encoding="utf-8"))
    assert provenance["recipe"]["loss"] == first_layer.Recipe().loss
    for seed in first_layer.SEEDS:
        steps = first_layer.kept(seed)
        assert steps.shape == (784, 100)
        assert np.abs(steps).max() <= round(first_layer.LIMIT_uS / first_layer.STEP_uS)
        assert first_layer.sha256(steps) == provenance["layers"][str(seed)]["sha256"]


@pytest.mark.parametrize("recipe", [first_layer.Recipe(epochs=1), first_layer.CROSS_ENTROPY])
def test_the_trainer_is_deterministic_and_its_seed_counts(recipe: first_layer.Recipe) -> None:
    training = mnist().train.head(2000)
    one, same, other = (first_layer.train(seed, recipe, training) for seed in (1, 1, 2))
    assert np.array_equal(one.steps, same.steps)
    assert not np.array_equal(one.steps, other.steps)


def test_the_trainer_finds_a_layer_that_tells_digits_apart() -> None:
    training, testing = mnist()
    layer = first_layer.train(1, first_layer.Recipe(epochs=2), training.head(5000))
    assert layer.accuracy(testing.head(2000)) > 0.8


def test_settings_are_chosen_on_digits_that_no_layer_has_seen() -> None:
    training, asked = runs.digits(held_out=True)
    assert (len(training), len(asked)) == (first_layer.TRAINED_ON, 10_000)
    everything = mnist().train
    assert np.array_equal(asked.labels, everything.labels[first_layer.TRAINED_ON :])


def test_kinds_of_pulses_are_numbered_as_in_the_registers() -> None:
    assert (SET, RESET) == (PulseKind.SET, PulseKind.RESET)


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs of one epoch of 300 digits."""
    everything = mnist()
    few = Mnist(everything.train.head(300), everything.test.head(300))
    caches = (runs._hidden, runs._packed)
    for cache in caches:
        cache.cache_clear()
    monkeypatch.setattr(runs, "digits", lambda _: few)
    monkeypatch.setattr(runs, "EPOCHS", 1)
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("area", [published, asymmetry])
def test_an_area_tells_every_run_and_draws_what_it_tells(area: ModuleType, tmp_path: Path) -> None:
    found = list(area.sections())
    write(tmp_path, found, {})
    page = (tmp_path / "validation.md").read_text(encoding="utf-8")
    for device in area.DEVICES:
        assert f"| `{device}` |" in page
    assert all(np.isfinite(check.value) for section in found for check in section.checks)
    assert any(check.met is not None for section in found for check in section.checks)
    names = {plot.name for section in found for plot in section.plots}
    assert {path.stem for path in (tmp_path / "images").iterdir()} == names != set()
