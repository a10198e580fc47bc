"""The chip in the board, and the totals that neither a restart nor another chip resets.

Knows no register. What it holds outlives the process where its store does.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import ALL, Chip, Meter, Store, Volatile, resume_noise, resume_wires
from starlab_sim.effects import Effects
from starlab_sim.socket.specimen import Specimen


@dataclass(frozen=True, slots=True)
class Holding:
    """What is in the socket, and what happened before."""

    serial: str
    """Serial number of the board."""
    specimen: Specimen
    """Which chip."""
    pulses_before: int = 0
    """Pulses on the chips before it."""
    ticks_before: int = 0
    """Emulated time before it, and time that passed while nothing was done, in clock cycles."""
    boots: int = 0
    """How often the board has been switched on."""
    board_seed: int = 0
    """Decides what is the board's own: the errors of its generators."""

    def label(self) -> bytes:
        """As a store keeps it."""
        specimen = {**asdict(self.specimen), "effects": self.specimen.effects.json()}
        return json.dumps({**asdict(self), "specimen": specimen}).encode()

    @classmethod
    def of(cls, label: bytes) -> "Holding":
        """What a store has kept."""
        values = json.loads(label)
        specimen = values["specimen"]
        specimen["effects"] = Effects.read(specimen["effects"])
        return cls(**{**values, "specimen": Specimen(**specimen)})


class ChipSocket:
    """One chip at a time.

    Another thread than the one that works with the chip may look at the totals.

    Args:
        serial: Serial number of the board.
        specimen: The chip to put in.
        store: What keeps it. If it keeps a chip already, that is the one, and the board is the
            one that it was in, whatever the other arguments say.

    Raises:
        UnknownName: There is no such device model.
    """

    def __init__(self, serial: str, specimen: Specimen, store: Store | None = None) -> None:
        self._store = Volatile() if store is None else store
        if self._store.label:
            holding = Holding.of(self._store.label)
            chip = holding.specimen.make(
                self._store, life=holding.boots, passed_ticks=holding.ticks_before
            )
            self._fitted = holding, chip
        else:
            self._fit(Holding(serial, specimen, board_seed=specimen.seed))

    @property
    def chip(self) -> Chip:
        """The chip."""
        return self._fitted[1]

    @property
    def holding(self) -> Holding:
        """What is known about it."""
        return self._fitted[0]

    @property
    def pulses(self) -> int:
        """Pulses on all chips ever."""
        holding, chip = self._fitted
        return holding.pulses_before + chip.counters.pulses

    @property
    def ticks(self) -> int:
        """Emulated time since the board was made, in clock cycles."""
        holding, chip = self._fitted
        return holding.ticks_before + chip.time_ticks

    def exchange(self, specimen: Specimen) -> None:
        """Put a fresh chip in."""
        pulses, ticks = self.pulses, self.ticks
        self._fit(
            replace(self.holding, specimen=specimen, pulses_before=pulses, ticks_before=ticks)
        )

    def restore(
        self,
        kept: Holding,
        content: NDArray[np.void],
        noise: Mapping[str, Mapping[str, Any]],
        wires: Mapping[str, NDArray[Any]],
        *,
        pulses: int,
        ticks: int,
    ) -> None:
        """Put a chip in that has lived already. The board has applied no fewer pulses than before.

        Args:
            kept: What held it: which chip, and whose generators the board's are from now on.
            content: Its cells and totals, type :data:`starlab_sim.chip.CHIP`.
            noise: As of :func:`starlab_sim.chip.resume_noise`.
            wires: As of :func:`starlab_sim.chip.resume_wires`.
            pulses: Pulses on all chips ever of the board that it was in: this one has applied as
                many, or those that it has where these are more.
            ticks: Emulated time since that board was made; this one's from now on.

        Raises:
            SnapshotError, UnknownName: There is no such chip. Try it with a :class:`Volatile` store
                first: what this one kept is gone then.
        """
        meter = Meter()
        meter.load(content["meter"])
        counters = meter.snapshot()
        holding = replace(
            self.holding,
            specimen=kept.specimen,
            board_seed=kept.board_seed,
            pulses_before=max(self.pulses, pulses) - counters.pulses,
            ticks_before=ticks - counters.time_ticks,
        )
        self._store.begin({1: ALL, 2: ALL})
        self._store.content[...] = content
        self._store.label = holding.label()
        chip = kept.specimen.make(self._store, life=1, passed_ticks=holding.ticks_before)
        resume_noise(chip, noise)
        resume_wires(chip, wires)
        self._fitted = holding, chip
        self._store.commit(meter)

    def change_effects(self, effects: Effects) -> None:
        """Let the chip do other things that an ideal one does not."""
        holding = replace(self.holding, specimen=replace(self.holding.specimen, effects=effects))
        self._store.label = holding.label()  # kept together with what becomes of the cells
        self.chip.change_effects(effects)
        self._fitted = holding, self.chip

    def advance(self, ticks: int) -> None:
        """Let time pass."""
        self.chip.let_pass(ticks)
        self._note(replace(self.holding, ticks_before=self.holding.ticks_before + ticks))

    def count_boot(self) -> None:
        """The board is switched on."""
        self._note(replace(self.holding, boots=self.holding.boots + 1))

    def _fit(self, holding: Holding) -> None:
        self._store.label = holding.label()
        chip = holding.specimen.make(self._store, passed_ticks=holding.ticks_before)
        self._fitted = holding, chip

    def _note(self, holding: Holding) -> None:
        self._store.label = holding.label()
        self.chip.save()
        self._fitted = holding, self.chip
