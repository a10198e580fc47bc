"""The published totals: pulses and accuracy of STELLAR and of back-propagation.

Runs and compares, in float; how a layer learns is told in `schemes`.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
from benchmarks.validation import first_layer, runs
from benchmarks.validation.report import Check, Section
from benchmarks.validation.runs import Summary, in_float, millions, over_seeds
from benchmarks.validation.schemes import Settings, Way

DEVICES: Final = ("nonlinear-2", "nonlinear-3", "linear")
CYCLIC_REPLICA: Final = {
    0.0: "0.61, 112 M",
    2.0: "0.896, 23 M",
    4.0: "0.929, 10.9 M",
    5.0: "0.931-0.939, 4.7 M",
    6.0: "0.934, 0.88 M",
    7.0: "0.835, 0.10 M",
}
"""stellar1 with `nonlinear-3` of a float replica by others, by threshold: accuracy and pulses."""
BP: Final = (Way.BP_WITH_VERIFY, Way.BP_WITHOUT_VERIFY)
TOLERANCES_uS: Final = (0.05, 0.1, 0.2, 0.3, 0.4)
BOTH: Final = (Way.STELLAR1, Way.STELLAR2)
PUBLISHED: Final[Mapping[Way, tuple[float, float]]] = {
    Way.STELLAR1: (513_058, 0.96),
    Way.STELLAR2: (934_157, 0.97),
    Way.BP_WITH_VERIFY: (27_231_120, 0.96),
    Way.BP_WITHOUT_VERIFY: (6_461_913, 0.95),
}
"""Pulses and accuracy of one training of the output layer [C]; its Th and device: not stated."""
Sweep = Mapping[tuple[str, Way, float], Summary]


def section(sweep: Sweep, chosen: Mapping[str, float]) -> Section:
    """Compare totals.

    Args:
        sweep: Runs in float by device, way and threshold.
        chosen: Threshold chosen for each device.
    """
    found = {
        (device, way): (
            sweep[device, way, chosen[device]]
            if way in BOTH
            else over_seeds(partial(in_float, way, device, Settings()))
        )
        for device in DEVICES
        for way in Way
    }
    lines = [
        "| way | published | " + " | ".join(f"`{device}`" for device in DEVICES) + " |",
        "|---|---|---|---|---|",
    ]
    for way, (pulses, accuracy) in PUBLISHED.items():
        ours = " | ".join(str(found[device, way]) for device in DEVICES)
        lines.append(f"| {way} | {accuracy}, {millions(pulses)} | {ours} |")
    near = [
        (device, th, sweep[device, Way.STELLAR1, th], sweep[device, Way.STELLAR2, th])
        for device in DEVICES
        for th in (5.0, 5.5, 6.0)
    ]
    nearest = min(near, key=lambda one: abs(np.log(one[2].pulses / PUBLISHED[Way.STELLAR1][0])))
    by_tolerance = {
        (way, tolerance_uS): in_float(
            way, "nonlinear-2", replace(Settings(), tolerance_uS=tolerance_uS), runs.SEEDS[0]
        )
        for way in BP
        for tolerance_uS in TOLERANCES_uS
    }
    tolerances = [
        f"| {tolerance_uS:g} | "
        + " | ".join(
            f"{one.accuracy[-1]:.3f}, {millions(one.pulses)}"
            for one in (by_tolerance[way, tolerance_uS] for way in BP)
        )
        + f" | {millions(by_tolerance[Way.BP_WITH_VERIFY, tolerance_uS].reads)} |"
        for tolerance_uS in TOLERANCES_uS
    ]
    meeting = {
        way: min(
            TOLERANCES_uS,
            key=lambda within: abs(np.log(by_tolerance[way, within].pulses / PUBLISHED[way][0])),
        )
        for way in BP
    }
    table, other_float = _cross_entropy(sweep)
    device, th, one, two = nearest
    base = sweep["nonlinear-2", Way.STELLAR1, th]
    ratios = {
        within: by_tolerance[Way.BP_WITH_VERIFY, within].pulses / base.pulses
        for within in TOLERANCES_uS
    }
    text = f"""
Accuracy and pulses of a training of the output layer, as the authors report them [C], and ours on
the float scale with the threshold chosen above. Which threshold, device table, number of epochs,
tolerance and first layer stand behind the published totals is not stated.

{chr(10).join(lines)}

**STELLAR.** Our totals are of five epochs at the threshold with the best accuracy. The pulses fall
steeply between Th 5 and 6 while the accuracy stays, so that the published totals are met there:
`{device}` at Th {th:g} gives {one} (stellar1) and {two} (stellar2).

**BP.** One update a digit, `lr` 5e-3, half of the change on either cell, at most 50 pulses on a
cell; a change within the tolerance is left undone, by either way. Without verify a cell gets as
many pulses as its change is mean steps of the table. The tolerance decides the total, and the
published ones are nearest to a tolerance of {meeting[Way.BP_WITH_VERIFY]:g} uS with and
{meeting[Way.BP_WITHOUT_VERIFY]:g} uS without verify (`nonlinear-2`, one seed, all of these below).
The runs above take 0.3 uS, what READ is fine enough for. So the headline of
{PUBLISHED[Way.BP_WITH_VERIFY][0] / PUBLISHED[Way.STELLAR1][0]:.0f} times the pulses of stellar1
holds for a fine tolerance: it is {ratios[meeting[Way.BP_WITH_VERIFY]]:.0f} at
{meeting[Way.BP_WITH_VERIFY]:g} uS and {ratios[0.3]:.1f} at 0.3 uS, both over the
{millions(base.pulses)} of stellar1 with that device at Th {th:g}. What a wide tolerance does not
spare are the reads, and the multiplications of error and activity that STELLAR's signs replace.

| tolerance, uS | BP with verify | without | reads of the former |
|---|---|---|---|
{chr(10).join(tolerances)}

**What was fitted.** The published totals are met by a choice: device and threshold are the nearest
of nine, Th = 5.5 and the tolerance of 0.05 uS are in the lists because the totals lay beside the
others. They show that the totals are within reach of the rules, not which settings gave them.

**The first layer decides more than the device.** The first ones that we tried were trained with
the cross entropy; with Th from 4 to 6 none reached 0.93 on the test digits after five epochs in
the mean of three seeds (best: 0.928, `nonlinear-2`, Th 5.5). The kept ones, of the loss that the
output layer learns by, came after that was seen, so that the bound of 0.93 is no blind test.
Trained with the cross entropy, the usual way, a first layer is better in float ({other_float:.3f}
with an output layer of its own), and yet the chip's rule learns less from it, at several times
the pulses: it separates classes for a softmax, and its activities are harder to fit to 10 and 0,
so that errors stay above the threshold and cells keep moving. That is also where the replica is,
whose first layer we do not have, so that we take this for the difference between its figures and
ours, without proof. stellar1, `nonlinear-3`, one seed, the cross entropy's layer trained on the
spot:

{table}
"""
    checks = []
    for device in DEVICES:
        stellar1 = found[device, Way.STELLAR1].pulses
        checks += [
            Check(
                f"pulses, {way} over stellar1, {device}",
                f"the paper: {PUBLISHED[way][0] / PUBLISHED[Way.STELLAR1][0]:.3g}",
                found[device, way].pulses / stellar1,
                note=f"BP with a tolerance of {Settings().tolerance_uS:g} uS",
            )
            for way in BP
        ]
    checks += [
        Check(
            f"pulses of stellar1 at Th {th:g}, {nearest[0]}",
            "the paper: 0.513 M",
            one.pulses / 1e6,
            "M",
            note="the total nearest to the published one of Th 5, 5.5 and 6",
        ),
        Check(
            f"pulses of stellar2 at Th {th:g}, {nearest[0]}",
            "the paper: 0.934 M",
            two.pulses / 1e6,
            "M",
        ),
    ]
    return Section("The published totals: STELLAR and back-propagation", text, checks)


def _cross_entropy(sweep: Sweep) -> tuple[str, float]:
    """Runs from a first layer trained with the cross entropy, as a table; its float accuracy."""
    seed = runs.SEEDS[0]
    training, testing = runs.digits(False)
    layer = first_layer.train(
        seed, first_layer.CROSS_ENTROPY, training.head(first_layer.TRAINED_ON)
    )
    hidden = (
        first_layer.hidden_of(layer.steps, training),
        first_layer.hidden_of(layer.steps, testing),
    )
    lines = ["| Th | cross entropy | replica | squared error |", "|---|---|---|---|"]
    for th, replica in CYCLIC_REPLICA.items():
        settings = Settings(threshold=th)
        run = in_float(Way.STELLAR1, "nonlinear-3", settings, seed, hidden=hidden)
        kept = sweep["nonlinear-3", Way.STELLAR1, th].outcomes[0]
        ours, theirs = (f"{one.accuracy[-1]:.3f}, {millions(one.pulses)}" for one in (run, kept))
        lines.append(f"| {th:g} | {ours} | {replica} | {theirs} |")
    return "\n".join(lines), layer.accuracy(testing)
