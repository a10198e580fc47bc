"""One array: form, level, pulse, program, read, multiply. Shapes are stated, never checked here.

Of a call that takes arrays there are two request bodies: ``...Parameters`` holds what travels in
the query string when the arrays come as `.npy` or `.npz`; the other adds the arrays, for JSON.
Planes: 0 = "+" cells, 1 = "-" cells. Array 1 has 784 inputs and 100 outputs, array 2 100 and 10.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from starlab_contract.base import (
    BitCube,
    Cube,
    IntegerMatrix,
    Matrix,
    ReplyBody,
    RequestBody,
    Selection,
    Warnings,
)


class PulseKind(StrEnum):
    """Kind of a programming pulse."""

    SET = "set"
    RESET = "reset"


class Polarity(StrEnum):
    """Which cell of a pair."""

    PLUS = "+"
    MINUS = "-"


class ProgramMethod(StrEnum):
    """How conductances are written."""

    WRITE_VERIFY = "write-verify"
    """Pulse, read, repeat."""
    OPEN_LOOP = "open-loop"
    """As many pulses as the cells' nominal response asks for; none is verified."""
    STELLAR_CYCLIC = "stellar-cyclic"
    """SET-only and RESET-only rounds in turn, by the sign of the error."""


class LevelOutcome(StrEnum):
    """How levelling ended."""

    LEVEL = "level"
    """Within the tolerance."""
    COARSE = "coarse"
    """The narrowest pulse goes further than what is left: nothing comes nearer."""
    UNSURE = "unsure"
    """Noise: what is left is less than two standard errors of the readings; more of them tell."""
    STUCK = "stuck"
    """The cells no longer follow: at the end of their window, or pulsed too weakly."""
    CAPPED = "capped"
    """The cap of rounds or of pulses on a cell was reached."""


def _plus(polarity: object) -> object:
    """A bare `+` of a query string arrives as a space."""
    return "+" if polarity == " " else polarity


Cell = tuple[int, int, int]


class Form(RequestBody):
    """Which cells to form: the cross product; all rows or columns where left out."""

    rows: Selection | None = None
    columns: Selection | None = None
    """Outputs; both cells of each pair."""


class FormReply(ReplyBody):
    """How forming went."""

    formed: int
    """Addressed cells that are formed now."""
    newly_formed: int
    """Those that were not before."""
    failed: int
    """Addressed cells that are still virgin, or may be."""
    pulses: int
    """FORM pulses on all cells together."""
    unsure: list[Cell] | None = None
    """Those of which cannot be told whether they are formed: plane, input, output. They got no FORM
    pulse. Left out where there is none."""


class Level(RequestBody):
    """How near the planes of array 1 must come to each other, and how thoroughly to read."""

    tolerance_codes: Annotated[float, Field(ge=0.02, le=10)] = 0.12
    """Difference of their mean READ codes that will do; 0.12 leaves a hidden code with 100 pixels
    on."""
    readings: Annotated[int, Field(ge=8, le=1000)] = 256
    """Readings of the array in each round at most; fewer where they agree."""


class LevelOffset(ReplyBody):
    """How far the planes of array 1 are from reading alike."""

    codes: float
    """Mean READ code of the "+" cells minus that of the "-" cells."""
    sigma_codes: float
    """Standard error of it, by the scatter of the readings."""
    offset_uS: float
    """The same as a conductance."""


class LevelReply(ReplyBody):
    """How levelling went."""

    outcome: LevelOutcome
    """Whether the offset is within the tolerance; if not, why not."""
    before: LevelOffset
    after: LevelOffset
    pulses_plus: int
    """SET pulses on all "+" cells together."""
    pulses_minus: int
    """SET pulses on all "-" cells together."""
    rounds: int
    """How often pulses were given and cells read."""


class PulseParameters(RequestBody):
    """Pulses on many cells at once, except which by mask."""

    kind: PulseKind
    count: int = Field(1, ge=1)
    """Pulses on each cell."""
    width_ns: int | None = None
    """Width of each pulse, a multiple of 50; left out: that of the settings."""
    rows: Selection | None = None
    columns: Selection | None = None
    """Outputs."""
    polarity: Annotated[Polarity | None, BeforeValidator(_plus)] = None
    """Cells of the cross product of rows and columns."""


class Pulse(PulseParameters):
    """Pulses on many cells at once: a mask, or rows, columns and polarity."""

    mask: BitCube | None = None
    """Shape (2, inputs, outputs): which cells."""


class PulseReply(ReplyBody):
    """What was applied."""

    pulses: int
    """One for each pulse on each selected cell."""


class ProgramParameters(RequestBody):
    """How to write conductances."""

    scale_uS: float | None = Field(None, gt=0)
    """Conductance difference of a weight of 1; left out: 18 uS / max |weights|."""
    tolerance_uS: float = Field(0.5, gt=0)
    """How near each cell must come."""
    max_pulses: int | None = Field(None, ge=1)
    """Cap for each cell; left out: the method's own."""
    method: ProgramMethod = ProgramMethod.WRITE_VERIFY


class Program(ProgramParameters):
    """Conductances to write: as such, or as weights around the middle of the window."""

    conductance_uS: Cube | None = None
    """Shape (2, inputs, outputs), 2..20 uS."""
    weights: Matrix | None = None
    """Shape (inputs, outputs): G+ = 11 uS + scale w / 2, G- = 11 uS - scale w / 2."""


class ProgramReply(ReplyBody):
    """How writing went."""

    cells: int
    """Cells that were to be written."""
    in_tolerance: int
    """Those that came within the tolerance."""
    pulses: int
    """One for each pulse on each cell."""
    rms_error_uS: float
    """Root mean square of target minus conductance, over all cells."""
    failed: list[Cell]
    """Cells that did not: plane, input, output."""
    rounds: int
    """How often pulses were given and cells read."""
    warnings: Warnings = None


class Conductance(ReplyBody):
    """Conductances, read through the chip's own read path."""

    conductance_uS: Cube
    """Shape (2, rows, columns)."""


class VmmParameters(RequestBody):
    """A multiplication needs nothing but its inputs."""


class Vmm(VmmParameters):
    """Input vectors of one array."""

    inputs: IntegerMatrix
    """Array 1: shape (batch, 784), 0 and 1; or packed, (batch, 98) bytes in the order of
    numpy.packbits (as `.npy` of uint8 only). Array 2: (batch, 100), pulse counts
    0 .. 2^N1 - 1."""


class VmmReply(ReplyBody):
    """Products, as the array's converter gives them."""

    codes: IntegerMatrix
    """Shape (batch, outputs). Array 1: 0 .. 2^N1 - 1; array 2: signed 17 bits."""
    current_ua: Annotated[Matrix, Field(description="The same, scaled to microampere.")]
    warnings: Warnings = None
