"""How a running operation is told to stop, and tells how far it is. Stops nothing itself."""

from collections.abc import Callable

from starlab_sim.errors import Refused
from starlab_sim.supplies import SupplyRack
from starlab_spec.wire.transactions import Status

Report = Callable[[int, int, str], None]
"""Told how much is done, of how much, and what it is."""


class Control:
    """Stops an operation when the host aborts it, the drivers go off, or the power fails.

    Args:
        supplies: Whose switching off stops it.
        aborted: Whether the host has.
        report: Told how far it is.
        power_fails: Whether the power does; None: it will not.
    """

    def __init__(
        self,
        supplies: SupplyRack,
        aborted: Callable[[], bool],
        report: Report,
        power_fails: Callable[[], bool] | None = None,
    ) -> None:
        self._supplies = supplies
        self._switch_offs = supplies.switch_offs
        self._aborted = aborted
        self._report = report
        self._power_fails = power_fails

    @property
    def fine(self) -> bool:
        """Whether safe points are wanted after every row or sample."""
        return self._power_fails is not None

    def stopped(self) -> bool:
        """Whether to stop at the next safe point between pulses."""
        if self._power_fails is not None and self._power_fails():
            return True
        return self._aborted() or self._supplies.switch_offs != self._switch_offs

    def progress(
        self, name: str, *, offset: int = 0, total: int | None = None
    ) -> Callable[[int, int], None]:
        """The progress report for a part of an operation.

        Args:
            name: What is running.
            offset: What was done before this part.
            total: What the whole operation has to do; default: what the part has to.
        """

        def report(done: int, part: int) -> None:
            self._report(offset + done, part if total is None else total, name)

        return report

    def check_complete(self, name: str, done: int, total: int, unit: str) -> None:
        """Refuse to call an operation done that was stopped.

        Raises:
            Refused: ABORTED: less was done than asked.
        """
        if done < total:
            switched_off = self._supplies.switch_offs != self._switch_offs
            why = f": {self._supplies.safe_reason}" if switched_off else ""
            message = f"{name} stopped after {done} of {total} {unit}{why}"
            raise Refused(Status.ABORTED, message)
