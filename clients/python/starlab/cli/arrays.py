"""``form``, ``level``, ``program``, ``read``, ``vmm``: one array each. Never the whole network."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

from starlab.board import Board, Method
from starlab.cli.files import Output, load_array, values_or_file, writable
from starlab.cli.terminal import (
    ArrayNumber,
    BoardId,
    Columns,
    Json,
    Rows,
    Terminal,
    Url,
    connected,
    reporting,
    table,
)
from starlab.datasets import mnist
from starlab.http import DEFAULT_URL
from starlab.published import load_published, save_published
from starlab.working_point import ARRAY2_SHAPE
from starlab_contract import LevelOutcome, ProgramReply

_LEVEL_OUTCOMES: Final = {
    LevelOutcome.LEVEL: "level within the tolerance",
    LevelOutcome.COARSE: "out of tolerance, but the narrowest pulse goes further than that",
    LevelOutcome.UNSURE: "out of tolerance, but no further than noise: more readings would tell",
    LevelOutcome.STUCK: "out of tolerance, and the cells no longer follow",
    LevelOutcome.CAPPED: "out of tolerance when the cap of rounds or pulses was reached",
}


def form(
    array: Annotated[
        int | None,
        typer.Argument(min=1, max=2, help="Which array: 1 or 2.", show_default="both"),
    ] = None,
    rows: Rows = None,
    columns: Columns = None,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Form virgin cells; formed ones stay as they are."""
    numbers = (array,) if array is not None else (1, 2)
    if array is None and (rows, columns) != (None, None):
        numbers = (2, 1)  # array 1 is the larger one: what array 2 takes, it takes as well
    with connected(url, board_id, as_json) as (board, terminal):
        replies = {}
        with terminal.progress() as progress:
            task = progress.add_task("forming", total=len(numbers), note="")
            for number in numbers:
                replies[number] = board.arrays[number].form(rows=rows, columns=columns)
                progress.advance(task)
        listing = table("Forming", "array", "formed now", "newly formed", "failed", "pulses")
        total: dict[str, Any] = dict.fromkeys(("formed", "newly_formed", "failed", "pulses"), 0)
        for number, reply in sorted(replies.items()):
            row = {name: getattr(reply, name) for name in total}
            listing.add_row(str(number), *(f"{value:,}" for value in row.values()))
            total = {name: total[name] + value for name, value in row.items()}
        terminal.say(listing)
        arrays = {str(number): reply.model_dump() for number, reply in sorted(replies.items())}
        terminal.finish({**total, "arrays": arrays})


def level(
    tolerance_codes: Annotated[
        float,
        typer.Option(min=0.02, max=10, help="Difference of the mean READ codes that will do."),
    ] = 0.12,
    readings: Annotated[
        int, typer.Option(min=8, max=1000, help="Readings of the array in a round at most.")
    ] = 256,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Give array 1 SET pulses until its planes read alike: after forming, before learning."""
    with connected(url, board_id, as_json) as (board, terminal):
        with terminal.stages("levelling array 1"):
            reply = board.arrays[1].level(tolerance_codes=tolerance_codes, readings=readings)
        listing = table("Array 1: G+ minus G- as it reads", "", "codes", "uS")
        for name, offset in (("before", reply.before), ("now", reply.after)):
            codes = f"{offset.codes:+.3f} ± {offset.sigma_codes:.3f}"
            listing.add_row(name, codes, f"{offset.offset_uS:+.4f}")
        terminal.say(listing)
        terminal.say(
            f"{reply.pulses_plus:,} SET pulses on G+ and {reply.pulses_minus:,} on G- "
            f"in {reply.rounds} rounds: {_LEVEL_OUTCOMES[reply.outcome]}."
        )
        terminal.finish(reply.model_dump(mode="json"))


def program(
    array: Annotated[
        int | None,
        typer.Argument(min=1, max=2, help="Which array: 1 or 2.", show_default="by shape"),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Weights, .npy of shape (inputs, outputs)."),
    ] = None,
    conductance: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Or conductances in uS, .npy of (2, inputs, outputs)."
        ),
    ] = None,
    published_weights: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="W1.txt W2.txt",
            help="Or conductances of both arrays, as the chip's authors publish them: nA at 0.2 V, "
            "784 x 200 and 100 x 20 values.",
            show_default=False,
        ),
    ] = None,
    scale_uS: Annotated[
        float | None,
        typer.Option("--scale-uS", help="Conductance of a weight of 1; left out: full window."),
    ] = None,
    tolerance_uS: Annotated[
        float, typer.Option("--tolerance-uS", help="How near each cell must come.")
    ] = 0.5,
    max_pulses: Annotated[int | None, typer.Option(min=1, help="Cap for each cell.")] = None,
    method: Annotated[Method, typer.Option(help="How to write.")] = "write-verify",
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Write weights or conductances from a file."""
    how = _Writing(scale_uS, tolerance_uS, max_pulses, method)
    if published_weights is not None:
        if (array, weights, conductance, scale_uS) != (None,) * 4:
            raise typer.BadParameter(
                "--published-weights tells which arrays and which conductances: give no array, "
                "--weights, --conductance or --scale-uS beside it"
            )
        _program_published(published_weights, how, url, board_id, as_json)
        return
    match weights, conductance:
        case Path(), None:
            name, values = "weights", load_array(weights, "--weights")
        case None, Path():
            name, values = "conductance_uS", load_array(conductance, "--conductance")
        case _:
            raise typer.BadParameter("give one of --weights, --conductance and --published-weights")
    if array is None:
        array = 2 if values.shape[-2:] == ARRAY2_SHAPE[-2:] else 1
    with connected(url, board_id, as_json) as (board, terminal):
        report = _program(board, terminal, array, {name: values}, how)
        terminal.finish(report.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class _Writing:
    """How cells are written, from the command line."""

    scale_uS: float | None
    tolerance_uS: float
    max_pulses: int | None
    method: Method


def _program(
    board: Board, terminal: Terminal, array: int, what: dict[str, Any], how: _Writing
) -> ProgramReply:
    """Program one array, and tell how it went."""
    with terminal.stages(f"programming array {array}"):
        report = board.arrays[array].program(**what, **asdict(how))
    terminal.say(
        f"{report.in_tolerance:,} of {report.cells:,} cells within {how.tolerance_uS:g} uS "
        f"after {report.pulses:,} pulses; rms error {report.rms_error_uS:.3f} uS"
    )
    return report


def _program_published(
    files: tuple[Path, Path], how: _Writing, url: str, board_id: str | None, as_json: bool
) -> None:
    """Program both arrays from published files; nothing is sent unless both are in order."""
    with reporting(as_json):
        targets_uS = {array: load_published(path, array) for array, path in enumerate(files, 1)}
    with connected(url, board_id, as_json) as (board, terminal):
        reports = {
            str(array): _program(board, terminal, array, {"conductance_uS": target_uS}, how)
            for array, target_uS in targets_uS.items()
        }
        told = {array: report.model_dump(mode="json") for array, report in reports.items()}
        total = {
            name: sum(getattr(report, name) for report in reports.values())
            for name in ("cells", "in_tolerance", "pulses")
        }
        terminal.finish({**total, "arrays": told})


def read(
    array: ArrayNumber = 1,
    rows: Rows = None,
    columns: Columns = None,
    output: Output = None,
    published: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            callback=writable,
            help="Write the whole array as the chip's authors publish it: text, nA at 0.2 V.",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Read conductances through the chip's own read path."""
    if published is not None and (rows, columns) != (None, None):
        raise typer.BadParameter("--published writes a whole array: give no rows and no columns")
    with connected(url, board_id, as_json) as (board, terminal):
        codes_uS = board.arrays[array].conductance_uS(rows=rows, columns=columns)
        # two digits more than the converter has, without the noise of binary fractions
        cells = codes_uS.astype(np.float64).round(3)
        written = {}
        if published is not None:
            save_published(published, array, cells)
            written = {"published": str(published)}
        if published is None or output is not None:
            written |= values_or_file("conductance_uS", cells, output)
        listing = table(
            f"Array {array}: conductance in uS", "cells", "number", "mean", "std", "least", "most"
        )
        for name, plane in zip(("G+", "G-"), cells, strict=True):
            statistics = (plane.mean(), plane.std(), plane.min(), plane.max())
            listing.add_row(name, f"{plane.size:,}", *(f"{value:.2f}" for value in statistics))
        terminal.say(listing)
        terminal.finish(
            {
                "array": array,
                "shape": list(cells.shape),
                "mean_uS": float(cells.mean()),
                "std_uS": float(cells.std()),
                "min_uS": float(cells.min()),
                "max_uS": float(cells.max()),
                **written,
            }
        )


def vmm(
    array: ArrayNumber = 1,
    inputs: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Vectors, .npy. Array 1: (n, 784) bits; array 2: (n, 100) pulse counts.",
            show_default="array 1: MNIST test digits",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many vectors at most.")] = 10,
    output: Output = None,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Multiply vectors with one array: converter codes."""
    if inputs is not None:
        vectors = load_array(inputs, "--inputs")
    elif array == 1:
        vectors = mnist()[1].images
    else:
        raise typer.BadParameter("array 2 needs --inputs")
    with connected(url, board_id, as_json) as (board, terminal):
        codes = board.arrays[array].vmm(np.atleast_2d(vectors)[:limit])
        listing = table(f"Array {array}: codes", "vector", "least", "mean", "most", "not zero")
        for index, row in enumerate(codes):
            listing.add_row(
                str(index), str(row.min()), f"{row.mean():.1f}", str(row.max()),
                str(np.count_nonzero(row)),
            )  # fmt: skip
        terminal.say(listing)
        terminal.finish(
            {"array": array, "shape": list(codes.shape), **values_or_file("codes", codes, output)}
        )
