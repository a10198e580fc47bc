"""What an emulated board can be told, and what it answers. Emulates nothing."""

from typing import Annotated, Any, Literal

from pydantic import Field

from starlab_contract.base import ReplyBody, RequestBody

Probability = Annotated[float, Field(ge=0, le=0.9)]
Destroyed = Annotated[float, Field(ge=0, le=0.3)]
"""Above 0.3, what makes the network good again would not get through."""


class NetworkFaults(RequestBody):
    """How bad the emulated board's network is, both ways; what is left out is good."""

    loss: Destroyed | None = None
    """Probability that a datagram disappears; with `corruption` together at most 0.3."""
    duplication: Probability | None = None
    """That it comes twice."""
    reordering: Probability | None = None
    """That later ones overtake it."""
    corruption: Destroyed | None = None
    """That one of its bits is turned."""
    delay_s: Annotated[float, Field(ge=0, le=0.5)] | None = None
    """How long every datagram takes, each way."""
    seed: int | None = None
    """Decides which datagrams fare how."""


class EmulatorFaults(RequestBody):
    """Faults of an emulated board; those left out stay as they are."""

    latches: list[str] | None = None
    """Fault latches to trip, by name."""
    network: NetworkFaults | None = None
    """The network from now on; an empty object: a good one."""
    stall_s: Annotated[float, Field(ge=0, le=60)] | None = None
    """For so long, starting now, the network lets nothing through; it comes later, all at once."""
    restart_after_pulses: Annotated[int, Field(ge=0)] | None = None
    """The power fails, and comes back, once so many more pulses have been applied, in the middle of
    an operation or before its answer; 0: it does not."""


class EmulatorCommands(RequestBody):
    """What an emulated board is told; fields left out are left alone."""

    advance_s: float | None = Field(None, ge=0)
    """Let the chip's own clock run on by that many seconds."""
    faults: list[str] | EmulatorFaults | None = None
    """Faults to have; a list names latches to trip, and nothing else."""
    seed: int | None = None
    """A fresh chip of that seed."""
    device_model: str | dict[str, Any] | None = None
    """A fresh chip of cells of that model: its name, or a whole model as an object with `name` and
    either `set` and `reset`, each with `mean_uS` and `std_uS` for some equal bins from low to high
    conductance, or `soft_bounds` with its parameters."""
    virgin: bool | None = None
    """A fresh chip, unformed (true) or formed (false)."""
    effects: Literal["none", "all"] | dict[str, Any] | None = None
    """What it does from now on that an ideal board does not, instead of what it did: an object with
    an entry for each effect that is on, its parameters or `true`; its cells stay as they are. A
    fresh chip of the same request is made under them."""
    restart: bool | None = None
    """Power-cycle the board: registers and supplies reset, cells kept."""


class WiresAccount(ReplyBody):
    """What nodal solutions of an array's wires have taken since the effect or the board came on."""

    solutions: int
    """Solutions: of vectors, of pulsed blocks, and one a column for a transfer matrix."""
    most_steps: int
    """Most steps of conjugate gradients in one of them."""
    greatest_residual: float
    """Greatest relative residual of one of them."""


class EmulatorReply(ReplyBody):
    """What an emulated board answers."""

    emulated_time_s: float
    """The chip's own clock."""
    boot_id: int
    """New where the board was restarted."""
    wires: dict[str, WiresAccount] | None = None
    """By array, `array1` and `array2`, where the effect `wires` is on."""
