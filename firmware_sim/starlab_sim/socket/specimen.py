"""Which chip is in a board's socket, by the few words that a user says. Makes it, keeps nothing."""

from dataclasses import dataclass

from starlab_sim.chip import Chip, Store
from starlab_sim.devices import Device, device_model
from starlab_sim.effects import NONE, Effects


@dataclass(frozen=True, slots=True)
class Specimen:
    """Which chip is in the board's socket."""

    seed: int = 0
    """Decides its cells and all noise."""
    device: Device = "nonlinear-3"
    """Its device model: the name of a preset, or a whole model as an object."""
    virgin: bool = False
    """Delivered virgin, or formed at mid window."""
    effects: Effects = NONE
    """What it does that an ideal one does not."""

    def make(self, store: Store | None = None, *, life: int = 0, passed_ticks: int = 0) -> Chip:
        """A chip of this kind.

        Args:
            store: What keeps it.
            life: As of :class:`Chip`: 0 for a fresh one.
            passed_ticks: As of :class:`Chip`: emulated time before it.

        Raises:
            UnknownName: There is no such device model.
            Refused, LimitExceeded: The object is none.
        """
        return Chip(
            seed=self.seed,
            device=device_model(self.device),
            formed=not self.virgin,
            effects=self.effects,
            store=store,
            life=life,
            passed_ticks=passed_ticks,
        )
