"""What cells of the emulated chip do over pulses and time: wear, retention, noise, telegraph noise.

Each is compared with the law that it is said to follow.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from benchmarks.validation.report import Check, Plot, Section
from matplotlib.figure import Figure
from numpy.typing import NDArray

from starlab_sim.chip import Chip, Converters, PulseKind, Rails
from starlab_sim.chip.detailed.noise import BOLTZMANN_J_PER_K
from starlab_sim.effects import Effects, ReadNoise, Retention, TelegraphNoise, Wear
from starlab_spec.geometry import ARRAY1, ARRAY2

RAILS: Final = Rails()
CONVERTERS: Final = Converters()
TICKS_PER_S: Final = 20_000_000
DAYS_S: Final = 86_400.0


def chip_with(**effects: Any) -> Chip:
    """A formed chip with these effects."""
    return Chip(seed=1, device="linear", formed=True, effects=Effects(**effects))


def sections() -> Iterator[Section]:
    """All of it."""
    yield _wear()
    yield _retention()
    yield _noise()
    yield _telegraph()


def _wear() -> Section:
    wear = Wear(endurance_pulses=1e5)
    chip = chip_with(wear=wear)
    seen = []
    total = 0
    for target in np.unique(np.logspace(0, 6.3, 25).astype(int)):
        mask = np.zeros(ARRAY2.shape, np.bool_)
        mask[0, 0, 0] = True
        ends = []
        for kind, width_ns in ((PulseKind.SET, 20_000), (PulseKind.RESET, 20_000)):
            one = RAILS.pulse(kind, width_ns)
            count = max(8, (int(target) - total) // 2)
            chip.pulse(2, kind, mask, one, count=count)
            total += count
            ends.append((total, float(chip.conductance_uS(2)[0, 0, 0])))
        seen.append(ends)
    points = np.array(seen)
    pulses, levels = points[..., 0], points[..., 1]
    left = 1.0 / (1.0 + (pulses / wear.endurance_pulses) ** wear.exponent)
    law = 11.0 + np.array([9.0, -9.0]) * left
    error = float(np.abs(levels - law).max())
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for index, name in enumerate(("top", "bottom")):
        (line,) = axes.semilogx(pulses[:, index], law[:, index], lw=1)
        axes.semilogx(
            pulses[:, index], levels[:, index], "o", ms=3, color=line.get_color(), label=name
        )
    axes.set_xlabel("pulses on the cell")
    axes.set_ylabel("end of its window, uS")
    axes.legend(fontsize=8)
    check = Check("ends of the window over 2 million pulses", "the law", error, "uS", high=1e-3)
    text = (
        f"Endurance of {wear.endurance_pulses:g} pulses here, so that the law is seen; the default"
        " is 1e7. The window narrows about its middle."
    )
    plot = Plot("devices-wear", "A window narrows with the pulses (lines: the law)", figure)
    return Section("Endurance", text, [check], [plot])


def _retention() -> Section:
    retention = Retention()
    chip = chip_with(retention=retention)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    starts_uS = (2.5, 8.0, 14.0, 19.5)
    level = np.repeat(np.array(starts_uS), 196 * 200).reshape(4 * 196, 2, 100).swapaxes(0, 1)
    chip.set_conductance_uS(1, level)
    times, seen = [], []
    now_s = 0.0
    for until_s in np.logspace(-1, math.log10(48 * DAYS_S), 30):
        chip.let_pass(round((until_s - now_s) * TICKS_PER_S))
        now_s = until_s
        cells = chip.conductance_uS(1).astype(np.float64).swapaxes(0, 1).reshape(4, -1)
        times.append(until_s)
        seen.append(cells)
    cells = np.array(seen)
    decades = np.log10(1 + np.array(times) / retention.onset_s)
    kept = (1 - retention.relaxation_per_decade) ** decades
    checks = []
    for index, start in enumerate(starts_uS):
        law = retention.resting_uS + (start - retention.resting_uS) * kept
        mean, std = cells[:, index].mean(axis=1), cells[:, index].std(axis=1)
        quantiles = np.quantile(cells[:, index], (0.05, 0.95), axis=1)
        (line,) = left.semilogx(times, law - start, lw=1, label=f"from {start:g} uS")
        left.fill_between(times, *(quantiles - start), alpha=0.15, color=line.get_color())
        left.semilogx(times, mean - start, "o", ms=2, color=line.get_color())
        if index in (1, 2):
            walk = retention.walk_uS * math.sqrt(decades[-1])
            checks += [
                Check(
                    f"mean after 48 days, from {start:g} uS",
                    "the law",
                    float(mean[-1] - law[-1]),
                    "uS",
                    -0.003,
                    0.003,
                ),
                Check(
                    f"deviation after 48 days, from {start:g} uS",
                    "the law",
                    float(std[-1] / walk),
                    "",
                    0.98,
                    1.02,
                ),
            ]
    left.set_xlabel("time after the last pulse, s")
    left.set_ylabel("change of conductance, uS")
    left.legend(fontsize=8)
    for cell in range(12):
        right.semilogx(times, cells[:, 2, 1000 * cell], lw=0.8)
    right.set_xlabel("time after the last pulse, s")
    right.set_ylabel("single cells, uS")
    plot = Plot(
        "devices-retention",
        "48 days: means, 5 and 95 % of the cells (lines: the law); single cells",
        figure,
    )
    text = (
        "Conductances relax towards a resting one by a share per decade of time, and walk at"
        " random. The defaults let the accuracy of a trained chip stand for 48 days, as published"
        " [P] (last section); the shares themselves are assumptions. The clock jumped 30 times:"
        " what is left after two jumps is what one would leave."
    )
    return Section("Retention", text, checks, [plot])


def _noise() -> Section:
    checks, figure = [], Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for codes in (0.3, 1.0, 3.0):
        chip = chip_with(read_noise=ReadNoise(converter_codes=codes))
        chip.set_conductance_uS(1, np.full(ARRAY1.shape, 11.03))
        found = chip.read(1, rails=RAILS, converters=CONVERTERS, planes=(0,)).astype(np.float64)
        x = np.arange(90, 131)
        left.plot(
            x, [(found == one).mean() for one in x], drawstyle="steps-mid", label=f"{codes:g}"
        )
        in_codes = 255 * RAILS.read_plus_mv * 1e-3 / CONVERTERS.read_full_scale_ua(1)
        exact = _rounded_std(11.03 * in_codes, codes)
        checks.append(
            Check(
                f"READ: deviation at {codes:g} codes",
                "a rounded normal number",
                float(found.std() / exact),
                "",
                0.99,
                1.01,
            )
        )
    left.set_xlabel("code of READ at 11.03 uS")
    left.set_ylabel("share of cells")
    left.legend(fontsize=8, title="noise, codes")
    levels = np.linspace(3, 19, 9)
    chip = chip_with(read_noise=ReadNoise(temperature_k=300.0, converter_codes=0.0))
    sigma_na = []
    for level in levels:
        sigma_na.append(_thermal_na(chip, float(level)))
    law = np.sqrt(4 * BOLTZMANN_J_PER_K * 300 * levels * 1e-6 / (2 * 1e-6)) * 1e9
    right.plot(levels, sigma_na, "o", ms=3, label="READ, by its codes' edges")
    right.plot(levels, law, lw=1, label="sqrt(4 k T G / 2 Ti)")
    right.set_xlabel("conductance, uS")
    right.set_ylabel("thermal noise, nA")
    right.set_ylim(0, None)
    right.legend(fontsize=8)
    checks.append(
        Check(
            "thermal noise of READ at 300 K, worst of 9 levels",
            "sqrt(4 k T G / 2 Ti)",
            float(np.abs(np.array(sigma_na) / law - 1).max()),
            high=0.05,
        )
    )
    plot = Plot("devices-read-noise", "Noise of READ: converter; thermal (line: the law)", figure)
    text = (
        "A conversion has the noise of its converter, and the thermal noise of the conductance"
        " that it integrates. At 300 K the thermal part is a hundredth of a code: it is measured"
        " from how many cells near the edge between two codes fall on either side."
    )
    return Section("Read noise", text, checks, [plot])


def _rounded_std(mean: float, sigma: float) -> float:
    """Standard deviation of a normal number rounded to integers, by the sum."""
    codes = np.arange(math.floor(mean - 8 * sigma - 2), math.ceil(mean + 8 * sigma + 2))
    edges = np.concatenate([codes - 0.5, [codes[-1] + 0.5]])
    below = np.array([0.5 * math.erfc(-(edge - mean) / sigma / math.sqrt(2)) for edge in edges])
    share = np.diff(below)
    return math.sqrt(float(share @ codes**2 - (share @ codes) ** 2))


def _thermal_na(chip: Chip, level_uS: float) -> float:
    """Thermal noise from the width of an edge between two codes, scanned by the conductance."""
    read_v = RAILS.read_plus_mv * 1e-3
    code_na = CONVERTERS.read_full_scale_ua(1) / 255 * 1e3
    edge = math.floor(level_uS * read_v * 1e3 / code_na) + 0.5
    centre_uS = edge * code_na / read_v * 1e-3
    offsets_na = np.linspace(-1.2, 1.2, ARRAY1.inputs)
    cells = np.empty(ARRAY1.shape)
    cells[:] = (centre_uS + offsets_na / read_v * 1e-3)[None, :, None]
    chip.set_conductance_uS(1, cells)
    codes = np.concatenate(
        [chip.read(1, rails=RAILS, converters=CONVERTERS, planes=(0,))[0] for _ in range(20)],
        axis=1,
    )
    above = (codes > edge).mean(axis=1)
    step = offsets_na[1] - offsets_na[0]
    # the share above an edge is a normal distribution function of the offset
    mean = float((1 - above).sum() * step + offsets_na[0])
    second = float(
        (2 * (offsets_na - mean) * (np.where(offsets_na > mean, 1, 0) - above)).sum() * step
    )
    return math.sqrt(second)


def _traces(chip: Chip, interval_s: float, times: int) -> NDArray[np.float64]:
    found = []
    for _ in range(times):
        found.append(chip.read(2, rails=RAILS, converters=CONVERTERS).astype(np.float64) * 0.1)
        chip.let_pass(round(interval_s * TICKS_PER_S))
    return np.array(found).reshape(times, -1)


def _telegraph() -> Section:
    slow = TelegraphNoise(
        fraction=1.0, amplitude=0.1, amplitude_spread=0.0, fastest_s=1.0, slowest_s=1.0001
    )
    chip = chip_with(telegraph=slow)
    chip.set_conductance_uS(2, np.full(ARRAY2.shape, 18.0))
    interval_s = 0.2
    seen = _traces(chip, interval_s, 400)
    is_high = seen > 17.1
    low, high = seen[~is_high].mean(), seen[is_high].mean()
    lags = np.arange(1, 15)
    mean = is_high.mean()
    correlation = [
        float(((is_high[lag:] - mean) * (is_high[:-lag] - mean)).mean() / (mean * (1 - mean)))
        for lag in lags
    ]
    law = np.exp(-2 * lags * interval_s)
    checks = [
        Check("share of the time in either state", "0.5", float(mean), "", 0.49, 0.51),
        Check("amplitude", "10 % of 18 uS", float(high - low), "uS", 1.78, 1.82),
        Check(
            "correlation over 0.2 .. 2.8 s, worst",
            "exp(-t / tau)",
            float(np.abs(np.array(correlation) - law).max()),
            high=0.015,
        ),
    ]
    dwelling = TelegraphNoise(fraction=1.0, amplitude_spread=0.5)
    wide = chip_with(telegraph=dwelling)
    shares = wide._array1.traps.share  # noqa: SLF001
    checks.append(
        Check(
            "median amplitude",
            "2 % of the conductance",
            float(np.median(shares)) * 100,
            "%",
            1.98,
            2.02,
        )
    )
    checks.append(
        Check("deviation of its logarithm", "0.5", float(np.log(shares).std()), "", 0.495, 0.505)
    )
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    default = chip_with(telegraph=TelegraphNoise(fraction=1.0, fastest_s=0.01, slowest_s=10.0))
    default.set_conductance_uS(2, np.full(ARRAY2.shape, 18.0))
    for index, trace in enumerate(_traces(default, 0.05, 400)[:, [3, 40, 77, 120]].T):
        left.step(np.arange(400) * 0.05, trace + 1.5 * index, lw=0.8)
    left.set_xlabel("time, s")
    left.set_ylabel("four cells at 18 uS, shifted, uS")
    right.plot(lags * interval_s, correlation, "o", ms=3, label="2,000 cells")
    right.plot(lags * interval_s, law, lw=1, label="exp(-t / tau)")
    right.set_xlabel("lag, s")
    right.set_ylabel("correlation")
    right.legend(fontsize=8)
    plot = Plot("devices-telegraph", "Random telegraph noise: traces, correlation", figure)
    text = (
        "A trap switches its cell between two conductances as a two-state Markov process in the"
        " emulated time. Its state is a function of the clock and of the chip's seed: to read"
        " changes nothing."
    )
    return Section("Random telegraph noise", text, checks, [plot])
