"""What generators do under load, against formulas and numpy: they sag and trip. Changes none.

The benches are those of `generators`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from benchmarks.validation.generators_bench import DARK, LIGHT, Bench
from benchmarks.validation.report import Check, Plot, Section
from matplotlib.figure import Figure
from numpy.typing import NDArray

from starlab_host import Compliance
from starlab_sim.devices import STEP_VOLTAGE_MV
from starlab_spec.operations import PulseKind
from starlab_spec.supplies import NOMINAL_READ_MV, supply


def sections() -> Iterator[Section]:
    """Load and trip."""
    yield _load()
    yield _trip()


def _load() -> Section:
    columns = [1, 10, 25, 50, 75, 100]
    curves: dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for output_ohm in (0.5, 10.0):
        bench = Bench(1, {"load_regulation": {"output_ohm": output_ohm}})
        ideal = Bench(1, {})
        measured, expected = [], []
        for row, count in enumerate(columns):
            mask = np.zeros((2, 784, 100), np.bool_)
            mask[0, row, :count] = True
            cells = bench.emulated.chip.conductance_uS(1)
            load_uS = float(cells[mask].astype(np.float64).sum())
            moved = [_moved_uS(one, mask) for one in (bench, ideal)]
            measured.append(moved[0] / moved[1])
            # by hand: iterate the sag, then the exponential law of the step
            unloaded_mv = loaded_mv = supply("VBLset").nominal
            for _ in range(50):
                loaded_mv = unloaded_mv - output_ohm * loaded_mv * load_uS * 1e-6
            expected.append(np.exp((loaded_mv - unloaded_mv) / STEP_VOLTAGE_MV))
        curves[output_ohm] = np.array(measured), np.array(expected)
        bench.board.close()
        ideal.board.close()
    worst = max(float(np.abs(m / e - 1).max()) for m, e in curves.values())
    return Section(
        "Load regulation",
        "SET pulses on more and more columns of a row, at output resistances of 0.5 Ohm (default) "
        "and 10 Ohm: how far the cells move beside an ideal generator, against a sag that is "
        "iterated by hand and the exponential law of the step. At the default a full row of cells "
        "at mid window sags by 1.2 mV and steps by 0.8 % less. In reading all rows that are on "
        "load VBL27 and VBL23: codes of array 1 against those that numpy makes of voltages that "
        "are iterated likewise, for random images of which 5 to 40 % are on.",
        [
            Check(
                "greatest relative error of the step",
                "iterated sag, exp(dV / V0)",
                worst,
                high=1e-3,
                note="single precision of the cells: steps of 0.09 uS at 11 uS",
            ),
            *_reading(),
        ],
        [Plot("generators-load", _LOAD_CAPTION, _load_plot(columns, curves))],
    )


_LOAD_CAPTION: Final = "Step of SET under load, beside that of an ideal generator"


def _moved_uS(bench: Bench, mask: NDArray[np.bool_]) -> float:
    before = bench.emulated.chip.conductance_uS(1)[mask].astype(np.float64)
    bench.chip.pulse(1, PulseKind.SET, mask)
    return float((bench.emulated.chip.conductance_uS(1)[mask] - before).mean())


def _load_plot(
    columns: list[int], curves: Mapping[float, tuple[NDArray[np.float64], NDArray[np.float64]]]
) -> Figure:
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for (output_ohm, (measured, expected)), colour in zip(
        curves.items(), (DARK, LIGHT), strict=True
    ):
        axes.plot(columns, expected, "-", color=colour, label=f"{output_ohm:g} Ohm, by hand")
        axes.plot(columns, measured, "o", color=colour, label=f"{output_ohm:g} Ohm, emulated")
    axes.set_xlabel("selected columns of the row")
    axes.set_ylabel("step, relative to no sag")
    axes.legend(fontsize=8)
    return figure


def _trip() -> Section:
    limit_ma = 1.0
    bench = Bench(1, {"current_limit": {"limit_ma": limit_ma}})
    row_uS = bench.emulated.chip.conductance_uS(1)[0, 0].astype(np.float64)
    current_ma = row_uS.cumsum() * supply("VBLset").nominal * 1e-6
    least = int(np.argmax(current_ma > limit_ma)) + 1
    found = 0
    for count in range(least - 3, least + 4):
        mask = np.zeros((2, 784, 100), np.bool_)
        mask[0, 0, :count] = True
        bench.emulated.chip.set_conductance_uS(1, np.broadcast_to(row_uS, (2, 784, 100)))
        try:
            bench.chip.pulse(1, PulseKind.SET, mask)
        except Compliance:
            found = count
            break
    faults = bench.board.faults()
    bench.board.clear_faults()
    bench.board.bring_up()
    bench.board.close()
    pass_ma, pulsed, told_ma, below, above = _learning_pass()
    return Section(
        "Current limit",
        f"A limit of {limit_ma:g} mA on VBLset, and SET pulses on one column more each time. The "
        "current of a row is that of its selected cells before the operation, under the rail's "
        "voltage. Above the limit the generator trips: fault latch `over_current`, all drivers "
        "off; the row is not pulsed, those before it were. A learning step pulses whole blocks "
        "of cells at once: its first pass must trip at a limit just below, and not at one just "
        "above, of what the cells that a twin without limit pulses draw together, summed in numpy "
        "from their conductances before.",
        [
            Check(
                "columns at which it trips",
                f"{least}: summed by hand",
                abs(found - least),
                "columns apart",
                high=0,
            ),
            Check(
                "current that a learning pass trips with",
                f"{pass_ma:.4g} mA: VBLset / (R + 1 / sum G)",
                abs(told_ma / pass_ma - 1),
                high=1e-4,
                note="relative; the message rounds to 0.1 uA",
            ),
            Check(
                "pulses of the pass at a limit 0.1 % below its current",
                "0",
                below,
                high=0,
            ),
            Check(
                "pulses of the pass at a limit 0.1 % above",
                f"{pulsed}: as without limit",
                above,
                low=pulsed,
                high=pulsed,
            ),
            Check(
                "latches afterwards",
                "over_current alone",
                float(faults == ("over_current",)),
                low=1,
                high=1,
            ),
        ],
    )


def _learning_pass() -> tuple[float, int, float, int, int]:
    """The first pass of a learning step, SET on "+" cells of array 1, and limits about it.

    Returns:
        Its current in mA, by numpy; how many cells it has; the current as a trip tells it; and the
        pulses on its cells at a limit just below, and just above.
    """
    output_ohm = 0.5
    load = {"load_regulation": {"output_ohm": output_ohm}}
    free, before, _ = _learnt(load)
    cells = free > 0
    load_uS = float(before[cells].astype(np.float64).sum())
    pass_ma = supply("VBLset").nominal / (output_ohm + 1e6 / load_uS)
    below, _, told_ma = _learnt({**load, "current_limit": {"limit_ma": 0.999 * pass_ma}})
    above, _, _ = _learnt({**load, "current_limit": {"limit_ma": 1.001 * pass_ma}})
    return pass_ma, int(free.sum()), told_ma, int(below.sum()), int(above.sum())


def _learnt(
    effects: Mapping[str, Any],
) -> tuple[NDArray[np.uint32], NDArray[np.float32], float]:
    """A board learns one sample.

    Returns:
        Pulses on the "+" cells of array 1, what these conducted before, and the current with which
        it tripped; nan: it did not.
    """
    bench = Bench(1, effects)
    rng = np.random.default_rng(1)
    chip = bench.emulated.chip
    chip.set_conductance_uS(2, rng.normal(11, 4, (2, 100, 10)))
    before = chip.conductance_uS(1)[0]
    bench.chip.change_settings(th=1, th1_uS=0.1, output_activation="none")
    sample = (rng.random((1, 784)) < 0.15).astype(np.uint8)
    told_ma = float("nan")
    try:
        bench.chip.train_step(sample, labels=[3], layers=[1])
    except Compliance as error:
        told_ma = float(error.message.split(" ")[2])
    bench.board.close()
    return chip.pulses(1)[0], before, told_ma


def _reading() -> Iterator[Check]:
    """Hidden codes from rails that sag, against numpy."""
    bench = Bench(1, {"load_regulation": {"output_ohm": 0.5}})
    rng = np.random.default_rng(2)
    bench.emulated.chip.set_conductance_uS(1, rng.normal(11, 3, (2, 784, 100)))
    images = rng.random((200, 784)) < np.linspace(0.05, 0.4, 200)[:, None]
    g = bench.emulated.chip.conductance_uS(1).astype(np.float64)
    sums_uS = np.einsum("si,pij->psj", images.astype(np.float64), g)
    unloaded_v = loaded_v = np.full((2, 200, 1), NOMINAL_READ_MV * 1e-3)
    for _ in range(50):
        loaded_v = unloaded_v - 0.5 * loaded_v * sums_uS.sum(axis=2, keepdims=True) * 1e-6
    makes = []
    for read_v in (loaded_v, unloaded_v):
        plus_ua, minus_ua = read_v * sums_uS
        per_code_ua = 300.0 * NOMINAL_READ_MV * 1e-3 / 255
        makes.append(np.floor((plus_ua - minus_ua) / per_code_ua + 0.5).clip(0, 255))
    codes = bench.chip.vmm(1, images.astype(np.uint8)).codes
    bench.board.close()
    yield Check(
        "greatest difference of a hidden code",
        "numpy, iterated sag",
        float(np.abs(codes - makes[0]).max()),
        "codes",
        high=1,
        note="equal but where a current lies within rounding of two codes",
    )
    sag_mv = float((unloaded_v - loaded_v).max()) * 1e3
    yield Check("greatest sag of a read rail", f"{NOMINAL_READ_MV:.1f} mV unloaded", sag_mv, "mV")
    most = float(np.abs(codes - makes[1]).max())
    yield Check("greatest change of a hidden code by the sag", "0", most, "codes")
