"""``counters`` and ``energy``: what a board has done, and what that took. Touches no cell."""

from collections.abc import Iterator
from typing import Final

from rich.table import Table
from rich.text import Text

from starlab.cli.terminal import BoardId, Json, Url, connected, table
from starlab.energy_report import ASSUMPTIONS, PUBLISHED_RATIO, EnergyReport, Work, energy_report
from starlab.http import DEFAULT_URL
from starlab_contract import Counters, EnergyParts, PulseShares, TimeParts

KINDS: Final = ("set", "reset", "form")


def counters(url: Url = DEFAULT_URL, board_id: BoardId = None, as_json: Json = False) -> None:
    """Show what a board has done: pulses, operations, energy and time by what took them."""
    with connected(url, board_id, as_json) as (board, terminal):
        found = board.counters()
        terminal.say(_pulses(found))
        terminal.say(_operations(found))
        terminal.say(_parts("Energy on the chip", "mJ", 1e3, found.energy_j, found.energy_parts_j))
        terminal.say(_parts("Time on the chip", "s", 1, found.emulated_time_s, found.time_parts_s))
        terminal.finish({"counters": found.model_dump(mode="json")})


def energy(url: Url = DEFAULT_URL, board_id: BoardId = None, as_json: Json = False) -> None:
    """Show what the learning so far takes by the published method, beside a digital processor."""
    with connected(url, board_id, as_json) as (board, terminal):
        found = board.counters()
        report = energy_report(Work.between(None, found, board.settings()))
        terminal.say(report_table(report))
        terminal.say(
            f"By the emulated chip's own count, all that it did took {_joule(found.energy_j)}:"
            " see starlab counters. All SET and RESET pulses count here as tuning, those "
            "of programming too."
        )
        terminal.say(_assumptions())
        terminal.finish({**report.json(), "emulated_j": found.energy_j})


def report_table(report: EnergyReport) -> Table:
    """The report for a human reader."""
    listing = table(
        f"Energy of {report.steps:,} learning steps by the published method",
        "what", "count", "each", "energy",
    )  # fmt: skip
    for line in report.lines:
        listing.add_row(
            line.what, f"{line.count:,}", f"{1e12 * line.each_j:.3g} pJ", _joule(line.energy_j)
        )
    listing.add_row(Text("the chip", style="bold"), "", "", _joule(report.chip_j), end_section=True)
    listing.add_row(
        "operations of a digital processor",
        f"{report.processor_operations:,}",
        f"{1e12 / report.operations_per_j:.3g} pJ",
        _joule(report.processor_j),
    )
    listing.add_row(
        Text("chip : processor", style="bold"), "", "", _ratio(report.ratio), end_section=True
    )
    listing.add_row("published, of a digital accelerator", "", "", _ratio(PUBLISHED_RATIO))
    if (rate := report.published_at_operations_per_j) is not None:
        listing.add_row("ours would be 1/35 of one that does", "", "", f"{rate / 1e9:,.0f} Gop/J")
    return listing


def _pulses(found: Counters) -> Table:
    listing = table("Pulses on cells", "array", *(kind.upper() for kind in KINDS))
    for number, pulses in enumerate((found.pulses.array1, found.pulses.array2), 1):
        listing.add_row(str(number), *(f"{getattr(pulses, kind):,}" for kind in KINDS))
    return listing


def _operations(found: Counters) -> Table:
    listing = table("Operations", "kind", "count", "of")
    for name, count in found.operations.model_dump().items():
        of = "samples" if name in ("inference", "training") else "rows"
        listing.add_row(name, f"{count:,}", of)
    return listing


def _parts(
    title: str, unit: str, scale: float, total: float, parts: EnergyParts | TimeParts
) -> Table:
    listing = table(title, "what", unit, "share")
    for name, value in _named(parts):
        share = f"{100 * value / total:.1f} %" if total else "-"
        listing.add_row(name, f"{scale * value:.4g}", share)
    listing.add_row(Text("all", style="bold"), f"{scale * total:.4g}", "")
    return listing


def _named(parts: EnergyParts | TimeParts) -> Iterator[tuple[str, float]]:
    for name in type(parts).model_fields:
        value = getattr(parts, name)
        if isinstance(value, PulseShares):
            for kind in KINDS:
                yield f"{kind.upper()} pulses, array {name[-1]}", getattr(value, kind)
        else:
            yield name, value


def _assumptions() -> Table:
    listing = table("What it rests on", "name", "value", "source", right=False)
    for name, assumption in ASSUMPTIONS.items():
        listing.add_row(name, f"{assumption.value:.4g} {assumption.unit}", assumption.source)
    return listing


def _joule(energy_j: float) -> str:
    scale, unit = next(
        (each for each in ((1, "J"), (1e3, "mJ"), (1e6, "uJ")) if energy_j * each[0] >= 1),
        (1e9, "nJ"),
    )
    return f"{scale * energy_j:.4g} {unit}"


def _ratio(ratio: float | None) -> str:
    return "-" if not ratio else f"1/{1 / ratio:,.0f}"
