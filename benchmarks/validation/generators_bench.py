"""Boards whose generators are not ideal, with what no host can see of them. Validates nothing."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from starlab_host import Board, Chip, connect
from starlab_sim import Board as EmulatedBoard
from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_sim.supplies import Generators
from starlab_spec.supplies import CLAMP_OFFSET_MV

NOW: Final = datetime(2024, 2, 29, tzinfo=UTC)
BOARDS: Final = 12
"""Boards of different seeds."""
DARK: Final = "#1f3b57"
LIGHT: Final = "#d98e32"


class Bench:
    """A host's board, its chip, and what is behind them."""

    def __init__(self, seed: int, effects: Mapping[str, Any]) -> None:
        self.seed = seed
        specimen = Specimen(seed=seed, effects=Effects.read(effects))
        self.emulated = EmulatedBoard(specimen, serial=f"EMU-{seed}", rng=random.Random(seed))
        self.board: Board = connect("memory:bench", boards={"bench": self.emulated})
        self.chip = Chip(self.board)

    def real(self) -> dict[str, float]:
        """What the generators give, without noise: hidden from any host."""
        hidden = Generators(self.seed, self.emulated.chip.effects)
        return {s.name: hidden.value(s.index, s.code) for s in self.board.supplies()}

    def mismatch_mv(self) -> float:
        """Difference of the read voltages."""
        real = self.real()
        return real["VBL27"] + real["VBL23"] - 2 * (real["V25"] + CLAMP_OFFSET_MV)
