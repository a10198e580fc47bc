"""Settings of the wires: line resistances of both arrays, and how they are solved. Solves nothing.

The lines: each row of cells hangs on a bit line (BL) with a driver at its end; each column on a
source line (SL) with the virtual clamp at its end. In the 2T2R array the two cells of a pair hang
on bit lines of their own and share a node of one source line [P], so that their currents cancel
there. In the 1T1R form of an array every column has a source line of its own.

No resistance of this chip is published. The defaults are assumptions: two squares of a wide line in
the thick metal of a 130 nm process for a segment, and such that the published settings, found on a
chip with its wires, still see most of the current.
"""

from dataclasses import dataclass, field

from starlab_sim.effects.parameters import choice, parameter

MODES = ("fast", "exact")
"""How wires are solved, where they are not ideal."""
TOPOLOGIES = ("2T2R", "1T1R")
"""Forms of an array."""


@dataclass(frozen=True, slots=True)
class Array1Wires:
    """Lines of array 1."""

    topology: str = choice(
        "2T2R", "2T2R: a pair shares a source line; 1T1R: for comparison", TOPOLOGIES, source="P"
    )
    bl_segment_ohm: float = parameter(0.05, "bit line between two columns", unit="Ohm", high=1000.0)
    sl_segment_ohm: float = parameter(
        0.05, "source line between two rows (2T2R: pairs)", unit="Ohm", high=1000.0
    )
    bl_driver_ohm: float = parameter(20.0, "driver of a bit line", unit="Ohm", high=1e5)
    sl_driver_ohm: float = parameter(1.0, "virtual clamp of a source line", unit="Ohm", high=1e5)
    transistor_ohm: float = parameter(
        0.0,
        "access transistor beyond what a cell's conductance, measured through it, holds already",
        unit="Ohm",
        high=1e5,
    )


@dataclass(frozen=True, slots=True)
class Array2Wires:
    """Lines of array 2, a 1T1R array [P]."""

    bl_segment_ohm: float = parameter(0.05, "bit line between two columns", unit="Ohm", high=1000.0)
    sl_segment_ohm: float = parameter(0.05, "source line between two rows", unit="Ohm", high=1000.0)
    bl_driver_ohm: float = parameter(20.0, "driver of a bit line", unit="Ohm", high=1e5)
    sl_driver_ohm: float = parameter(1.0, "virtual clamp of a source line", unit="Ohm", high=1e5)
    transistor_ohm: float = parameter(
        0.0,
        "access transistor beyond what a cell's conductance, measured through it, holds already",
        unit="Ohm",
        high=1e5,
    )


@dataclass(frozen=True, slots=True)
class Wires:
    """Line resistance, in reading and in programming."""

    mode: str = choice(
        "fast",
        "exact: nodal solutions; fast: while learning, gains that are renewed now and then, and "
        "relaxations of the lines that are pulsed",
        MODES,
        source="O",
    )
    refresh_steps: float = parameter(
        1000.0,
        "learning steps after which the fast mode renews the gains of all cells",
        unit="steps",
        low=1.0,
        high=1e9,
        source="O",
        whole=True,
    )
    array1: Array1Wires = field(default_factory=Array1Wires)
    array2: Array2Wires = field(default_factory=Array2Wires)
