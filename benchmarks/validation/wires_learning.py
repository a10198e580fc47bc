"""What line resistance does to a chip that learns, and how far the fast modes are off.

Compares no speeds.
"""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

import numpy as np
from benchmarks.validation.report import Check, Plot, Section
from benchmarks.working_point import (
    CONVERTERS,
    READING,
    STAGES_PER_EPOCH,
    TARGET_OFF,
    TARGET_ON,
    board_samples,
    teach,
    virgin_to_ready,
)
from matplotlib.figure import Figure
from numpy.typing import NDArray

from starlab.datasets import mnist, unpack
from starlab_sim.chip import Chip, Converters, kernels, targets_of
from starlab_sim.chip.readout import Readout, readout
from starlab_sim.chip.wires import (
    EXACT,
    RELAXATIONS,
    Grid,
    Layout,
    block_scratch,
    drops,
    pulsed_lines,
)
from starlab_sim.devices import STEP_VOLTAGE_MV
from starlab_sim.effects import Effects, Wires
from starlab_spec.geometry import ARRAY1
from starlab_spec.supplies import supply

SEGMENTS_OHM: Final = (0.0, 0.01, 0.05, 0.1, 0.35, 1.0, 3.0)
DIGITS: Final = 5000
"""Test digits where each takes nodal solutions of its own; elsewhere all 10,000."""
BLOCKS: Final = ((1, 100, 0.001), (130, 50, 0.01), (784, 100, 1.0))
"""Rows, columns and greatest error of the fast mode in mV."""
STEPS: Final = (10, 30, 100, 300, 1000, 3000, 10_000)
"""Learning steps with frozen gains."""
WIRED_INTEGRATION_NS: Final = 300
"""Makes up for the current that the default wires keep back: 250 ns / 0.78, in steps of 50 ns."""
ARRAY1_LINES: Final = Layout.of(ARRAY1, Wires())


@dataclass(frozen=True, slots=True)
class Trained:
    """A chip with ideal wires after an epoch at the working point, and digits to test it with."""

    array1_uS: NDArray[np.float32]
    """Cells of array 1."""
    array2_uS: NDArray[np.float32]
    """Cells of array 2."""
    tests: NDArray[np.uint8]
    """Test digits as the board holds them."""
    bits: NDArray[np.float64]
    """The same, a number a pixel."""
    labels: NDArray[np.uint8]
    """What they show."""
    settings: Readout
    """Converters and rails."""

    def share_right(self, outputs: NDArray[np.int32]) -> float:
        """Accuracy of the first outputs."""
        return float((outputs.argmax(axis=1) == self.labels[: len(outputs)]).mean())

    def accuracy(self, effective_uS: NDArray[np.float64], boost: float) -> float:
        """With other conductances in array 1, and its full scale divided by ``boost``."""
        hidden = np.empty((len(self.tests), 100), np.uint8)
        outputs = np.empty((len(self.tests), 10), np.int32)
        settings = self._boosted(boost)
        kernels.infer_batch(
            effective_uS.astype(np.float32),
            self.array2_uS,
            self.tests,
            settings,
            hidden,
            outputs,
            np.zeros(3),
        )
        return self.share_right(outputs)

    def accuracy_of_currents(self, currents_ua: NDArray[np.float64], boost: float) -> float:
        """With these currents of array 1's columns, (n, 100)."""
        settings = self._boosted(boost)
        codes = np.floor(currents_ua * settings.levels1 / settings.full_scale1_ua + 0.5)
        hidden = codes.clip(0, settings.levels1).astype(np.uint8)
        outputs = np.empty((len(hidden), 10), np.int32)
        kernels.multiply2_batch(self.array2_uS, hidden, settings, outputs, np.zeros(3))
        return self.share_right(outputs)

    def _boosted(self, boost: float) -> Readout:
        return self.settings._replace(full_scale1_ua=self.settings.full_scale1_ua / boost)


def learn(
    chip: Chip,
    samples: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    whole: int,
    converters: Converters = CONVERTERS,
) -> None:
    """Some steps of an epoch of ``whole``, from its first one on."""
    targets = targets_of(labels, on=TARGET_ON, off=TARGET_OFF)
    phase = 0
    length = whole // STAGES_PER_EPOCH
    for index, first in enumerate(range(0, len(samples), length)):
        part = slice(first, first + length)
        done = index / (STAGES_PER_EPOCH - 1)
        part_of = samples[part], targets[part]
        phase = teach(chip, *part_of, done=done, phase=phase, converters=converters)


def trained() -> Trained:
    """One epoch of 60,000 digits, seed 1."""
    training, testing = mnist()
    chip = virgin_to_ready(1, "nonlinear-3", 0.0)
    learn(chip, board_samples(training), training.labels, len(training.labels))
    return Trained(
        array1_uS=chip.conductance_uS(1),
        array2_uS=chip.conductance_uS(2),
        tests=board_samples(testing),
        bits=unpack(testing.images).astype(np.float64),
        labels=testing.labels,
        settings=readout(READING, CONVERTERS),
    )


def transfer_uS(lines: Layout, cells_uS: NDArray[np.float32]) -> NDArray[np.float64]:
    """Effective conductances."""
    grid = Grid(lines)
    grid.load(cells_uS)
    return grid.transfer_uS()


def programming() -> list[Check]:
    """Drops by relaxations against drops by the nodal solution."""
    checks = []
    rng = np.random.default_rng(3)
    cells = rng.uniform(2, 20, (ARRAY1.inputs, ARRAY1.outputs)).astype(np.float32)
    scratches = {
        EXACT: block_scratch(ARRAY1_LINES),
        RELAXATIONS: block_scratch(ARRAY1_LINES, kind=np.float32),  # as the fast mode computes
    }
    amplitude_mv = supply("VBLset").nominal
    for row_count, column_count, limit_mv in BLOCKS:
        rows = np.sort(rng.choice(ARRAY1.inputs, row_count, replace=False))
        columns = np.sort(rng.choice(ARRAY1.outputs, column_count, replace=False)).astype(np.uint64)
        found = {}
        for mode, scratch in scratches.items():
            drop_mv = np.zeros((ARRAY1.inputs, ARRAY1.outputs), np.float32)
            lines = pulsed_lines(ARRAY1_LINES, 0, mode, 0.0)
            block = (rows, row_count, columns, column_count)
            drops(cells, *block, amplitude_mv, lines, scratch, 0, drop_mv)
            found[mode] = drop_mv
        error_mv = float(np.abs(found[EXACT] - found[RELAXATIONS]).max())
        checks.append(
            Check(
                f"voltage over pulsed cells by {RELAXATIONS} relaxations, block of "
                f"{row_count} x {column_count}",
                "nodal solution",
                error_mv,
                "mV",
                high=limit_mv,
                note=f"drops up to {found[EXACT].max():.0f} mV; the error changes a step by "
                f"{np.expm1(error_mv / STEP_VOLTAGE_MV):.1e} of it",
            )
        )
    return checks


def frozen() -> tuple[Plot, list[Check]]:
    """Gains from before some learning steps against those after them."""
    training, _ = mnist()
    samples = board_samples(training)
    bits = unpack(training.images[-2000:]).astype(np.float64)
    settings = readout(READING, CONVERTERS)
    chip = virgin_to_ready(1, "nonlinear-3", 0.0)
    codes = settings.levels1 / settings.full_scale1_ua

    def currents(effective_uS: NDArray[np.float64]) -> NDArray[np.float64]:
        plus, minus = bits @ effective_uS
        found_ua: NDArray[np.float64] = settings.plus_v * plus - settings.minus_v * minus
        return codes * found_ua

    before_uS = chip.conductance_uS(1)
    gain = transfer_uS(ARRAY1_LINES, before_uS) / before_uS
    worst, usual, done = [], [], 0
    for steps in STEPS:
        part = slice(done, steps)
        learn(chip, samples[part], training.labels[part], len(samples))
        done = steps
        cells_uS = chip.conductance_uS(1)
        error = currents(gain * cells_uS) - currents(transfer_uS(ARRAY1_LINES, cells_uS))
        worst.append(float(np.abs(error).max()))
        usual.append(float(np.sqrt((error**2).mean())))
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.loglog(STEPS, worst, "o-", label="worst of 2,000 digits x 100 columns")
    axes.loglog(STEPS, usual, "o-", label="root mean square")
    axes.axhline(0.5, color="0.5", linestyle="--", label="half a code of 8 bits")
    axes.set_xlabel("learning steps since the gains were known")
    axes.set_ylabel("error of a hidden unit's current, codes")
    axes.grid(visible=True, alpha=0.4)
    axes.legend()
    caption = "Frozen gains while a fresh chip learns, its fastest time; default wires."
    checks = [
        Check(
            f"current with gains frozen for {steps} steps, root mean square",
            "transfer matrix",
            value,
            "codes",
            high=0.5 if steps <= 1000 else None,
        )
        for steps, value in zip(STEPS, usual, strict=True)
        if steps in (100, 1000, 10_000)
    ]
    return Plot("wires_frozen", caption, figure), checks


def approximations() -> Section:
    """How far the fast modes are off."""
    plot, checks = frozen()
    return Section(
        "Line resistance: the fast mode",
        "Two approximations, both switched off by the mode `exact`. *Frozen gains*: while it "
        "learns, each cell's contribution to its column is its conductance times a gain that is "
        "renewed only now and then. *Relaxations*: instead of the nodal solution of the block that "
        "is pulsed, all bit lines and all source lines are solved in turn, twice.",
        checks=[*programming(), *checks],
        plots=[plot],
    )


def solved(network: Trained, lines: Layout) -> tuple[NDArray[np.float64], float]:
    """Currents of the first digits, rows that are off disconnected.

    Also the mean over these digits of the greatest voltage on a source line, mV.
    """
    settings = network.settings
    currents_ua = np.empty((DIGITS, ARRAY1.outputs))
    sag_v = 0.0
    for index, on in enumerate(network.bits[:DIGITS]):
        rows = on.nonzero()[0]
        grid = Grid(lines, rows)
        grid.load(network.array1_uS[:, rows])
        driven = np.ones(len(rows))
        rows_v = [settings.plus_v * driven, -settings.minus_v * driven]
        solution = grid.solve(*rows_v[: lines.rows_per_node], tolerance=1e-6)
        currents_ua[index] = solution.currents_ua
        sag_v += float(np.abs(solution.nodes_v).max()) / DIGITS
    return currents_ua, sag_v * 1e3


def through_wires(lines: Wires, integration_ns: int) -> tuple[float, float]:
    """Accuracy after an epoch that was learnt through wires, fast mode; and the seconds it took."""
    training, testing = mnist()
    converters = replace(CONVERTERS, integration1_ns=integration_ns)
    chip = virgin_to_ready(1, "nonlinear-3", 0.0)
    chip.change_effects(Effects(wires=lines))
    start = perf_counter()
    samples = board_samples(training)
    learn(chip, samples, training.labels, len(samples), converters)
    taken_s = perf_counter() - start
    winners = chip.infer(board_samples(testing), rails=READING, converters=converters).winners
    return float((winners == testing.labels).mean()), taken_s


def accuracy() -> Section:
    """Why 2T2R exists."""
    network = trained()
    settings = network.settings
    plus, minus = network.bits[:DIGITS] @ network.array1_uS.astype(np.float64)
    ideal_ua = settings.plus_v * plus - settings.minus_v * minus
    ideal = network.accuracy(network.array1_uS.astype(np.float64), 1.0)
    held: dict[str, list[float]] = {}
    raw: dict[str, list[float]] = {}
    cut: dict[str, list[float]] = {}
    sag: dict[str, list[float]] = {}
    for topology, shared in (("2T2R", True), ("1T1R", False)):
        for values in (held, raw, cut, sag):
            values[topology] = []
        for segment_ohm in SEGMENTS_OHM:
            lines = replace(
                ARRAY1_LINES,
                shared=shared,
                bl_segment_ohm=segment_ohm,
                sl_segment_ohm=segment_ohm,
            )
            effective = transfer_uS(lines, network.array1_uS)
            boost = float(np.abs(ideal_ua).sum())
            plus, minus = network.bits[:DIGITS] @ effective
            seen_ua = settings.plus_v * plus - settings.minus_v * minus
            raw[topology].append(network.accuracy(effective, 1.0))
            held[topology].append(network.accuracy(effective, boost / float(np.abs(seen_ua).sum())))
            currents_ua, sag_mv = solved(network, lines)
            sag[topology].append(sag_mv)
            cut[topology].append(
                network.accuracy_of_currents(currents_ua, boost / float(np.abs(currents_ua).sum()))
            )
    figure = Figure(figsize=(13, 4), layout="constrained")
    panels = (
        (held, "accuracy, rows that are off held at the clamp"),
        (cut, f"accuracy, rows that are off disconnected ({DIGITS} digits)"),
        (sag, "worst voltage on a source line, mV"),
    )
    for place, (values, name) in enumerate(panels):
        axes = figure.add_subplot(1, 3, place + 1)
        for topology, line in values.items():
            axes.plot(SEGMENTS_OHM, line, "o-", label=topology)
        axes.set_xscale("symlog", linthresh=0.01)
        axes.set_xlabel("resistance of a segment, Ohm")
        axes.set_title(name, fontsize=10)
        axes.grid(visible=True, alpha=0.4)
        axes.legend()
    axes.set_yscale("log")
    caption = (
        "One set of weights, learnt with ideal wires, read through array 1 in both forms; full "
        "scale of the converters adjusted to the weaker currents; drivers 20 Ohm, clamps 1 Ohm."
    )
    at = SEGMENTS_OHM.index(1.0)
    default = SEGMENTS_OHM.index(ARRAY1_LINES.sl_segment_ohm)
    learnt, taken_s = through_wires(Wires(), WIRED_INTEGRATION_NS)
    checks = (
        Check("accuracy, ideal wires", "10,000 test digits", ideal, note="one epoch, seed 1"),
        Check(
            "accuracy, 2T2R, default wires, converters as they were",
            "10,000 test digits",
            raw["2T2R"][default],
        ),
        Check(
            "accuracy, 2T2R, default wires, full scale adjusted",
            "10,000 test digits",
            held["2T2R"][default],
        ),
        Check(
            "accuracy, 2T2R, default wires, learnt through the same wires",
            "10,000 test digits",
            learnt,
            note=f"one epoch, seed 1, integration {WIRED_INTEGRATION_NS} ns; "
            f"{taken_s / 60_000 * 1e6:.0f} us a step in the fast mode",
        ),
        Check(
            "voltage on the source lines, 1T1R over 2T2R, 1 Ohm",
            "2T2R lowers the IR drop [P]",
            sag["1T1R"][at] / sag["2T2R"][at],
            "x",
            low=5,
        ),
        Check(
            "accuracy, 2T2R less 1T1R, 1 Ohm, rows that are off disconnected",
            "the same weights",
            cut["2T2R"][at] - cut["1T1R"][at],
        ),
        Check(
            "accuracy, 2T2R less 1T1R, 3 Ohm, rows that are off disconnected",
            "2T2R lowers the IR drop [P]",
            cut["2T2R"][-1] - cut["1T1R"][-1],
            low=0.0,
        ),
        Check(
            "accuracy, 2T2R less 1T1R, 1 Ohm, rows that are off held at the clamp",
            "the same weights",
            held["2T2R"][at] - held["1T1R"][at],
            note="an idle pair loads its one source line with two cells",
        ),
    )
    text = (
        "In 2T2R the currents of a pair meet on one source line and mostly cancel, so that hardly "
        "any voltage builds up along it: that is what the paper claims, and what the emulated "
        "network shows, whatever the rows that are off do. Whether *accuracy* gains by it depends "
        "on those rows. Are they disconnected by their transistors, the two forms are alike up to "
        "1 Ohm, and beyond 2T2R is ahead. Are they held at the clamp voltage, as the emulator "
        "does it (then the array is linear in its inputs), their cells also draw off current that "
        "should reach the clamp, and a 2T2R source line carries twice as many of them: beyond "
        "0.35 Ohm it loses more than it gains. What the real chip does with rows that are off "
        "is not published."
    )
    return Section(
        "Line resistance: why 2T2R exists",
        text,
        checks=checks,
        plots=[Plot("wires_2t2r", caption, figure)],
    )
