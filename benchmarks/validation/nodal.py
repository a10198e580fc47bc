"""Crossbars as lists of resistors, solved by SciPy and by ngspice. Shares no code with the chip.

Every segment, driver, clamp and cell is a resistor between two numbered nodes.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from starlab_sim.chip.wires import Layout

Numbers = NDArray[np.float64]
Nodes = NDArray[np.int64]
NGSPICE = shutil.which("ngspice")
"""The program, where it is installed (Debian: ngspice)."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """Resistors between nodes."""

    ends: Nodes
    """Nodes of each resistor, (resistors, 2)."""
    ohm: Numbers
    """Resistance of each."""
    drivers: Nodes
    """Node of the ideal source behind each bit line's driver, (bit lines of a row, inputs)."""
    clamps: Nodes
    """Node of the ideal source behind each source line's clamp, (source lines,)."""
    bl: Nodes
    """Node of each cell on its bit line, (2, inputs, outputs)."""
    sl: Nodes
    """Node of each cell on its source line, (2, inputs, outputs)."""


def circuit(
    layout: Layout, cells_uS: NDArray[np.floating], selected: NDArray[np.bool_] | None = None
) -> Circuit:
    """The crossbar of an array.

    Args:
        layout: Its lines, none without resistance.
        cells_uS: Shape (2, inputs, outputs).
        selected: Same shape: cells whose transistor is open; lines without any are left out.
            Default: all.
    """
    planes, inputs, outputs = cells_uS.shape
    selected = np.ones(cells_uS.shape, np.bool_) if selected is None else selected
    shape = (layout.rows_per_node, inputs, layout.columns)
    line = np.arange(np.prod(shape)).reshape(shape)
    source = line.size + np.arange(inputs * layout.columns).reshape(inputs, layout.columns)
    drivers = line.size + source.size + np.arange(shape[0] * inputs).reshape(shape[:2])
    clamps = drivers.max() + 1 + np.arange(layout.columns)
    bl = np.empty(cells_uS.shape, np.int64)
    sl = np.empty(cells_uS.shape, np.int64)
    for plane in range(planes):
        columns = np.arange(outputs)
        if not layout.shared:
            columns = 2 * columns + (plane if layout.plus_first else 1 - plane)
        bl[plane] = line[plane if layout.shared else 0][:, columns]
        sl[plane] = source[:, columns]
    used_lines = np.isin(line, bl[selected]).any(axis=2)
    used_sources = np.isin(source, sl[selected]).any(axis=0)
    parts: list[tuple[Nodes, Nodes, Numbers | float]] = [
        (
            bl[selected],
            sl[selected],
            1e6 / cells_uS[selected].astype(np.float64) + layout.transistor_ohm,
        ),
        (drivers[used_lines], line[used_lines][:, 0], layout.bl_driver_ohm),
        (line[used_lines][:, :-1], line[used_lines][:, 1:], layout.bl_segment_ohm),
        (source[:-1, used_sources], source[1:, used_sources], layout.sl_segment_ohm),
        (source[-1, used_sources], clamps[used_sources], layout.sl_driver_ohm),
    ]
    return Circuit(
        ends=np.concatenate([np.stack([a.ravel(), b.ravel()], axis=1) for a, b, _ in parts]),
        ohm=np.concatenate(
            [np.broadcast_to(np.ravel(ohm), a.size).astype(np.float64) for a, _, ohm in parts]
        ),
        drivers=drivers,
        clamps=clamps,
        bl=bl,
        sl=sl,
    )


@dataclass(frozen=True, slots=True)
class Direct:
    """A solution."""

    columns_ua: Numbers
    """Current into each clamp, (source lines,)."""
    cells_v: Numbers
    """Voltage over each cell and its transistor, (2, inputs, outputs); without meaning over cells
    that are not selected."""


def by_scipy(one: Circuit, drivers_v: Numbers) -> Direct:
    """Solve by sparse LU decomposition.

    Args:
        one: What to solve.
        drivers_v: Voltages of the bit lines, (bit lines of a row, inputs); the clamps are at 0 V.
    """
    conductance = 1.0 / one.ohm
    a, b = one.ends.T
    size = int(max(one.drivers.max(), one.clamps.max())) + 1
    known = np.zeros(size)
    known[one.drivers.ravel()] = drivers_v.ravel()
    rows, columns = np.concatenate([a, b, a, b]), np.concatenate([a, b, b, a])
    values = np.concatenate([conductance, conductance, -conductance, -conductance])
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(size, size))
    free = np.zeros(size, np.bool_)
    free[one.ends.ravel()] = True
    free[one.drivers.ravel()] = free[one.clamps] = False
    right = -(matrix @ known)[free]
    factors = linalg.splu(matrix[free][:, free].tocsc())
    solution = factors.solve(right)
    solution += factors.solve(right - matrix[free][:, free] @ solution)
    known[free] = solution
    return Direct(-(matrix @ known)[one.clamps] * 1e6, known[one.bl] - known[one.sl])


def by_ngspice(one: Circuit, drivers_v: Numbers, folder: Path) -> Numbers:
    """Currents into the clamps in uA, from an operating point of ngspice.

    Args:
        one: What to solve; some thousand resistors at most.
        drivers_v: Voltages of the bit lines, (bit lines of a row, inputs).
        folder: Where the netlist goes.

    Raises:
        FileNotFoundError: ngspice is not installed.
        RuntimeError: It gave no currents.
    """
    if NGSPICE is None:
        raise FileNotFoundError("ngspice")
    lines = ["crossbar"]
    for number, ((a, b), ohm) in enumerate(zip(one.ends, one.ohm, strict=True)):
        lines.append(f"R{number} n{a} n{b} {float(ohm)!r}")
    for node, volts in zip(one.drivers.ravel(), drivers_v.ravel(), strict=True):
        lines.append(f"Vd{node} n{node} 0 {float(volts)!r}")
    lines += [f"Vc{node} n{node} 0 0" for node in one.clamps]
    lines += [".control", "set numdgt=15", "op"]
    lines += [f"print i(vc{node})" for node in one.clamps]
    netlist = folder / "crossbar.cir"
    netlist.write_text("\n".join([*lines, "quit", ".endc", ".end", ""]), encoding="utf-8")
    run = subprocess.run(
        [NGSPICE, "-b", str(netlist)], capture_output=True, text=True, check=False, timeout=120
    )
    found = {int(n): float(v) for n, v in re.findall(r"i\(vc(\d+)\) = (\S+)", run.stdout)}
    if set(found) != set(one.clamps.tolist()):
        raise RuntimeError(f"ngspice gave no currents: {run.stdout[-500:]}{run.stderr[-500:]}")
    return np.array([found[node] for node in one.clamps.tolist()]) * 1e6
