"""Changes of settings on a board: all of them or none, whatever the board says. Runs nothing else.

What is wrong with a change is found before anything is sent. A board may refuse all the same: the
settings themselves, or what was sent with them in one command. Then they are put back.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from starlab_host.board.board import Board
from starlab_host.chip.settings import (
    SETTING_ADDRESSES,
    SettingValue,
    check_pulse_settings,
    setting_writes,
    settings_of,
)
from starlab_host.errors import BoardRefused, Compliance, NotFormed
from starlab_spec.wire.transactions import Transaction, write_registers


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A change that was checked."""

    making: Sequence[Transaction]
    """Makes it."""
    undoing: Sequence[Transaction]
    """Puts back what was there before, in the same order."""

    def make(self, board: Board) -> None:
        """Make it: one command."""
        if self.making:
            board.execute(self.making)

    @contextmanager
    def whole(self, board: Board) -> Iterator[None]:
        """A block that makes it, and goes on: where the board cannot go on, it is undone.

        It stays where something was done with it: some samples learned, in full or in part.
        """
        try:
            yield
        except (BoardRefused, NotFormed) as error:
            has_begun = isinstance(error, BoardRefused) and error.done
            if self.undoing and not has_begun and not isinstance(error, Compliance):
                # up to the write that the board refused before, and refuses again
                with board.putting_back(), suppress(BoardRefused):
                    board.execute(self.undoing)
            raise


def setting_change(board: Board, changes: Mapping[str, SettingValue]) -> SettingChange:
    """A change of some settings.

    Args:
        board: Whose settings. They are read; nothing else is sent.
        changes: By the names of :class:`starlab_host.chip.settings.Settings`.

    Raises:
        UnknownName: There is no such setting, or no such choice of it.
        LimitExceeded: A value out of its range, or pulses outside of the safe operating area
            (Unsafe).
        BadArgument: No number, no whole number, or no multiple of 50 ns.
    """
    if not changes:
        return SettingChange((), ())
    words = board.read_registers(SETTING_ADDRESSES)
    writes = setting_writes(settings_of(words), changes)
    check_pulse_settings(board.safe_area, changes)
    return SettingChange(
        making=[write_registers(w.address, [w.word], mask=w.mask) for w in writes],
        undoing=[write_registers(w.address, [words[w.address]], mask=w.mask) for w in writes],
    )
